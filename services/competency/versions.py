"""The SQL of versions of mappings: drafts, what is in force, and what operators did."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency.schema import MAPPING_ACTIONS, MAPPING_STATE, MAPPING_VERSIONS
from shared.mapping_settings import MappingSet, as_json

BRIDGE_YAML: Final = 0
"""The version of a trust that never applied one: what ``bridge.yaml`` says."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which version is in force in a trust, and which will be from a later day on."""

    version: int
    next_version: int | None = None
    next_on: date | None = None


async def hold(connection: AsyncConnection, vpds: Iterable[str]) -> dict[str, int]:
    """Return the version in force in each trust. Until the transaction ends, none of them changes.

    So whoever is decided for under the old one is seen by who applies a new one, and decided for again.
    """
    wanted = {"vpds": sorted(set(vpds))}
    found = {row.vpd: row.version for row in await connection.execute(_HOLD, wanted)}
    if len(found) < len(wanted["vpds"]):
        await connection.execute(_FIRST, wanted)
        found = {row.vpd: row.version for row in await connection.execute(_HOLD, wanted)}
    return found


async def lock(connection: AsyncConnection, vpd: str) -> Standing:
    """Wait for whoever decides under the version of a trust; return how it stands."""
    await connection.execute(_FIRST, {"vpds": [vpd]})
    query = select(MAPPING_STATE).where(MAPPING_STATE.c.vpd == vpd).with_for_update()
    row = (await connection.execute(query)).one()
    return Standing(row.version, row.next_version, row.next_on)


async def standing(connection: AsyncConnection, vpd: str) -> Standing:
    """Return how it stands, without waiting for anyone."""
    row = (await connection.execute(select(MAPPING_STATE).where(MAPPING_STATE.c.vpd == vpd))).first()
    return Standing(row.version, row.next_version, row.next_on) if row else Standing(BRIDGE_YAML)


async def stand(connection: AsyncConnection, vpd: str, now: Standing) -> None:
    """Say which version is in force; the caller has locked the trust's row."""
    said = {"version": now.version, "next_version": now.next_version, "next_on": now.next_on}
    await connection.execute(update(MAPPING_STATE).where(MAPPING_STATE.c.vpd == vpd).values(said))


async def begin(connection: AsyncConnection, day: date) -> list[str]:
    """Return the trusts in which another version comes into force by ``day``."""
    query = select(MAPPING_STATE.c.vpd).where(MAPPING_STATE.c.next_on <= day).order_by(MAPPING_STATE.c.vpd)
    return list(await connection.scalars(query))


async def version(connection: AsyncConnection, vpd: str, number: int) -> Row[Any] | None:
    """Return one version as stored, or None."""
    query = select(MAPPING_VERSIONS).where(MAPPING_VERSIONS.c.vpd == vpd, MAPPING_VERSIONS.c.version == number)
    return (await connection.execute(query)).first()


async def draft(connection: AsyncConnection, vpd: str) -> Row[Any] | None:
    """Return the draft of a trust, or None; there is one at most."""
    query = select(MAPPING_VERSIONS).where(MAPPING_VERSIONS.c.vpd == vpd, MAPPING_VERSIONS.c.state == "draft")
    return (await connection.execute(query)).first()


async def add(
    connection: AsyncConnection,
    vpd: str,
    said: MappingSet,
    *,
    state: str,
    base: int,
    who: str,
    why: str,
    at: datetime,
) -> int:
    """Store a new version under the next number and return it; the caller has locked the trust's row."""
    highest = select(func.coalesce(func.max(MAPPING_VERSIONS.c.version), 0)).where(MAPPING_VERSIONS.c.vpd == vpd)
    number: int = (await connection.execute(highest)).scalar_one() + 1
    row = {"vpd": vpd, "version": number, "state": state, "base": base, "content": as_json(said)}
    await connection.execute(insert(MAPPING_VERSIONS).values(row | {"who": who, "why": why, "at": at}))
    return number


async def change(connection: AsyncConnection, vpd: str, number: int, **values: Any) -> None:  # noqa: ANN401 - columns
    """Change columns of a version."""
    mine = (MAPPING_VERSIONS.c.vpd == vpd) & (MAPPING_VERSIONS.c.version == number)
    await connection.execute(update(MAPPING_VERSIONS).where(mine).values(values))


async def note(
    connection: AsyncConnection, vpd: str, action: str, number: int, who: str, why: str, at: datetime
) -> None:
    """Write down what somebody did with a version."""
    row = {"vpd": vpd, "at": at, "who": who, "action": action, "version": number, "why": why}
    await connection.execute(insert(MAPPING_ACTIONS).values(row))


async def history(connection: AsyncConnection, vpd: str, limit: int = 1000) -> list[dict[str, Any]]:
    """Return what was done, newest first."""
    query = select(MAPPING_ACTIONS).where(MAPPING_ACTIONS.c.vpd == vpd).order_by(MAPPING_ACTIONS.c.id.desc())
    return [
        {
            "at": row.at.isoformat(timespec="seconds"),
            "action": row.action,
            "version": row.version,
            "who": row.who,
            "why": row.why,
        }
        for row in await connection.execute(query.limit(limit))
    ]


_HOLD: Final = text(
    "SELECT vpd, version FROM competency.mapping_state WHERE vpd = ANY(CAST(:vpds AS text[])) ORDER BY vpd FOR SHARE"
)

_FIRST: Final = text(
    "INSERT INTO competency.mapping_state (vpd, version) SELECT vpd, 0 FROM unnest(CAST(:vpds AS text[])) AS t(vpd) "
    "ORDER BY vpd ON CONFLICT (vpd) DO NOTHING"
)
