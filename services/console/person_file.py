"""The file of one person, put together: what every service holds of them, and the dead letters about them.

It is whole or it is not made: a service that cannot be asked is an error, never a gap.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console import showing, store
from services.console.identity import STAFF as NUMBERS
from services.console.identity import staff_hash
from services.console.tables import DEEDS, LETTERS, STAFF
from shared.clock import Clock
from shared.db.engine import Reader
from shared.db.unit import Work
from shared.person_file import FOR_EVER

SERVICES: Final = ("people", "competency", "outbound", "confirmations", "ingest")
"""Services that are asked, in the order in which the file tells of them."""

NOT_INCLUDED: Final = (
    "Raw files of ESR and the LMS. They are deleted after archive_days of the settings, and not searched.",
    "Backups of the database and of the archive. The trust decides how long it keeps them.",
    "Messages between the services, which are on their way for seconds and say what the parts above say.",
    "What records of other people say of this one, for example as somebody's manager.",
    "Accounts of the LMS that were looked at when this person's account was sought. They may be other people's.",
    "Who looked at this file. The audit tells that.",
    "Logs hold no personal data: ids of records, numbers of lines and codes only.",
)

Section = dict[str, Any]
Ask = Callable[[str], Awaitable[list[Section]]]
"""Returns what a service holds of the person."""


async def whole(ask: Ask, reader: Reader, clock: Clock, vpd: str, person_id: str) -> dict[str, Any]:
    """Return a person's file: ``vpd``, ``person_id``, ``made_at``, ``services`` and ``not_included``.

    Raises what ``ask`` raises where a service cannot be asked.
    """
    told = await asyncio.gather(*(ask(service) for service in SERVICES))
    parts = dict(zip(SERVICES, told, strict=True))
    async with reader.trust(vpd) as connection:
        letters = await letters_about(connection, vpd, {person_id, *numbers_of(parts["people"])})
    services = [{"service": name, "sections": found} for name, found in (*parts.items(), ("console", letters)) if found]
    return {
        "vpd": vpd,
        "person_id": person_id,
        "made_at": clock.now().isoformat(),
        "services": services,
        "not_included": list(NOT_INCLUDED),
    }


async def handed_out(
    work: Work, reader: Reader, ask: Ask, vpd: str, person_id: str, who: str, why: str
) -> dict[str, Any]:
    """Return a person's file after writing down who asked for it and why. Raises what ``ask`` raises."""
    async with work.engine.begin() as connection:
        subject = staff_hash(await store.staff_key(connection, vpd), vpd, person_id)
    file = await whole(ask, reader, work.clock, vpd, person_id)
    async with work.engine.begin() as connection:
        said = {"vpd": vpd, "at": datetime.now(UTC), "who": who, "subject": subject, "column": "", "why": why}
        await connection.execute(insert(DEEDS).values(said | {"deed": "downloaded a person's file (json)"}))
    return file


def numbers_of(said: Sequence[Section]) -> set[str]:
    """Return the staff numbers under which the person is known, besides the person ID."""
    rows = (row for one in said if one["name"] == "facts" for row in one["rows"])
    values = (row["data"].get(name) for row in rows for name in NUMBERS if isinstance(row.get("data"), Mapping))
    return {value for value in values if isinstance(value, str) and value.strip()}


async def letters_about(connection: AsyncConnection, vpd: str, numbers: set[str]) -> list[Section]:
    """Return dead letters in which any of these staff numbers stands: as received, and each edit."""
    key = await store.known_staff_key(connection, vpd)
    hashes = sorted({staff_hash(key, vpd, one) for one in numbers})
    about = select(STAFF.c.letter).where(STAFF.c.vpd == vpd, STAFF.c.hash.in_(hashes))
    found = select(LETTERS).where(LETTERS.c.vpd == vpd, LETTERS.c.id.in_(about))
    rows = (await connection.execute(found.order_by(LETTERS.c.file_no, LETTERS.c.line, LETTERS.c.id))).all()
    letters, edits = [], []
    for row in rows:
        letters.append(showing.summary(row) | {"record": _body(store.original_of(row).body)})
        for edit in await store.edits(connection, vpd, row.id):
            said = {"letter": row.id, "number": edit.number, "at": edit.at.isoformat(), "record": _body(edit.body)}
            edits.append(said | {"columns": edit.columns})
    sections = (
        ("dead_letters", "records about the person that failed, as received", letters),
        ("edits", "what operators made of them", edits),
    )
    return [{"name": name, "about": about, "kept": FOR_EVER, "rows": rows} for name, about, rows in sections if rows]


def flat(row: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of a row, each with the path to it: what is empty is left out."""
    for name, value in row.items():
        here = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            yield from flat(value, here)
        elif isinstance(value, list):
            yield from flat({str(place): one for place, one in enumerate(value, 1)}, here)
        elif value not in (None, ""):
            yield here, value if isinstance(value, str) else json.dumps(value)


def rows_of(file: Mapping[str, Any]) -> Iterator[tuple[str, str, int, str, str]]:
    """Yield every value of a file as service, part, number of the row, name and value."""
    for service in file["services"]:
        for section in service["sections"]:
            for number, row in enumerate(section["rows"], 1):
                for name, value in flat(row):
                    yield service["service"], section["name"], number, name, value


def counted(file: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the file without any value: of each part how many rows, and which names of values stand in them."""
    return [
        {
            "service": service["service"],
            "sections": [
                {
                    "name": one["name"],
                    "about": one["about"],
                    "kept": one["kept"],
                    "rows": len(one["rows"]),
                    "names": sorted({name for row in one["rows"] for name, _ in flat(row)}),
                }
                for one in service["sections"]
            ],
        }
        for service in file["services"]
    ]


def name_of(file: Mapping[str, Any], kind: str, today: datetime) -> str:
    """Return a name for a download that tells nothing about the person."""
    return f"person-{file['vpd']}-{today:%Y%m%d-%H%M%S}.{kind}"


def _body(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
