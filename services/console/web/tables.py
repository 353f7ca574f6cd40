"""Tables of the console's web half. What belongs to no trust has an empty one, which no trust's reader sees."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB


def sessions(metadata: MetaData) -> Table:
    """Who is signed in. The cookie's value is stored hashed: reading the table lets nobody in."""
    return Table(
        "sessions",
        metadata,
        Column("vpd", Text, primary_key=True, comment="empty"),
        Column("id", Text, primary_key=True, comment="hash of the cookie's value"),
        Column("who", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("roles", JSONB, nullable=False, comment="role names by trust"),
        Column("csrf", Text, nullable=False),
        Column("started_at", DateTime(timezone=True), nullable=False),
        Column("seen_at", DateTime(timezone=True), nullable=False),
        Index("sessions_by_seen", "vpd", "seen_at"),
    )


def sign_ins(metadata: MetaData) -> Table:
    """Sign-ins that have begun and not come back from the identity provider."""
    return Table(
        "sign_ins",
        metadata,
        Column("vpd", Text, primary_key=True, comment="empty"),
        Column("id", Text, primary_key=True, comment="hash of the cookie's value"),
        Column("state", Text, nullable=False),
        Column("nonce", Text, nullable=False),
        Column("verifier", Text, nullable=False),
        Column("next", Text, nullable=False, comment="path to go on to"),
        Column("started_at", DateTime(timezone=True), nullable=False),
        Index("sign_ins_by_start", "vpd", "started_at"),
    )


def attempts(metadata: MetaData) -> Table:
    """Attempts to sign in, counted in windows."""
    return Table(
        "attempts",
        metadata,
        Column("vpd", Text, primary_key=True, comment="empty"),
        Column("id", Text, primary_key=True, comment="hash of the account or address"),
        Column("number", Integer, nullable=False),
        Column("since", DateTime(timezone=True), nullable=False),
        Index("attempts_by_since", "vpd", "since"),
    )


def deeds(metadata: MetaData) -> Table:
    """Who signed in, and who looked at which personal value, and why. Rows are added only; the database sees to it."""
    return Table(
        "deeds",
        metadata,
        Column("vpd", Text, primary_key=True, comment="empty: about no trust"),
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("who", Text, nullable=False),
        Column("deed", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("column", Text, nullable=False, comment="name of the column revealed, never its value"),
        Column("why", Text, nullable=False),
        Index("deeds_by_time", "vpd", "at", "id"),
    )
