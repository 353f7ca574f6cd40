"""The tables of ``outbound``: what should be where, what was accepted, and the files that left for ESR."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

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
    Index("accounts_dirty", "vpd", postgresql_where=text("dirty")),
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
    Column("state", Text, nullable=False, comment="waiting, written, sent, confirmed, rejected or unsendable"),
    Column("code", Text, nullable=False, server_default=""),
    Column("reference", Text),
    Column("sent_file", Text),
    Column("position", Integer),
    Index("completions_by_reference", "vpd", "reference", unique=True),
    Index("completions_waiting", "vpd", postgresql_where=text("state = 'waiting'")),
    Index("completions_by_file", "vpd", "sent_file"),
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


async def counts(connection: AsyncConnection, vpd: str) -> dict[str, dict[str, int]]:
    """Return how many accounts, deliveries and completions of a trust are in which state."""
    number = func.count().label("number")
    accounts = await connection.execute(_ACCOUNT_STATES, {"vpd": vpd})
    deliveries = await connection.execute(
        select(DELIVERIES.c.kind, DELIVERIES.c.state, number)
        .where(DELIVERIES.c.vpd == vpd)
        .group_by(DELIVERIES.c.kind, DELIVERIES.c.state)
    )
    completions = await connection.execute(
        select(COMPLETIONS.c.state, number).where(COMPLETIONS.c.vpd == vpd).group_by(COMPLETIONS.c.state)
    )
    found: dict[str, dict[str, int]] = {
        "accounts": {row.state: row.number for row in accounts},
        "certification": {},
        "evidence": {},
        "completions": {row.state: row.number for row in completions},
    }
    for row in deliveries:
        found[row.kind][row.state] = row.number
    return found


_ACCOUNT_STATES: Final = text(
    "SELECT CASE WHEN refused <> '' THEN 'refused' WHEN seen IS NULL THEN 'none' "
    "WHEN (seen->>'suspended')::boolean THEN 'suspended' "
    "WHEN seen->>'account_type' = 'TEMP' THEN 'temporary' ELSE 'permanent' END AS state, count(*) AS number "
    "FROM outbound.accounts WHERE vpd = :vpd GROUP BY 1"
)
