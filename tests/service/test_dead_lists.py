"""Lists, searches and counts of dead letters bring what they should, however they are found."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from alembic import command
from sqlalchemy import Connection, insert, select, text

from services.console import operations, store
from services.console.domain import STATES
from services.console.grouping import COUNTED, by_code
from services.console.search import Search, Selection, page
from services.console.tables import ITEMS, LETTERS
from services.console.web.night import letters as told_tonight
from shared.db.engine import make_engine
from shared.db.migrate import config_for
from tests.service.dead_rig import NOON, VPD, Rig, rigged

DICE: Final = random.Random(8)
CODES: Final = ("R101", "R103", "R902")
QUEUES: Final = ("people.records", "competency.records")
TYPES: Final = ("person.upsert", "element.upsert")
SOME: Final[dict[str, tuple[Any, ...]]] = {
    "state": (*STATES, None),
    "code": (*CODES, "R111", ""),
    "queue": (*QUEUES, "", ""),
    "type": (*TYPES, "", ""),
    "cause": (f"R103:{QUEUES[0]}:{TYPES[0]}", "", "", ""),
    "file": ("F2", "", "", ""),
    "assignee": ("ann", "", "", ""),
    "unassigned": (True, False, False),
    "ticket": ("INC-1", "", "", ""),
    "held": (True, False, None, None),
    "since": (NOON + timedelta(minutes=20), None, None),
    "until": (NOON + timedelta(minutes=70), None, None),
}
"""What searches are put together from."""


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords) as made:
        yield made


def letter(number: int, vpd: str = VPD) -> dict[str, Any]:
    code, queue, type_ = DICE.choice(CODES), DICE.choice(QUEUES), DICE.choice(TYPES)
    at = NOON + timedelta(minutes=DICE.randrange(90))
    return {
        "vpd": vpd,
        "id": f"{DICE.randrange(16**8):08x}{number:04x}",
        "state": DICE.choice(STATES),
        "queue": queue,
        "type": type_,
        "code": code,
        "reason": "a column is wrong",
        "stream": "feed",
        "file": f"F{number % 4}",
        "file_no": number % 4,
        "line": DICE.randrange(2, 30),
        "replay": 0,
        "failures": 1,
        "first_at": at,
        "last_at": at,
        "message": b"",
        "cause": store.cause_of(code, queue, type_),
        "assignee": DICE.choice(("", "ann", "bob")),
        "ticket": DICE.choice(("", "INC-1")),
        "hold_until": DICE.choice((None, NOON - timedelta(hours=1), NOON + timedelta(hours=1))),
    }


def matches(one: Mapping[str, Any], search: Search) -> bool:
    """Whether a letter passes every filter: the rule, told without a database."""
    names = ("state", "code", "queue", "type", "cause", "file", "assignee", "ticket")
    held = bool(one["hold_until"] and one["hold_until"] > NOON)
    return (
        all(not getattr(search, name) or one[name] == getattr(search, name) for name in names)
        and (not search.unassigned or not one["assignee"])
        and search.held in (None, held)
        and (search.since is None or one["first_at"] >= search.since)
        and (search.until is None or one["first_at"] < search.until)
    )


def in_order(one: Mapping[str, Any], search: Search) -> tuple[Any, ...]:
    narrow = search.file or search.assignee or search.ticket
    if (search.since or search.until) and not narrow:
        return (one["first_at"], one["id"])
    return (one["file_no"], one["line"], one["id"])


def searches() -> Iterator[Search]:
    yield from (Search(), Search(state=None), Search(state=None, code="R103"), Search(code="R111"))
    for _ in range(150):
        names = DICE.sample(sorted(SOME), DICE.randrange(1, 5))
        yield Search(**{name: DICE.choice(SOME[name]) for name in names})


@pytest.mark.parametrize("described", [True, False])
async def test_every_search_brings_in_pages_what_passes_its_filters_once_and_in_order(
    rig: Rig, described: bool
) -> None:
    mine = [letter(number) for number in range(160)]
    for one in mine[::20] if not described else []:
        one["cause"] = ""  # as an earlier release stored it
    others = [letter(number, "992") for number in range(160)]
    async with rig.engine.begin() as connection:
        await connection.execute(insert(LETTERS), [*mine, *others])
    found_some = 0
    async with rig.engine.connect() as connection:
        for search in searches():
            wanted = sorted((one for one in mine if matches(one, search)), key=lambda one: in_order(one, search))
            seen: list[str] = []
            while rows := await page(connection, VPD, search, NOON, after=seen[-1] if seen else "", limit=9):
                seen += [row.id for row in rows]
            assert seen == [one["id"] for one in wanted], search
            found_some += bool(seen)
    assert found_some > 80


async def test_a_plan_takes_what_a_search_by_kind_in_any_state_brings_and_says_what_each_is_to_do(rig: Rig) -> None:
    letters = await rig.letters(*["A!"] * 5)
    await rig.one.operator().discard(VPD, letters[1], "not needed")
    chosen = Selection(search=Search(state=None, code="R103", type="person.upsert"))
    plan = await rig.planner.plan(VPD, "replay", chosen, "ann", "mended")
    assert [one.letter for one in await rig.items(plan["operation"])] == letters
    assert plan["expected"] == {"apply": 4, "left_out": 1}


async def test_what_each_letter_of_a_plan_is_to_do_adds_up_over_its_stretches(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.collecting.STRETCH", 2)
    letters = await rig.letters(*["A!"] * 5)
    await rig.one.operator().discard(VPD, letters[4], "not needed")
    plan = await rig.planner.plan(VPD, "replay", Selection(search=Search(state=None)), "ann", "mended")
    assert (plan["total"], plan["expected"]) == (5, {"apply": 4, "left_out": 1})


@pytest.mark.parametrize("most", [1, 2, 3, 20_000])
async def test_the_numbers_of_a_plan_are_exact_however_few_of_its_letters_are_counted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("services.console.operations.COUNTED", most)
    await rig.letters(*["A!"] * 12)
    plan = await rig.planner.plan(VPD, "replay", Selection(search=Search()), "ann", "mended")
    number = plan["operation"]
    states = ["applied"] * 5 + ["failed"] * 3 + ["skipped"]
    async with rig.engine.begin() as connection:
        for place in range(13):
            if place:
                state = states[place - 1] if place <= len(states) else "waiting"
                mine = (ITEMS.c.operation == number) & (ITEMS.c.place == place)
                await connection.execute(ITEMS.update().where(mine).values(state=state))
            said = {"operation": number, "place": min(place, len(states))}
            await connection.execute(text("UPDATE console.operations SET place = :place WHERE id = :operation"), said)
            found = Counter(await connection.scalars(select(ITEMS.c.state).where(ITEMS.c.operation == number)))
            assert await operations.counts(connection, VPD, number) == dict(found)
            assert (await operations.shown(connection, VPD, number))["letters"] == dict(found)


async def test_a_letter_is_found_by_the_beginning_of_its_id_and_two_show_that_it_is_not_enough(rig: Rig) -> None:
    made = [letter(number) | {"id": said} for number, said in enumerate(("0abc1", "0abc2", "0abd", "0ab%", "f"))]
    async with rig.engine.begin() as connection:
        await connection.execute(insert(LETTERS), made)
        for said, ids in (("0abc", ["0abc1", "0abc2"]), ("0abc2", ["0abc2"]), ("0abe", []), ("f", ["f"]), ("g", [])):
            assert [row.id for row in await store.starting_with(connection, VPD, said)] == ids
        assert [row.id for row in await store.starting_with(connection, VPD, "0ab%")] == ["0ab%"]
        assert await store.starting_with(connection, "992", "0abc") == []


async def test_tonight_counts_by_code_and_says_where_it_has_not_counted_to_the_end(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.console.grouping.COUNTED", 3)
    kinds = [("R103", TYPES[0])] * 5 + [("R103", TYPES[1])] * 2 + [("R101", TYPES[0])] * 3
    made = [
        letter(number) | {"state": "open", "code": code, "cause": store.cause_of(code, QUEUES[0], type_)}
        for number, (code, type_) in enumerate(kinds)
    ]
    async with rig.engine.begin() as connection:
        await connection.execute(insert(LETTERS), made)
        assert await by_code(connection, VPD) == ({"R103": 5, "R101": 3}, frozenset({"R103"}))
    part = told_tonight({"R103": COUNTED, "R101": 3}, frozenset({"R103"}))
    assert part.sentence == "More than 20,003 records wait for an operator."
    assert part.facts == [("R103", "more than 20,000"), ("R101", 3)]
    assert told_tonight({"R101": 1_003}).sentence == "1,003 records wait for an operator."


async def test_a_plan_of_an_earlier_release_says_after_the_migration_what_each_letter_is_to_do(database: str) -> None:
    admin = make_engine(database, name="test", pool=1)

    async def go(way: str, revision: str) -> None:
        def run(connection: Connection) -> None:
            getattr(command, way)(config_for("console", connection), revision)

        async with admin.begin() as connection:
            await connection.run_sync(run)

    await go("downgrade", "console_0004")
    item = (
        "INSERT INTO console.operation_letters (vpd, operation, place, letter, replay, edits, line, expected, because, "
        "state) SELECT '991', :operation, n, CAST(n AS text), 0, 0, n, "
        "CASE WHEN n < 3 THEN 'apply' ELSE 'unknown' END, '', 'waiting' FROM generate_series(1, 5) AS n"
    )
    plan = (
        "INSERT INTO console.operations (vpd, kind, state, who, why, created_at, selection, canary, per_second, "
        "allowed_percent, changed_at) VALUES ('991', 'replay', 'planned', 'ann', '', now(), '{}', 5, 5, 5, now()) "
        "RETURNING id"
    )
    async with admin.begin() as connection:
        number = await connection.scalar(text(plan))
        empty = await connection.scalar(text(plan))
        await connection.execute(text(item), {"operation": number})
    await go("upgrade", "head")
    async with admin.connect() as connection:
        rows = (await connection.execute(text("SELECT id, expected FROM console.operations"))).all()
    await admin.dispose()
    assert {row.id: row.expected for row in rows} == {number: {"apply": 2, "unknown": 3}, empty: {}}
