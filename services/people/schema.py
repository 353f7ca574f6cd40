"""The tables of ``people``."""

from typing import Final

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Index, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.db import tables

SCHEMA: Final = "people"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
FACTS: Final = tables.facts(METADATA)
DELETIONS: Final = tables.deletions(METADATA)
NIGHTS: Final = tables.nights(METADATA)
NIGHT_RUNS: Final = tables.night_runs(METADATA)

PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("person", JSONB, nullable=False),
    Column("file_no", BigInteger, nullable=False, comment="newest file the derivation rests on"),
    Column("due", Date, comment="next business day on which the derivation may change by itself"),
    Column("employee_number", Text, nullable=False, server_default=""),
    Column("identity", Text, nullable=False, server_default="", comment="digest of what was compared with others"),
    Index("people_by_due", "due"),
    Index("people_by_state", "vpd", "state"),
    Index("people_by_employee_number", "vpd", "employee_number", postgresql_where=text("employee_number <> ''")),
)

AGAIN: Final = Table(
    "again",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True, comment="to be derived again"),
    Column("file", Text, nullable=False, comment="the file that is the reason, else empty"),
    Column("file_no", BigInteger, nullable=False),
)

HIERARCHY: Final = Table(
    "hierarchy",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="organisation or position"),
    Column("key", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("item", JSONB, nullable=False),
    Column("due", Date, comment="next business day on which the item may change by itself"),
    Index("hierarchy_by_due", "due"),
)

RESTRICTIONS: Final = Table(
    "restrictions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("content", JSONB, nullable=False, comment="the section people of bridge.yaml as applied"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

DUPLICATES: Final = Table(
    "duplicates",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True, comment="the lower of the two person IDs"),
    Column("other_person_id", Text, primary_key=True),
    Column("agree", JSONB, nullable=False, comment="names of the columns in which the two agree"),
    Column("state", Text, nullable=False, comment="open, gone (they agree no more), same or different"),
    Column("revision", BigInteger, nullable=False),
    Column("who", Text, nullable=False, server_default=""),
    Column("why", Text, nullable=False, server_default=""),
    Column("decided_at", DateTime(timezone=True)),
    Index("duplicates_by_other", "vpd", "other_person_id"),
)

ACTIONS: Final = Table(
    "actions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False, comment="restrict, same, different or undo"),
    Column("subject", Text, nullable=False, comment="person IDs, empty for the trust"),
    Column("why", Text, nullable=False),
    Column("content", JSONB, nullable=False),
)

# Of whom does a change of a place concern, and who may be the same human: answered from facts, which are committed
# before anything is derived from them, so that of two replicas the later one sees the other's half. The entity is not
# asked for: without statistics the planner might take that for a reason to read a trust's whole part of the table.
PLACES: Final = {"position": "position_id", "organisation": "organisation_id"}

Index(
    "facts_by_position",
    FACTS.c.vpd,
    text("(data ->> 'position_id')"),
    postgresql_where=text("owner <> '' AND (data ->> 'position_id') IS NOT NULL"),
    _table=FACTS,
)
Index(
    "facts_by_organisation",
    FACTS.c.vpd,
    text("(data ->> 'organisation_id')"),
    postgresql_where=text("owner <> '' AND (data ->> 'organisation_id') IS NOT NULL"),
    _table=FACTS,
)
Index(
    "facts_by_ni_number",
    FACTS.c.vpd,
    text("(data ->> 'ni_number')"),
    postgresql_where=text("(data ->> 'ni_number') IS NOT NULL"),
    _table=FACTS,
)
Index(
    "facts_by_birth_and_name",
    FACTS.c.vpd,
    text("(data ->> 'date_of_birth')"),
    text("regexp_replace(lower((data ->> 'last_name') COLLATE \"C\"), '[^a-z]', '', 'g')"),
    postgresql_where=text("(data ->> 'date_of_birth') IS NOT NULL"),
    _table=FACTS,
)
Index(
    "facts_by_birth_and_previous_name",
    FACTS.c.vpd,
    text("(data ->> 'date_of_birth')"),
    text("regexp_replace(lower((data ->> 'previous_last_name') COLLATE \"C\"), '[^a-z]', '', 'g')"),
    postgresql_where=text("(data ->> 'previous_last_name') IS NOT NULL"),
    _table=FACTS,
)
