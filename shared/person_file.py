"""The file of one person: all that a service holds of them, for whoever asks what is held about them.

Each service says in a ``HELD`` which of its tables speak of people and how a person is found there. A test compares
that with the tables there are, so that a new table cannot be forgotten. Values are not masked: whoever calls decides
who may see them, and writes down who did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Path
from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db.engine import Reader

Vpd = Annotated[str, Path(pattern=r"^[0-9]{3,4}$")]
PersonId = Annotated[str, Path(min_length=1, max_length=60, pattern=r"^[^\x00]+$")]

FOR_EVER: Final = "until the owner of the database deletes it; the bridge forgets nobody by itself"
"""How long most things are held."""
WHILE_TRUE: Final = "while it is so; replaced when something newer is known"
"""How long what is worked out from other things is held."""


@dataclass(frozen=True, slots=True)
class Who:
    """The person that is looked for."""

    vpd: str
    person_id: str

    @property
    def idnumber(self) -> str:
        """What the LMS calls the person."""
        return f"{self.vpd}-{self.person_id}"


@dataclass(frozen=True, slots=True)
class Held:
    """A table that speaks of people. ``without`` names columns that tell of others, or nothing to anybody."""

    table: Table
    about: str
    """What it is, in plain words."""
    kept: str
    mine: Callable[[Who], ColumnElement[bool]]
    """Which rows speak of a person."""
    without: tuple[str, ...] = ()


def by_person(table: Table) -> Callable[[Who], ColumnElement[bool]]:
    """Find rows by the person's id."""
    return lambda who: table.c.person_id == who.person_id


def by_owner(facts: Table) -> Callable[[Who], ColumnElement[bool]]:
    """Find facts by the person they are about."""
    return lambda who: facts.c.owner == who.person_id


def by_deleted_key(deletions: Table, facts: Table) -> Callable[[Who], ColumnElement[bool]]:
    """Find deletions of facts that are about the person, or of the person."""

    def mine(who: Who) -> ColumnElement[bool]:
        keys = select(facts.c.key).where(facts.c.vpd == who.vpd, facts.c.owner == who.person_id)
        return deletions.c.key.in_(keys) | (deletions.c.key == who.person_id)

    return mine


def by_idnumber(table: Table) -> Callable[[Who], ColumnElement[bool]]:
    """Find rows by what the LMS calls the person."""
    return lambda who: table.c.user_idnumber == who.idnumber


async def sections(connection: AsyncConnection, vpd: str, person_id: str, held: Sequence[Held]) -> list[dict[str, Any]]:
    """Return what tables hold of a person: ``name``, ``about``, ``kept`` and ``rows`` of each that holds anything."""
    who, found = Who(vpd, person_id), []
    for one in held:
        table = one.table
        columns = [column for column in table.c if column.name not in ("vpd", *one.without)]
        query = select(*columns).where(table.c.vpd == vpd, one.mine(who)).order_by(*table.primary_key.columns)
        rows = [_plain(dict(row)) for row in (await connection.execute(query)).mappings()]
        if rows:
            found.append({"name": table.name, "about": one.about, "kept": one.kept, "rows": rows})
    return found


def with_file(router: APIRouter, service: str, reader: Reader, held: Sequence[Held]) -> APIRouter:
    """Return the routes of a service, and the one of a person's file."""
    both = APIRouter()
    both.include_router(router)

    @both.get("/v1/trusts/{vpd}/people/{person_id:path}/file", tags=["one person's file"])
    async def file(vpd: Vpd, person_id: PersonId) -> dict[str, Any]:
        """Everything this service holds of one person, values included; no sections when it holds nothing."""
        async with reader.trust(vpd) as connection:
            return {"service": service, "sections": await sections(connection, vpd, person_id, held)}

    return both


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:  # noqa: ANN401 - a column's value, as JSON
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return msgspec.to_builtins(value)
