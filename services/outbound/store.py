"""Figures over the tables of ``outbound``."""

from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outbound.tables import COMPLETIONS, DELIVERIES, METADATA, SCHEMA

__all__ = ["METADATA", "SCHEMA", "counts"]


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
