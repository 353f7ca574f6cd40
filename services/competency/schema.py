"""The tables of ``competency``."""

from typing import Final

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.db import tables

SCHEMA: Final = "competency"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
FACTS: Final = tables.facts(METADATA)
Index(
    "facts_requirements",
    FACTS.c.vpd,
    postgresql_where=text("entity = 'competency_element' AND data ->> 'competency_type' = 'REQUIREMENT'"),
)
DELETIONS: Final = tables.deletions(METADATA)
NIGHTS: Final = tables.nights(METADATA)
NIGHT_RUNS: Final = tables.night_runs(METADATA)

PEOPLE: Final = Table(
    "people",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("state", Text, nullable=False, comment="empty until people has told of the person"),
    Column("revision", BigInteger, nullable=False),
    Column("hire_date", Text, nullable=False, server_default="", comment="ISO, empty when not hired yet or not known"),
)

DECISIONS: Final = Table(
    "decisions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("source", Text, primary_key=True, comment="esr or lms"),
    Column("key", Text, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("need", Text, nullable=False, comment="competence id or name a parked decision waits for"),
    Column("decision", JSONB, nullable=False),
    Column("answer", Text, nullable=False, server_default="", comment="ESR's answer to a completion we sent"),
    Index("decisions_by_verdict", "vpd", "verdict"),
)

MAPPING_VERSIONS: Final = Table(
    "mapping_versions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False, comment="draft, applied or discarded"),
    Column("base", BigInteger, nullable=False, comment="the version that was in force when the draft was begun"),
    Column("before", BigInteger, comment="the version that this one took the place of"),
    Column("content", JSONB, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("mapping_one_draft", "vpd", unique=True, postgresql_where=text("state = 'draft'")),
)

MAPPING_STATE: Final = Table(
    "mapping_state",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("version", BigInteger, nullable=False, comment="in force; 0: the mappings of bridge.yaml"),
    Column("next_version", BigInteger, comment="applied, and in force from a later day on"),
    Column("next_on", Date),
)

MAPPING_ACTIONS: Final = Table(
    "mapping_actions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False, comment="draft, discard, apply, begin or undo"),
    Column("version", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)

AGAIN: Final = Table(
    "again",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True, comment="to be decided again"),
)

MISSING: Final = Table(
    "missing",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("name", Text, primary_key=True, comment="a competence of which it was told once that no mapping covers it"),
)

STAFF: Final = Table(
    "staff",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("human", Text, nullable=False, comment="person ID of the record that stands for this human"),
    Column("traits", ARRAY(Text), nullable=False, comment="what requirements may name; none: nothing is required"),
    Column("employee_number", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False, server_default="", comment="shown on request only"),
    Column("organisation_id", Text, nullable=False, server_default=""),
    Column("organisation_name", Text, nullable=False, server_default=""),
    Column("staff_group", Text, nullable=False, server_default=""),
    Column("position_name", Text, nullable=False, server_default=""),
)

HOLDINGS: Final = Table(
    "holdings",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("competence_id", Text, primary_key=True),
    Column("achieved_on", Date, primary_key=True),
    Column("expires_on", Date, comment="last valid day; null: for ever"),
)

ANSWERS: Final = Table(
    "answers",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("key", Text, primary_key=True, comment="of the decision that ESR was told of"),
    Column("sent_file", Text, primary_key=True),
    Column("position", Integer, primary_key=True, comment="with the file: which item ESR answered"),
    Column("reference", Text, nullable=False),
    Column("change", Text, nullable=False, comment="new, correction, resend or withdrawal"),
    Column("state", Text, nullable=False, comment="confirmed, rejected or overdue"),
    Column("code", Text, nullable=False),
    Column("esr_record_id", Text, nullable=False),
    Column("competence_id", Text, nullable=False, comment="with the two days: what the item said"),
    Column("achieved_on", Text, nullable=False),
    Column("expires_on", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("heard_at", DateTime(timezone=True), nullable=False),
)

COMPARISONS: Final = Table(
    "comparisons",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("file_no", BigInteger, primary_key=True, comment="of a full file"),
    Column("file", Text, nullable=False),
    Column("shows", DateTime(timezone=True), nullable=False, comment="moment up to which the file tells"),
    Column("compared", BigInteger, nullable=False, server_default="0"),
    Column("differences", BigInteger, nullable=False, server_default="0"),
    Column("compared_at", DateTime(timezone=True)),
    Index("comparisons_due", "vpd", "file_no", postgresql_where=text("compared_at IS NULL")),
)

DIFFERENCES: Final = Table(
    "differences",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("file_no", BigInteger, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("person_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("competence_id", Text, nullable=False),
    Column("achieved_on", Text, nullable=False),
    Column("expires_on", Text, nullable=False),
    Column("difference", Text, nullable=False, comment="missing, other_day or other_expiry"),
    Column("held", Text, nullable=False, comment="what the full file shows instead"),
)
