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
    Index("accounts_dirty", "vpd", postgresql_where=text("dirty")),
    Index("accounts_look_on", "look_on", postgresql_where=text("look_on IS NOT NULL")),
    Index("accounts_jobs_dirty", "vpd", postgresql_where=text("jobs_dirty")),
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
    Index("deliveries_wanted", "vpd", postgresql_where=text("state = 'wanted'")),
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
    # held_by_esr: ESR came to hold it by itself before it left
    Column("state", Text, nullable=False, comment="waiting, written, sent, confirmed, rejected or unsendable"),
    Column("code", Text, nullable=False, server_default=""),
    Column("reference", Text),
    Column("sent_file", Text),
    Column("position", Integer),
    Index("completions_by_reference", "vpd", "reference", unique=True),
    Index("completions_waiting", "vpd", postgresql_where=text("state = 'waiting'")),
    Index("completions_by_file", "vpd", "sent_file"),
)

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
    Column("content", LargeBinary, nullable=False, comment="kept until delivered, and never rebuilt"),
    Column("delivered_at", DateTime(timezone=True)),
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
