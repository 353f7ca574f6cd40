"""Tables that several services have alike, each in its own schema. Every primary key starts with the trust."""

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
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


def outbox(metadata: MetaData) -> Table:
    """What a transaction decided to say. One row holds all messages of one trust from one transaction."""
    return Table(
        "outbox",
        metadata,
        Column("vpd", Text, primary_key=True),
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("published_at", DateTime(timezone=True)),
        Column("messages", LargeBinary, nullable=False),
    )


def line_fates(metadata: MetaData) -> Table:
    """The fates of blocks of lines; see ``shared.accounting``."""
    return Table(
        "line_fates",
        metadata,
        Column("vpd", Text, primary_key=True),
        Column("file", Text, primary_key=True),
        Column("block", Integer, primary_key=True),
        Column("cells", LargeBinary, nullable=False),
    )


def facts(metadata: MetaData) -> Table:
    """What ESR and the LMS said, one row a fact, under the version (file number, line) that said it last."""
    return Table(
        "facts",
        metadata,
        Column("vpd", Text, primary_key=True),
        Column("entity", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("slice", Text, primary_key=True, comment="effective start of a date slice, else empty"),
        Column("owner", Text, nullable=False, comment="the person the fact is about, else empty"),
        Column("file", Text, nullable=False),
        Column("file_no", BigInteger, nullable=False),
        Column("line", Integer, nullable=False),
        Column("data", JSONB, nullable=False),
        Index("facts_by_owner", "vpd", "owner", "entity"),
    )


def deletions(metadata: MetaData) -> Table:
    """Tombstones: facts of this key with an older version are dead, whenever they arrive."""
    return Table(
        "deletions",
        metadata,
        Column("vpd", Text, primary_key=True),
        Column("entity", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("file_no", BigInteger, nullable=False),
        Column("line", Integer, nullable=False),
    )


def nights(metadata: MetaData) -> Table:
    """The steps of a service's nights, one row a day: see ``shared.nights``."""
    return Table(
        "nights",
        metadata,
        Column("vpd", Text, primary_key=True),
        Column("step", Text, primary_key=True),
        Column("day", Date, primary_key=True),
        Column("due_at", DateTime(timezone=True), nullable=False),
        Column("next_at", DateTime(timezone=True), nullable=False, comment="not to be tried before"),
        Column("state", Text, nullable=False, comment="due, running, failed (tried again), done or covered"),
        Column("started_at", DateTime(timezone=True), comment="of the last attempt"),
        Column("ended_at", DateTime(timezone=True)),
        Column("late", Boolean, nullable=False, server_default=false(), comment="ended too long after it was due"),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("result", JSONB, nullable=False, server_default="{}", comment="what was counted"),
        Column("code", Text, nullable=False, server_default="", comment="of the last failure"),
        Column("covered_by", Date, comment="a later day that was run for this one too"),
        Index("nights_pending", "due_at", postgresql_where=text("state IN ('due', 'running', 'failed')")),
    )


def night_runs(metadata: MetaData) -> Table:
    """Steps that somebody had run again for a date, with who and why."""
    return Table(
        "night_runs",
        metadata,
        Column("vpd", Text, primary_key=True),
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("step", Text, nullable=False),
        Column("day", Date, nullable=False),
        Column("asked_at", DateTime(timezone=True), nullable=False),
        Column("who", Text, nullable=False),
        Column("why", Text, nullable=False),
        Column("ended_at", DateTime(timezone=True)),
        Column("result", JSONB, nullable=False, server_default="{}", comment="what was counted"),
        Column("code", Text, nullable=False, server_default="", comment="of the failure"),
        Index("night_runs_by_night", "vpd", "step", "day"),
    )
