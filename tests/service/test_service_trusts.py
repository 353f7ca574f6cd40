"""What each service's API answers, and that a trust hears of itself only."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, insert, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from esrbridge.embedded import as_role
from services.competency import store as competency
from services.confirmations import store as confirmations
from services.console import keeping
from services.console import store as console
from services.ingest import schema as ingest
from services.outbound import tables as outbound
from services.people import store as people
from shared.accounting import Fate
from shared.db.engine import make_engine
from shared.db.ledger import Ledger
from shared.messaging.message import Message
from tests.service.conftest import Serve
from tests.service.harness import Running

MINE, THEIRS, EMPTY = "/v1/trusts/991", "/v1/trusts/992", "/v1/trusts/993"
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
FILE = "CS_991_CST_CSF_20260302_00000001.DAT"

Open = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


@pytest.fixture
def rows(module_database: str, passwords: Mapping[str, str]) -> Open:
    """``async with rows("people") as connection``: a transaction with the service's own login."""

    @asynccontextmanager
    async def begin(service: str) -> AsyncIterator[AsyncConnection]:
        engine = make_engine(as_role(module_database, service, passwords[service]), name="test")
        try:
            async with engine.begin() as connection:
                yield connection
        finally:
            await engine.dispose()

    return begin


async def put(connection: AsyncConnection, table: Table, values: Sequence[dict[str, Any]]) -> None:
    await connection.execute(insert(table), list(values))


async def get(running: Running, path: str, status: int = 200) -> Any:
    answer = await running.client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


# --- ingest -----------------------------------------------------------------------------------------------------


def file(vpd: str, name: str, number: int) -> dict[str, Any]:
    return {
        "vpd": vpd,
        "name": name,
        "sha256": "0" * 64,
        "origin": "esr",
        "size": 1,
        "mtime_ns": 1,
        "received_at": NOON,
        "status": "complete",
        "number": number,
        "records": 2,
        "fates": {str(int(Fate.APPLIED)): 1, str(int(Fate.PARKED_PERSON_UNKNOWN)): 1},
    }


async def test_ingest_lists_a_trusts_files_with_their_accounts(serve: Serve, rows: Open) -> None:
    async with rows("ingest") as connection:
        await put(connection, ingest.FILES, [file("991", FILE, 1), file("992", "theirs.DAT", 1)])
    async with serve("ingest") as running:
        [mine] = await get(running, f"{MINE}/files")
        [theirs] = await get(running, f"{THEIRS}/files")
        assert await get(running, f"{EMPTY}/files") == []
    assert (mine["vpd"], mine["name"], theirs["name"]) == ("991", FILE, "theirs.DAT")
    assert mine["adds_up"]
    assert mine["accounted"] == {
        "applied": 1, "unchanged": 0, "superseded": 0, "parked": 1, "ignored": 0, "dead_lettered": 0
    }  # fmt: skip
    assert sum(mine["accounted"].values()) == mine["records"]


async def test_ingest_tells_the_fate_of_one_line_to_its_own_trust(serve: Serve, rows: Open) -> None:
    async with rows("ingest") as connection:
        await Ledger("ingest").decide(
            connection, [(("991", FILE), 2, Fate.APPLIED), (("991", FILE), 600, Fate.PARKED_PERSON_UNKNOWN)]
        )
    async with serve("ingest") as running:
        assert (await get(running, f"{MINE}/files/{FILE}/lines/2"))["fate"] == "applied"
        parked = await get(running, f"{MINE}/files/{FILE}/lines/600")
        assert (parked["line"], parked["fate"], parked["rule"]) == (600, "parked", "parked_person_unknown")
        for missing in (f"{FILE}/lines/3", f"{FILE}/lines/100000", "other.DAT/lines/2", f"{FILE}/lines/{10**12}"):
            await get(running, f"{MINE}/files/{missing}", 404)
        await get(running, f"{THEIRS}/files/{FILE}/lines/2", 404)
        for wrong in ("0", "-1", "two", "1.5"):
            await get(running, f"{MINE}/files/{FILE}/lines/{wrong}", 422)


DECISION = {"who": "a.nother", "why": "agreed with ESR"}


def held(name: str) -> list[dict[str, Any]]:
    """A file that was applied, in a counter of its own, and one that waits for the number between."""
    common = {"stream": f"counter of {name}", "fates": {}}
    return [
        file("991", f"before {name}", 1) | common | {"seq": 1, "status": "complete", "code": "", "answered": True},
        file("991", name, 3) | common | {"seq": 3, "status": "held", "code": "F006", "answered": False},
    ]


async def test_ingest_says_what_can_be_done_with_a_held_file_and_does_it_in_the_operators_name(
    serve: Serve, rows: Open
) -> None:
    name = "CS_991_CST_CSC_20260306_00000005.DAT"
    async with rows("ingest") as connection:
        await put(connection, ingest.FILES, held(name))
    async with serve("ingest") as running:
        [before] = await get(running, f"{MINE}/files/{name}")
        await get(running, f"{THEIRS}/files/{name}", 404)
        answer = await running.client.post(f"{MINE}/files/{name}/discard", json=DECISION)
        again = await running.client.post(f"{MINE}/files/{name}/release", json=DECISION)
    assert (before["status"], before["offers"]) == ("held", ["release", "discard", "request"])
    assert (answer.status_code, answer.json()["status"]) == (200, "discarded")
    assert (again.status_code, again.json()["detail"][-25:]) == (409, "; release is not possible")
    async with rows("ingest") as connection:
        (noted,) = (await connection.execute(select(ingest.ACTIONS).where(ingest.ACTIONS.c.file == name))).all()
    assert (noted.who, noted.action, noted.why) == ("a.nother", "discard", "agreed with ESR")


@pytest.mark.parametrize("action", ["release", "discard", "recheck"])
async def test_ingest_does_nothing_with_a_file_of_another_trust_or_without_a_reason(
    serve: Serve, rows: Open, action: str
) -> None:
    name = f"CS_991_CST_CSC_20260307_0000000{len(action)}_{action}.DAT"
    async with rows("ingest") as connection:
        await put(connection, ingest.FILES, held(name))
    async with serve("ingest") as running:
        theirs = await running.client.post(f"{THEIRS}/files/{name}/{action}", json=DECISION)
        silent = await running.client.post(f"{MINE}/files/{name}/{action}", json={"who": "a.nother", "why": ""})
        [after] = await get(running, f"{MINE}/files/{name}")
    assert (theirs.status_code, silent.status_code, after["status"]) == (409, 422, "held")


async def test_ingest_asks_for_a_full_file_once_however_often_it_is_told(serve: Serve) -> None:
    async with serve("ingest") as running:
        first = await running.client.post(f"{MINE}/snapshot-requests", json=DECISION)
        again = await running.client.post(f"{MINE}/snapshot-requests", json=DECISION)
        unknown = await running.client.post(f"{EMPTY}/snapshot-requests", json=DECISION)
        [asked] = await get(running, f"{MINE}/snapshot-requests")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert asked["as_at"] == first.json()["as_at"]
    assert unknown.status_code == 409


async def test_ingest_lists_absent_people_and_alarms_to_their_own_trust(serve: Serve, rows: Open) -> None:
    missing = {"vpd": "991", "person_id": "9000001", "file": "before.DAT", "file_no": 1, "absent_from": FILE}
    alarm = {"vpd": "991", "kind": "late", "subject": "2026-03-03", "raised_at": NOON}
    async with rows("ingest") as connection:
        await put(connection, ingest.ROSTER, [missing, missing | {"person_id": "9000002", "absent_from": ""}])
        await put(connection, ingest.ALARMS, [alarm])
    async with serve("ingest") as running:
        mine = (await get(running, f"{MINE}/absent"), await get(running, f"{MINE}/alarms"))
        assert await get(running, f"{THEIRS}/absent") == await get(running, f"{THEIRS}/alarms") == []
    assert mine[0] == [{"person_id": "9000001", "absent_from": FILE, "last_file": "before.DAT"}]
    assert ("late", "2026-03-03") in [(one["kind"], one["subject"]) for one in mine[1]]


# --- people -----------------------------------------------------------------------------------------------------


def person(vpd: str, person_id: str, state: str) -> dict[str, Any]:
    said = {"person_id": person_id, "state": state, "last_name": f"Invented-{vpd}"}
    return {"vpd": vpd, "person_id": person_id, "state": state, "revision": 1, "person": said, "file_no": 1}


async def test_people_shows_a_trusts_people_and_the_same_id_elsewhere_is_someone_else(serve: Serve, rows: Open) -> None:
    async with rows("people") as connection:
        everyone = [
            person("991", "7", "employee"),
            person("991", "8", "leaver"),
            person("992", "7", "applicant"),
            person("992", "9", "employee"),
        ]
        await put(connection, people.PEOPLE, everyone)
    async with serve("people") as running:
        assert await get(running, f"{MINE}/people/summary") == {"employee": 1, "leaver": 1}
        assert await get(running, f"{THEIRS}/people/summary") == {"applicant": 1, "employee": 1}
        assert await get(running, f"{EMPTY}/people/summary") == {}
        assert (await get(running, f"{MINE}/people/7"))["last_name"] == "Invented-991"
        assert (await get(running, f"{THEIRS}/people/7"))["last_name"] == "Invented-992"
        await get(running, f"{MINE}/people/9", 404)
        await get(running, f"{EMPTY}/people/7", 404)


# --- competency -------------------------------------------------------------------------------------------------


def decision(vpd: str, key: str, verdict: str, need: str = "") -> dict[str, Any]:
    content = {"version": {"file": FILE, "file_no": 1, "line": 4}}
    return {
        "vpd": vpd,
        "person_id": "7",
        "source": "esr",
        "key": key,
        "verdict": verdict,
        "revision": 1,
        "need": need,
        "decision": content,
    }


async def test_competency_counts_verdicts_and_lists_what_is_parked(serve: Serve, rows: Open) -> None:
    async with rows("competency") as connection:
        decisions = [
            decision("991", "a", "achieved"),
            decision("991", "b", "parked_competence_unknown", "NHS|CSTF|Fire Safety|"),
            decision("992", "c", "parked_person_unknown"),
        ]
        await put(connection, competency.DECISIONS, decisions)
    async with serve("competency") as running:
        assert await get(running, f"{MINE}/decisions/summary") == {"achieved": 1, "parked_competence_unknown": 1}
        assert await get(running, f"{THEIRS}/decisions/summary") == {"parked_person_unknown": 1}
        [waiting] = await get(running, f"{MINE}/parked")
        assert (waiting["file"], waiting["line"], waiting["waits_for"]) == (FILE, 4, "NHS|CSTF|Fire Safety|")
        [waiting] = await get(running, f"{THEIRS}/parked")
        assert waiting["waits_for"] == "7"
        assert await get(running, f"{EMPTY}/parked") == []


# --- outbound ---------------------------------------------------------------------------------------------------


def account(vpd: str, person_id: str, **more: Any) -> dict[str, Any]:
    empty = {"revision": 1, "file_no": 1, "person": {}, "seen": null(), "dirty": False, "refused": ""}
    return {"vpd": vpd, "person_id": person_id} | empty | more


def delivery(vpd: str, kind: str, state: str) -> dict[str, Any]:
    return {
        "vpd": vpd,
        "person_id": "7",
        "key": kind,
        "revision": 1,
        "file_no": 1,
        "kind": kind,
        "content": {},
        "state": state,
    }


async def test_outbound_counts_a_trusts_accounts_deliveries_and_completions(serve: Serve, rows: Open) -> None:
    async with rows("outbound") as connection:
        accounts = [
            account("991", "1", seen={"suspended": False, "account_type": "TEMP"}),
            account("991", "2", seen={"suspended": True}),
            account("991", "3", refused="L001"),
            account("992", "1"),
        ]
        for one in accounts:
            await put(connection, outbound.ACCOUNTS, [one])
        deliveries = [
            delivery("991", "certification", "delivered"),
            delivery("991", "evidence", "refused"),
            delivery("992", "evidence", "withdrawn"),
        ]
        await put(connection, outbound.DELIVERIES, deliveries)
        sent = {"person_id": "7", "key": "k", "revision": 1, "file_no": 1, "content": {}, "state": "sent"}
        await put(connection, outbound.COMPLETIONS, [{"vpd": "991"} | sent])
    async with serve("outbound") as running:
        assert await get(running, f"{MINE}/outbound/summary") == {
            "accounts": {"temporary": 1, "suspended": 1, "refused": 1},
            "certification": {"delivered": 1},
            "evidence": {"refused": 1},
            "completions": {"sent": 1},
        }
        theirs = await get(running, f"{THEIRS}/outbound/summary")
        assert theirs == {"accounts": {"none": 1}, "certification": {}, "evidence": {"withdrawn": 1}, "completions": {}}


async def test_outbound_writes_no_file_when_nothing_waits_and_none_for_a_trust_it_does_not_serve(
    serve: Serve,
) -> None:
    async with serve("outbound") as running:
        answer = await running.client.post(f"{THEIRS}/completion-files")
        assert (answer.status_code, answer.json()) == (201, {"completions": 0})
        assert (await running.client.post(f"{EMPTY}/completion-files")).status_code == 404
        assert (await running.client.get(f"{THEIRS}/completion-files")).status_code == 405


# --- confirmations ----------------------------------------------------------------------------------------------


def item(vpd: str, position: int, state: str) -> dict[str, Any]:
    return {
        "vpd": vpd, "sent_file": "CMP1.DAT", "position": position, "reference": f"r{position}", "person_id": "7",
        "key": f"k{position}", "state": state, "sent_at": NOON, "sent_on": NOON.date(),
    }  # fmt: skip


async def test_confirmations_lists_what_was_sent_by_state(serve: Serve, rows: Open) -> None:
    async with rows("confirmations") as connection:
        items = [item("991", 1, "open"), item("991", 2, "confirmed"), item("992", 3, "rejected")]
        await put(connection, confirmations.ITEMS, items)
        files = [{"vpd": "991", "sent_file": "CMP1.DAT", "sent": 2, "confirmed": 1, "refused": 0}]
        files += [{"vpd": "992", "sent_file": "CMP1.DAT", "sent": 1, "confirmed": 0, "refused": 1}]
        await put(connection, confirmations.METADATA.tables["confirmations.sent_files"], files)
    async with serve("confirmations") as running:
        assert await get(running, f"{MINE}/completions/summary") == {"open": 1, "confirmed": 1}
        assert await get(running, f"{THEIRS}/completions/summary") == {"rejected": 1}
        assert [one["sent"]["reference"] for one in await get(running, f"{MINE}/completions")] == ["r1", "r2"]
        assert [one["sent"]["reference"] for one in await get(running, f"{MINE}/completions?state=open")] == ["r1"]
        assert [one["sent"]["key"] for one in await get(running, f"{MINE}/completions?after=CMP1.DAT~1")] == ["k2"]
        assert await get(running, f"{MINE}/completions?state=rejected") == []
        assert await get(running, f"{EMPTY}/completions") == []
        await get(running, f"{MINE}/completions?state=odd", 422)
        await get(running, f"{MINE}/completions?after=odd", 422)


# --- console ----------------------------------------------------------------------------------------------------


def letter(vpd: str, number: str, **more: Any) -> Message:
    said = msgspec.json.encode({"person_id": "7", "last_name": "Canary"})
    about: dict[str, Any] = {
        "exchange": "bridge.dead",
        "type": "person.upsert",
        "file": FILE,
        "file_no": 1,
        "line": 7,
        "code": "R101",
    }
    return Message(
        **about | {"message_id": number, "vpd": vpd, "body": said, "queue": "people.records", "reason": "why"} | more
    )


async def keep(rows: Open, *letters: Message) -> None:
    async with rows("console") as connection:
        await keeping.keep(connection, letters, NOON)


WHY = {"who": "an operator", "why": "a test"}


async def test_console_lists_dead_letters_by_state_and_code_and_shows_no_values(serve: Serve, rows: Open) -> None:
    await keep(rows, letter("991", "list-1"), letter("991", "list-2", code="R202"), letter("992", "list-1"))
    path = f"{MINE}/dead-letters"
    async with serve("console") as running:
        listed = [one["id"] for one in await get(running, path)]
        assert [number for number in listed if number.startswith("list-")] == ["list-1", "list-2"]
        assert [one["id"] for one in await get(running, f"{path}?code=R202")] == ["list-2"]
        assert await get(running, f"{path}?state=discarded") == []
        assert [one["vpd"] for one in await get(running, f"{THEIRS}/dead-letters")] == ["992"]
        assert await get(running, f"{EMPTY}/dead-letters") == []
        await get(running, f"{path}?state=odd", 422)
        shown = await get(running, f"{path}/list-1")
        assert shown["columns"] == {"person_id": "***", "last_name": "***"}
        await get(running, f"{THEIRS}/dead-letters/list-2", 404)
        await get(running, f"{path}/none", 404)
        assert "Canary" not in (await running.client.get(path)).text


async def test_console_edits_then_replays_a_letter_once_and_writes_down_who_and_why(serve: Serve, rows: Open) -> None:
    await keep(rows, letter("991", "mend"))
    path = f"{MINE}/dead-letters/mend"
    async with serve("console") as running:
        edited = await running.client.post(f"{path}/edit", json=WHY | {"columns": {"last_name": "Other"}})
        assert (edited.status_code, edited.json()) == (200, {"id": "mend", "changed": ["last_name"]})
        assert (await running.client.post(f"{path}/replay", json=WHY)).status_code == 202
        for again in ("replay", "discard"):
            assert (await running.client.post(f"{path}/{again}", json=WHY)).status_code == 409
        late = await running.client.post(f"{path}/edit", json=WHY | {"columns": {}})
        assert late.status_code == 409
        assert "Canary" not in late.text
    async with rows("console") as connection:
        found = (await connection.execute(select(console.ACTIONS).where(console.ACTIONS.c.letter == "mend"))).all()
    assert [(row.action, row.who, row.why, row.columns) for row in found] == [
        ("edit", "an operator", "a test", ["last_name"]),
        ("replay", "an operator", "a test", []),
    ]


async def test_console_acts_on_no_letter_of_another_trust(serve: Serve, rows: Open) -> None:
    await keep(rows, letter("992", "theirs"))
    async with serve("console") as running:
        for action, body in (("replay", WHY), ("discard", WHY), ("edit", WHY | {"columns": {"last_name": "x"}})):
            answer = await running.client.post(f"{MINE}/dead-letters/theirs/{action}", json=body)
            assert answer.status_code in {404, 409}
        assert (await get(running, f"{THEIRS}/dead-letters/theirs"))["state"] == "open"
        answer = await running.client.post(f"{THEIRS}/dead-letters/theirs/discard", json=WHY)
        assert (answer.status_code, answer.json()) == (200, {"id": "theirs", "state": "discarded"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"who": "an operator"},
        {"why": "a test"},
        {"who": "", "why": "a test"},
        {"who": "an operator", "why": ""},
        {"who": "x" * 101, "why": "a test"},
        {"who": ["a"], "why": "a test"},
    ],
)
async def test_console_does_nothing_for_someone_who_does_not_say_who_and_why(
    serve: Serve, rows: Open, body: dict[str, Any]
) -> None:
    await keep(rows, letter("991", "nobody"))
    async with serve("console") as running:
        for action in ("replay", "discard", "edit"):
            answer = await running.client.post(f"{MINE}/dead-letters/nobody/{action}", json=body | {"columns": {}})
            assert answer.status_code == 422
        assert (await get(running, f"{MINE}/dead-letters/nobody"))["state"] == "open"
