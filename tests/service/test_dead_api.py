"""Dead letters over HTTP, as ``console`` serves them: the same functions, with their refusals."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from esrbridge.embedded import as_role
from services.console import keeping
from shared.db.engine import make_engine
from tests.service.conftest import Serve
from tests.service.dead_rig import NOON, QUEUE, record

MINE = "/v1/trusts/991"
LETTERS = f"{MINE}/dead-letters"
RUNS = f"{MINE}/dead-letter-runs"
ANN, BOB = {"who": "ann", "why": "a test"}, {"who": "bob", "why": "a test"}
Open = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


@pytest.fixture
async def rows(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Open]:
    engine = make_engine(as_role(module_database, "console", passwords["console"]), name="test")

    @asynccontextmanager
    async def connect() -> AsyncIterator[AsyncConnection]:
        async with engine.begin() as connection:
            yield connection

    yield connect
    await engine.dispose()


async def keep(rows: Open, file: str, number: int, **more: Any) -> list[str]:
    """Store letters of one file; their queue is nobody's, so that what is sent is told of by nobody."""
    made = [record(line, "A!", file=file, file_no=7, person_id=f"{file}-{line}") for line in range(2, number + 2)]
    about = {"code": "R103", "queue": QUEUE, **more}
    ids = []
    async with rows() as connection:
        for one in made:
            letter = msgspec.structs.replace(one, message_id=f"{file}-{one.line:04}", **about)
            await keeping.keep(connection, [letter], NOON)
            ids.append(letter.message_id)
    return ids


async def test_letters_are_searched_paged_and_grouped(serve: Serve, rows: Open) -> None:
    ids = await keep(rows, "search", 5)
    async with serve("console") as running:
        ask = running.client.get
        first = await ask(LETTERS, params={"file": "search", "limit": 3})
        assert [one["id"] for one in first.json()] == ids[:3]
        second = await ask(first.links["next"]["url"])
        assert [one["id"] for one in second.json()] == ids[3:]
        assert "next" not in second.links
        staff = await ask(LETTERS, params={"staff": "search-4"})
        assert [one["id"] for one in staff.json()] == ["search-0004"]
        for params, number in (
            ({"line": 3}, 1), ({"code": "R103"}, 5), ({"code": "R1"}, 0), ({"type": "person.upsert"}, 5),
            ({"since": "2026-03-04T00:00:00Z"}, 0), ({"until": "2026-03-04T00:00:00Z"}, 5), ({"held": True}, 0),
            ({"unassigned": True}, 5), ({"state": "any"}, 5), ({"cause": f"R103:{QUEUE}:person.upsert"}, 5),
        ):  # fmt: skip
            found = (await ask(LETTERS, params={"file": "search", **params})).json()
            assert (params, len(found)) == (params, number)
        groups = (await ask(f"{LETTERS}/groups")).json()
        # The broker is shared: letters of other tests, in whatever order these run, may have been collected as well.
        assert f"R103:{QUEUE}:person.upsert" in [one["cause"] for one in groups]
        assert (await ask(f"{LETTERS}/alarm")).json()["alarm"] is True  # since March
        assert (await ask(LETTERS, params={"after": "nowhere"})).status_code == 409
        assert (await ask(LETTERS, params={"limit": 1001})).status_code == 422


async def test_one_letter_is_edited_with_its_history_sent_and_closed_and_opened_again(serve: Serve, rows: Open) -> None:
    one, other = await keep(rows, "single", 2)
    async with serve("console") as running:
        say, ask = running.client.post, running.client.get
        bad = await say(f"{LETTERS}/{one}/edit", json=ANN | {"columns": {"hire_date": "soon"}})
        assert (bad.status_code, "R103" in bad.text, "soon" in bad.text) == (409, True, False)
        done = await say(f"{LETTERS}/{one}/edit-and-replay", json=ANN | {"columns": {"last_name": "B"}, "edits": 0})
        assert (done.status_code, done.json()) == (202, {"id": one, "changed": ["last_name"], "state": "replayed"})
        [edit] = (await ask(f"{LETTERS}/{one}/edits")).json()
        assert edit["changes"] == [{"column": "last_name", "before": "***", "after": "***"}]
        assert (await ask(f"{LETTERS}/nowhere/edits")).status_code == 404
        assert (await say(f"{LETTERS}/{other}/discard", json=ANN)).json()["state"] == "discarded"
        assert (await say(f"{LETTERS}/{other}/undo", json=BOB)).json()["state"] == "open"
        deeds = (await ask(f"{LETTERS}/audit", params={"letter": other})).json()
        assert [(deed["who"], deed["action"]) for deed in deeds] == [("ann", "discard"), ("bob", "undo")]


async def test_many_letters_are_assigned_held_linked_and_noted(serve: Serve, rows: Open) -> None:
    ids = await keep(rows, "many", 3)
    async with serve("console") as running:
        say, match = running.client.post, {"match": {"file": "many"}}
        for action, more in (
            ("assign", {"assignee": "bob"}), ("hold", {"until": "2099-01-01T00:00:00+00:00"}),
            ("link", {"ticket": "INC-1"}), ("note", {}),
        ):  # fmt: skip
            answer = await say(f"{LETTERS}/{action}", json=ANN | match | more)
            assert (answer.status_code, answer.json()) == (200, {"letters": 3})
        shown = (await running.client.get(f"{LETTERS}/{ids[0]}")).json()
        assert (shown["assignee"], shown["ticket"], shown["hold_until"][:4]) == ("bob", "INC-1", "2099")
        assert (await say(f"{LETTERS}/{ids[0]}/replay", json=ANN)).status_code == 409
        assert (await say(f"{LETTERS}/hold", json=ANN | {"ids": ids})).json() == {"letters": 3}  # ends
        assert (await say(f"{LETTERS}/{ids[0]}/replay", json=ANN)).status_code == 202
        assert (await say(f"{LETTERS}/note", json=ANN)).status_code == 409  # nothing is chosen


async def test_a_large_plan_does_not_start_by_the_shared_token_alone(serve: Serve, rows: Open) -> None:
    await keep(rows, "plan", 11)
    async with serve("console") as running:
        say, ask = running.client.post, running.client.get
        made = await say(RUNS, json=ANN | {"kind": "discard", "match": {"file": "plan"}})
        plan = made.json()
        number = plan["operation"]
        assert (made.status_code, plan["state"], plan["total"]) == (201, "proposed", 11)
        assert (await say(f"{RUNS}/{number}/start", json=ANN)).status_code == 409
        for who in (ANN, BOB):  # the token that services share tells nobody apart, so it approves nothing
            assert (await say(f"{RUNS}/{number}/approve", json=who)).status_code == 403
        letters = (await ask(f"{RUNS}/{number}/letters", params={"limit": 2})).json()
        assert [(one["place"], one["expected"], one["state"]) for one in letters] == [
            (1, "close", "waiting"),
            (2, "close", "waiting"),
        ]
        assert (await say(f"{RUNS}/{number}/pause", json=ANN)).status_code == 409  # it does not run
        assert (await say(f"{RUNS}/{number}/stop", json=ANN)).json()["state"] == "stopped"
        assert [one["operation"] for one in (await ask(RUNS)).json()] == [number]
        assert (await ask(f"{RUNS}/{number}")).json()["letters"] == {"waiting": 11}
        assert (await ask(f"{RUNS}/999999")).status_code == 409
        assert (await ask("/v1/trusts/992/dead-letter-runs")).json() == []


async def test_a_small_plan_is_started_paused_resumed_and_stopped(serve: Serve, rows: Open) -> None:
    await keep(rows, "small", 4)
    async with serve("console") as running:
        say = running.client.post
        made = await say(RUNS, json=ANN | {"match": {"file": "small"}, "canary": 1})
        number = made.json()["operation"]
        assert (made.json()["state"], made.json()["expected"]) == ("planned", {"apply": 4})
        assert (await say(f"{RUNS}/{number}/start", json=ANN)).status_code == 202
        assert (await say(f"{RUNS}/{number}/pause", json=BOB)).json()["state"] == "paused"
        assert (await say(f"{RUNS}/{number}/resume", json=BOB)).status_code == 202
        assert (await say(f"{RUNS}/{number}/undo", json=BOB)).status_code == 409  # a replay is not taken back
        assert (await say(f"{RUNS}/{number}/stop", json=BOB)).json()["state"] == "stopped"


async def test_a_plan_of_one_trust_takes_no_letter_of_another(serve: Serve, rows: Open) -> None:
    ids = await keep(rows, "theirs", 1)
    async with serve("console") as running:
        said = ANN | {"ids": ids}
        assert (await running.client.post("/v1/trusts/992/dead-letter-runs", json=said)).status_code == 409
        assert (await running.client.post("/v1/trusts/992/dead-letters/note", json=said)).status_code == 409
