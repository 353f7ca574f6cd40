"""The tables of ``console``: dead letters, their edits, who did what, and operations upon many of them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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

from services.console.web import tables as web
from shared.db import tables

SCHEMA: Final = "console"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)

BESIDE: Final = ("assignee", "hold_until")
"""Columns that stand in indexes, so that letters which are assigned or held are passed over without being read."""
BESIDE_SOME: Final = ("cause", "first_at", "hold_until")
"""The same of the letters of one assignee or ticket."""

LETTERS: Final = Table(
    "dead_letters",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", Text, primary_key=True, comment="the message's id"),
    Column("state", Text, nullable=False, comment="open, replayed, resolved or discarded"),
    Column("queue", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("file_no", BigInteger, nullable=False),
    Column("line", Integer, nullable=False),
    Column("replay", Integer, nullable=False, comment="replays it has been through"),
    Column("failures", Integer, nullable=False, comment="times it was given up"),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("message", LargeBinary, nullable=False, comment="as first received; kept for ever"),
    Column("edited", LargeBinary, comment="the body an operator put in its place"),
    Column("cause", Text, nullable=False, server_default="", comment="code, queue and type: what it is grouped by"),
    Column("staff", ARRAY(Text), nullable=False, server_default="{}", comment="keyed hashes of staff numbers"),
    Column("subject", Text, nullable=False, server_default="", comment="keyed hash of the record's own key"),
    Column("assignee", Text, nullable=False, server_default=""),
    Column("hold_until", DateTime(timezone=True), comment="not to be replayed before"),
    Column("ticket", Text, nullable=False, server_default=""),
    Column("edits", Integer, nullable=False, server_default="0", comment="how often it was edited"),
    Column("sent_at", DateTime(timezone=True), comment="of the last replay"),
    Column("sent_edits", Integer, nullable=False, server_default="0", comment="edits it had had at the last replay"),
    Column("closed_at", DateTime(timezone=True)),
    Column("outcome", Text, nullable=False, server_default="", comment="what became of its line in the end"),
    Index("dead_letters_by_state", "vpd", "state", "code", "file_no", "line", "id"),
    Index("dead_letters_by_line", "vpd", "file", "line"),
    Index("dead_letters_by_place", "vpd", "state", "file_no", "line", "id", postgresql_include=BESIDE),
    Index("dead_letters_by_age", "vpd", "state", "first_at", "id", postgresql_include=BESIDE),
    Index("dead_letters_by_cause", "vpd", "state", "cause", "file_no", "line", "id", postgresql_include=BESIDE),
    Index("dead_letters_by_cause_age", "vpd", "state", "cause", "first_at", "id", postgresql_include=BESIDE),
    Index(
        "dead_letters_by_assignee",
        "vpd",
        "assignee",
        "state",
        "file_no",
        "line",
        "id",
        postgresql_include=BESIDE_SOME,
        postgresql_where=text("assignee <> ''"),
    ),
    Index(
        "dead_letters_by_ticket",
        "vpd",
        "ticket",
        "state",
        "file_no",
        "line",
        "id",
        postgresql_include=BESIDE_SOME,
        postgresql_where=text("ticket <> ''"),
    ),
    Index("dead_letters_held", "vpd", "hold_until", postgresql_where=text("hold_until IS NOT NULL")),
    Index("dead_letters_by_subject", "vpd", "subject", postgresql_where=text("subject <> ''")),
    Index("dead_letters_undescribed", "vpd", "id", postgresql_where=text("cause = ''")),
)

STAFF: Final = Table(
    "letter_staff",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("letter", Text, primary_key=True),
)
"""By which staff numbers a letter is found. Under row security no index is used for the containment of arrays."""

EDITS: Final = Table(
    "edits",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("letter", Text, primary_key=True),
    Column("number", Integer, primary_key=True, comment="1 is the first edit"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("columns", JSONB, nullable=False, comment="names of the columns that changed"),
    Column("body", LargeBinary, nullable=False, comment="the record after this edit; kept for ever"),
)

ACTIONS: Final = Table(
    "actions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("letter", Text, nullable=False, comment="empty where the action is about an operation as a whole"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("columns", JSONB, nullable=False, server_default="[]", comment="names of edited columns, never values"),
    Column("operation", BigInteger, nullable=False, server_default="0", comment="0 for an action on its own"),
    Column("before", JSONB, nullable=False, server_default="{}"),
    Column("after", JSONB, nullable=False, server_default="{}"),
    Index("actions_by_letter", "vpd", "letter", "id"),
    Index("actions_by_time", "vpd", "at", "id"),
    Index("actions_by_who", "vpd", "who", "at", "id"),
    Index("actions_by_deed", "vpd", "action", "at", "id"),
    Index("actions_by_operation", "vpd", "operation", "id", postgresql_where=text("operation <> 0")),
)

OPERATIONS: Final = Table(
    "operations",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False, comment="replay or discard"),
    Column("state", Text, nullable=False),
    Column("who", Text, nullable=False, comment="who made the plan"),
    Column("why", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("selection", JSONB, nullable=False),
    Column("ids", ARRAY(Text), nullable=False, server_default="{}", comment="letters named one by one"),
    Column("collected", Integer, nullable=False, server_default="0", comment="ids, or letters, looked at so far"),
    Column("after", Text, nullable=False, server_default="", comment="the letter collected last"),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("expected", JSONB, nullable=False, server_default="{}", comment="how many letters are to do what"),
    Column("approver", Text, nullable=False, server_default=""),
    Column("starter", Text, nullable=False, server_default=""),
    Column("canary", Integer, nullable=False),
    Column("per_second", Integer, nullable=False),
    Column("allowed_percent", Integer, nullable=False),
    Column("insist", Boolean, nullable=False, server_default=false(), comment="send what is expected to fail, too"),
    Column("place", Integer, nullable=False, server_default="0", comment="letters that had their turn"),
    Column("sent", Integer, nullable=False, server_default="0"),
    Column("stage", Text, nullable=False, server_default="canary"),
    Column("stage_end", Integer, nullable=False, server_default="0", comment="the place at which the stage ends"),
    Column("forgiven", Integer, nullable=False, server_default="0", comment="failures before it was resumed"),
    Column("next_at", DateTime(timezone=True), comment="not to send before: the rate limit"),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False, server_default="", comment="why it stands still"),
    Index("operations_at_work", "vpd", "id", postgresql_where=text("state IN ('collecting', 'running')")),
)

ITEMS: Final = Table(
    "operation_letters",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("operation", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True, comment="1 goes first"),
    Column("letter", Text, nullable=False),
    Column("replay", Integer, nullable=False, comment="the letter as planned: replays it had been through"),
    Column("edits", Integer, nullable=False, comment="the letter as planned: edits it had had"),
    Column("line", Integer, nullable=False, comment="0: nothing will tell what became of it"),
    Column("expected", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False, server_default="", comment="of the failure, or why it was left out"),
    Column("at", DateTime(timezone=True)),
    Index("operation_letters_each_once", "vpd", "operation", "letter", unique=True),
    Index("operation_letters_by_state", "vpd", "operation", "state", "place"),
    Index("operation_letters_gone", "vpd", "letter", postgresql_where=text("state IN ('sent', 'quiet', 'parked')")),
)

KEYS: Final = Table(
    "staff_keys",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("key", LargeBinary, nullable=False, comment="of the hashes of this trust's staff numbers"),
)

SESSIONS: Final = web.sessions(METADATA)
SIGN_INS: Final = web.sign_ins(METADATA)
ATTEMPTS: Final = web.attempts(METADATA)
DEEDS: Final = web.deeds(METADATA)
