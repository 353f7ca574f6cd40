"""The proof at the end: every line accounted for, every desired row right, no event missing or said twice.

Which events there must be follows from the tables: a person's and a place's revision counts what was told of them, and
each decision that is on its way to the LMS was told under its revision. What was published is what the tap heard. Both
are compared in the database, event by event.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from bench.national.database import connected
from bench.national.files import Written
from bench.national.world import World
from shared.accounting import Fate

_Event = tuple[str, str, str, str, int]


class _Person(msgspec.Struct):
    person_id: str = ""
    revision: int = 0


class _Said(msgspec.Struct):
    """What tells events apart, of any event."""

    vpd: str = ""
    person: _Person | None = None
    person_id: str = ""
    kind: str = ""
    key: str = ""
    revision: int = 0


def prove(world: World, written: Sequence[Written], *, tapped: bool = True, again: bool = False) -> dict[str, int]:
    """Return what was counted; raise SystemExit naming every count that is not as it must be.

    ``again``: something was down, so that messages may have come twice, each under its one id.
    """
    counted = asyncio.run(_count(world, written, tapped))
    counted["dead letters queued"] = sum(world.queues.depth(f"{name}.dead") for name in _QUEUES)
    wrong = {name: value for name, value in counted.items() if name in _MUST_BE_ZERO and value}
    if again:
        wrong.pop("events said twice", None)
    if wrong:
        raise SystemExit(f"the night does not add up: {wrong} of {counted}")
    return counted


async def _count(world: World, written: Sequence[Written], tapped: bool) -> dict[str, int]:
    async with connected(world.url) as connection:
        counted = {name: await connection.fetchval(query) for name, query in _ASKED.items()}
        counted |= await _files(connection, written)
        if tapped:
            await connection.execute(_TABLE)
            for some in _some(_events(world), 20_000):
                await connection.copy_records_to_table("heard", schema_name="bench", records=some)
            await connection.execute("CREATE INDEX ON bench.heard (vpd, subject, key, revision); ANALYZE bench.heard")
            counted |= {name: await connection.fetchval(query) for name, query in _HEARD.items()}
        return counted


async def _files(connection: Any, written: Sequence[Written]) -> dict[str, int]:  # noqa: ANN401
    """Compare each file's account, and the rows desired for its trust, with what was written."""
    found = {"lines": 0, "lines not applied": 0, "accounts off": 0, "certifications off": 0, "evidence off": 0}
    for one in written:
        row = await connection.fetchrow(_FILE, one.vpd, one.path.name)
        fates = msgspec.json.decode(row["fates"], type=dict[str, int])
        found["lines"] += sum(fates.values())
        found["lines not applied"] += one.records - fates.get(str(int(Fate.APPLIED)), 0)
        accounts, certifications, evidence = await connection.fetchrow(_DESIRED, one.vpd)
        found["accounts off"] += abs(accounts - one.people)
        found["certifications off"] += abs(certifications - one.certifications)
        found["evidence off"] += abs(evidence - one.evidence)
    return found


def _events(world: World) -> Iterator[_Event]:
    decoder = msgspec.json.Decoder(_Said)
    for message_id, body in world.queues.heard():
        said = decoder.decode(body)
        if said.person is not None:
            yield message_id, said.vpd, said.person.person_id, "", said.person.revision
        elif said.person_id:
            yield message_id, said.vpd, said.person_id, said.key, said.revision
        elif said.key:
            yield message_id, said.vpd, said.kind, said.key, said.revision


def _some(events: Iterable[_Event], limit: int) -> Iterator[list[_Event]]:
    batch: list[_Event] = []
    for event in events:
        batch.append(event)
        if len(batch) == limit:
            yield batch
            batch = []
    if batch:
        yield batch


_QUEUES: Final = (
    "people.records", "competency.records", "competency.events", "outbound.events", "confirmations.events",
    "ingest.outcomes", "console.outcomes",
)  # fmt: skip

_TOLD: Final = "verdict IN ('certification', 'evidence')"

_TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS bench;
DROP TABLE IF EXISTS bench.heard;
CREATE UNLOGGED TABLE bench.heard (id text, vpd text, subject text, key text, revision bigint)
"""

_FILE: Final = "SELECT fates FROM ingest.files WHERE vpd = $1 AND name = $2"

_DESIRED: Final = """
SELECT (SELECT count(*) FROM outbound.accounts WHERE vpd = $1),
    count(*) FILTER (WHERE kind = 'certification'), count(*) FILTER (WHERE kind = 'evidence')
FROM outbound.deliveries WHERE vpd = $1
"""

_ASKED: Final = {
    "dead letters": "SELECT count(*) FROM console.dead_letters",
    "events unpublished": "SELECT (SELECT count(*) FROM people.outbox) + (SELECT count(*) FROM competency.outbox)",
    "people whose newest word outbound has not": """
        SELECT count(*) FROM people.people p LEFT JOIN outbound.accounts a USING (vpd, person_id)
        WHERE p.state <> 'unknown' AND a.revision IS DISTINCT FROM p.revision""",
    "decisions whose newest word outbound has not": f"""
        SELECT count(*) FROM competency.decisions d LEFT JOIN outbound.deliveries o USING (vpd, person_id, key)
        WHERE d.{_TOLD} AND o.revision IS DISTINCT FROM d.revision""",
}

_HEARD: Final = {
    "events": "SELECT count(DISTINCT id) FROM bench.heard",
    "events expected": f"""
        SELECT (SELECT coalesce(sum(revision), 0)::bigint FROM people.people)
            + (SELECT coalesce(sum(revision), 0)::bigint FROM people.hierarchy)
            + (SELECT count(*) FROM competency.decisions WHERE {_TOLD})""",
    "events said twice": "SELECT count(*) - count(DISTINCT id) FROM bench.heard",
    "events of people missing": """
        SELECT count(*) FROM people.people p CROSS JOIN generate_series(1, p.revision) AS r
        WHERE NOT EXISTS (SELECT 1 FROM bench.heard h
            WHERE (h.vpd, h.subject, h.key, h.revision) = (p.vpd, p.person_id, '', r))""",
    "events of decisions missing": f"""
        SELECT count(*) FROM competency.decisions d WHERE {_TOLD} AND NOT EXISTS (SELECT 1 FROM bench.heard h
            WHERE (h.vpd, h.subject, h.key, h.revision) = (d.vpd, d.person_id, d.key, d.revision))""",
    "events of nothing": """
        SELECT count(*) FROM bench.heard h WHERE NOT (
            EXISTS (SELECT 1 FROM people.people p WHERE (p.vpd, p.person_id) = (h.vpd, h.subject)
                AND h.key = '' AND h.revision <= p.revision)
            OR EXISTS (SELECT 1 FROM people.hierarchy p WHERE p.vpd = h.vpd AND p.key = h.key
                AND h.revision <= p.revision)
            OR EXISTS (SELECT 1 FROM competency.decisions d WHERE (d.vpd, d.person_id, d.key)
                = (h.vpd, h.subject, h.key) AND h.revision <= d.revision))""",
}

_MUST_BE_ZERO: Final = frozenset(_ASKED) | frozenset(_HEARD) - {"events", "events expected"} | {
    "lines not applied", "accounts off", "certifications off", "evidence off", "dead letters queued",
}  # fmt: skip
