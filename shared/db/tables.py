"""Tables that several services have alike, each in its own schema. Every primary key starts with the trust."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
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
