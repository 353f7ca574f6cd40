"""The tables of ``outbound``: what should be where, what was accepted, what waits for a person, and what left."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.db import tables

SCHEMA: Final = "outbound"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
NIGHTS: Final = tables.nights(METADATA)
NIGHT_RUNS: Final = tables.night_runs(METADATA)

GATES: Final = Table(
    "gates",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("upto", BigInteger, nullable=False, comment="newest file of the stream that is wholly accounted for"),
)

ACCOUNTS: Final = Table(
    "accounts",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("file_no", BigInteger, nullable=False, comment="effects wait until this file is accounted for"),
    Column("person", JSONB, nullable=False),
    Column("seen", JSONB, comment="the account as the LMS last accepted it"),
    Column("dirty", Boolean, nullable=False),
    Column("refused", Text, nullable=False, server_default="", comment="the LMS's code, until the person changes"),
    Column("stream", Text, nullable=False, server_default="feed", comment="which kind of file it rests on"),
    Column("look_on", Date, comment="business day on which the account may have to change by itself"),
    Column("closes_on", Date, comment="first day on which the account should be closed"),
    Column("closed_on", Date, comment="business day on which it was last closed"),
    Column("released", Boolean, nullable=False, server_default=false(), comment="closing was released by an operator"),
    Column("not_before", DateTime(timezone=True), comment="an outcome is unknown; it can be looked up from then on"),
    Column("matched", Text, nullable=False, server_default="", comment="new, linked, asked; empty: not looked at yet"),
    Column("directory_name", Text, nullable=False, server_default=""),
    Column("jobs", JSONB, nullable=False, server_default="{}", comment="job assignments as the LMS accepted them"),
    Column("jobs_refused", Text, nullable=False, server_default=""),
    Column("jobs_dirty", Boolean, nullable=False, server_default=false()),
    Column("refers_to", ARRAY(Text), nullable=False, server_default="{}", comment="what the jobs name"),
    Index("accounts_dirty", "vpd", "file_no", postgresql_where=text("dirty")),
    Index("accounts_look_on", "look_on", postgresql_where=text("look_on IS NOT NULL")),
    Index("accounts_jobs_dirty", "vpd", "file_no", postgresql_where=text("jobs_dirty AND seen IS NOT NULL")),
    Index("accounts_refers_to", "refers_to", postgresql_using="gin", postgresql_where=text("refers_to <> '{}'")),
    Index("accounts_closed_on", "vpd", "closed_on"),
    Index("accounts_jobs", "jobs", postgresql_using="gin"),
)

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("file_no", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, comment="certification or evidence"),
    Column("content", JSONB, nullable=False),
    # withdrawing: delivered, and to be taken back by the trust's rule
    Column("state", Text, nullable=False, comment="wanted, delivered, refused or withdrawn"),
    Column("code", Text, nullable=False, server_default=""),
    Index("deliveries_due", "vpd", "file_no", postgresql_where=text("state IN ('wanted', 'withdrawing')")),
)

COMPLETIONS: Final = Table(
    "completions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("file_no", BigInteger, nullable=False),
    Column("content", JSONB, nullable=False),
    # written, sent, confirmed, rejected, overdue: as its newest item; held_by_esr: ESR came to hold it by itself
    Column("state", Text, nullable=False, comment="where it stands; see services.outbound.towards_esr.terms"),
    Column("code", Text, nullable=False, server_default=""),
    Column("content_revision", BigInteger, nullable=False, server_default="0", comment="of the content"),
    Column("withdrawn", Boolean, nullable=False, server_default=false(), comment="the LMS took it back"),
    Column("barred", Boolean, nullable=False, server_default=false(), comment="an operator withdrew it"),
    Column("given_up", BigInteger, comment="revision that an operator gave up"),
    Column("asked", Boolean, nullable=False, server_default=false(), comment="an operator wants it sent again"),
    Column("waits_for", Text, nullable=False, server_default="", comment="answer, person, content, day or operator"),
    Column("look_on", Date, comment="business day from which it has to be decided on again"),
    Index("completions_due", "vpd", "person_id", "key", postgresql_where=text("look_on IS NOT NULL")),
    Index("completions_cases", "vpd", "person_id", "key", postgresql_where=text("waits_for = 'operator'")),
)

ITEMS: Final = Table(
    "items",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("sent_file", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("file_number", BigInteger, nullable=False, comment="of the file: items are in order of number and position"),
    Column("reference", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("change", Text, nullable=False, comment="new, correction, resend or withdrawal"),
    Column("replaces", Text, nullable=False, server_default=""),
    Column("content", JSONB, nullable=False, comment="of the achievement, as sent"),
    Column("person", JSONB, nullable=False, server_default="{}", comment="the columns that name the person, as sent"),
    Column("person_revision", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, comment="written, sent, confirmed or rejected"),
    Column("code", Text, nullable=False, server_default=""),
    Column("esr_record_id", Text, nullable=False, server_default=""),
    Column("answer_revision", BigInteger, nullable=False, server_default="-1"),
    Column("overdue_since", DateTime(timezone=True), comment="when its answer was due, once it was told to be late"),
    Column("written_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Index("items_by_reference", "vpd", "reference", "sent_file", unique=True),
    Index("items_by_completion", "vpd", "person_id", "key"),
    Index("items_refused", "vpd", "code", postgresql_where=text("state = 'rejected'")),
)
"""One record in one completion file: its own for ever. A reference stands once in a file."""

MIRRORS: Final = Table(
    "mirrors",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("competence_id", Text, primary_key=True),
    Column("completed_on", Text, primary_key=True, comment="day of a completion that ESR holds by itself"),
)

OUTFILES: Final = Table(
    "outfiles",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, comment="sequence of the counter cmp"),
    Column("name", Text, nullable=False),
    Column("current_run", DateTime, nullable=False, comment="UK local time; the next file's window begins here"),
    Column("content", LargeBinary, comment="never rebuilt; dropped when it was delivered archive_days ago"),
    Column("delivered_at", DateTime(timezone=True), comment="when it stood where ESR collects"),
    Column("announced", Boolean, nullable=False, server_default=false(), comment="each of its items was told of"),
    Column("sha256", Text, nullable=False, server_default=""),
    Column("records", Integer, nullable=False, server_default="0"),
    Column("day", Integer, nullable=False, server_default="0", comment="of the cut-off (yyyymmdd); 0: on demand"),
    Column("answer", Text, nullable=False, server_default="", comment="ESR's status of the whole file"),
    Column("answer_code", Text, nullable=False, server_default=""),
    Column("answer_no", BigInteger, nullable=False, server_default="0", comment="number of the file that answered"),
    Index("outfiles_to_do", "vpd", "number", postgresql_where=text("NOT announced")),
    Index("outfiles_by_name", "vpd", "name", unique=True),
)

COUNTERS: Final = Table(
    "counters",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

DELIVERED: Final = Table(
    "delivered",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("folder", Text, primary_key=True, comment="esr or lms, and the folder on the other side"),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("delivered_at", DateTime(timezone=True), nullable=False),
)
"""Files that other sides hold, remembered for ever."""

HIERARCHY: Final = Table(
    "hierarchy",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="organisation or position"),
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("file_no", BigInteger, nullable=False),
    Column("said", JSONB, nullable=False),
    Column("seen", JSONB, comment="the item as the LMS last accepted it"),
    Column("dirty", Boolean, nullable=False),
    Column("refused", Text, nullable=False, server_default=""),
    Index("hierarchy_dirty", "vpd", postgresql_where=text("dirty")),
)

MATCHES: Final = Table(
    "matches",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("state", Text, nullable=False, comment="asked, linked, new, returning"),
    Column("reason", Text, nullable=False),
    Column("candidates", JSONB, nullable=False, comment="accounts as the LMS held them when it was asked"),
    Column("lms_id", Text, nullable=False, server_default="", comment="the account that is linked"),
    Column("idnumber_before", Text, nullable=False, server_default="", comment="what it was called, to undo a link"),
    Column("excluded", ARRAY(Text), nullable=False, server_default="{}", comment="accounts said not to be theirs"),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Index("matches_asked", "vpd", postgresql_where=text("state = 'asked'")),
    Index("matches_linked", "vpd", "lms_id", unique=True, postgresql_where=text("lms_id <> ''")),
)

DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("subject", Text, nullable=False, comment="a person ID, or suspensions"),
    Column("decision", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("details", JSONB, nullable=False),
    Index("decisions_by_subject", "vpd", "subject"),
)
"""What rules and operators decided. Rows are only ever added."""

GUARDS: Final = Table(
    "guards",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("suspensions", Integer, nullable=False, comment="accounts that wait to be closed"),
    Column("accounts", Integer, nullable=False, comment="open accounts"),
    Column("held_at", DateTime(timezone=True), nullable=False),
    Column("released_at", DateTime(timezone=True)),
)

POLICIES: Final = Table(
    "policies",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False, comment="of the settings accounts were last derived by"),
)
