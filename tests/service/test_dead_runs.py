"""Plans for many dead letters, and their runs: exactly what was planned, in stages, never too fast, never twice."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from services.console import operations
from services.console.domain import DeadLetterError
from services.console.keeping import keep
from services.console.limits import Limits
from services.console.planning import Pace
from services.console.search import Search, Selection
from shared import events
from shared.messaging.message import Message
from tests.service.dead_rig import FILE, NOON, OPEN, QUEUE, VPD, KilledError, Rig, record, rigged


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords, replicas=2) as made:
        yield made


async def mended(rig: Rig, *names: str) -> list[str]:
    """Letters whose cause has been mended at the owner: the profile no longer finds it, nor does the owner."""
    letters = await rig.letters(*names)
    rig.owner.refuses = lambda fields: "R103" if "?" in fields["last_name"] else ""
    return letters


async def planned(rig: Rig, selection: Selection = OPEN, **pace: Any) -> int:
    told = await rig.planner.plan(VPD, "replay", selection, "ann", "the owner was mended", Pace(**pace))
    return int(told["operation"])


async def started(rig: Rig, selection: Selection = OPEN, **pace: Any) -> int:
    number = await planned(rig, selection, **pace)
    await rig.planner.start(VPD, number, "ann", "go")
    return number


# --- the plan ---------------------------------------------------------------------------------------------------


async def test_a_plan_says_of_each_letter_what_a_replay_would_do_and_why(rig: Rig) -> None:
    sound, faulty, edited, held, gone, older = await rig.letters(
        "A!", "B!", "C!", "D!", "E!", "F!", effective_start="2026-03-01"
    )
    operator = rig.one.operator()
    async with rig.engine.begin() as connection:
        bad = record(20, "G", hire_date="31 February")
        owners = msgspec.structs.replace(record(21, "H"), code="R902")
        strange = msgspec.structs.replace(record(22, "I"), code="UNEXPECTED")
        nowhere = msgspec.structs.replace(record(23, "J"), code="R103")
        for one in (bad, owners, strange):
            kept = msgspec.structs.replace(one, queue=QUEUE, code=one.code or "R103")
            await keep(connection, [kept], NOON, rig.one.schemas)
        await keep(connection, [nowhere], NOON, rig.one.schemas)
        # a newer line about the same person failed, too, and was applied after all
        newer = record(40, "F", person_id="9000007")
        kept = msgspec.structs.replace(newer, queue=QUEUE, code="R103")
        await keep(connection, [kept], NOON, rig.one.schemas)
        await connection.execute(
            text("UPDATE console.dead_letters SET state = 'resolved', outcome = 'applied' WHERE line = 40")
        )
    await operator.edit(VPD, edited, {"last_name": "C"}, "typing error")
    await operator.hold(VPD, Selection(ids=(held,)), NOON + timedelta(days=1), "wait")
    await operator.discard(VPD, gone, "not ours")

    every = tuple(sorted(await rig.states()))
    told = await rig.planner.plan(VPD, "replay", Selection(ids=every), "ann", "look")
    async with rig.engine.connect() as connection:
        items = {one["letter"]: one for one in await operations.items(connection, VPD, told["operation"])}
    expected = {letter: one["expected"] for letter, one in items.items()}
    assert expected == {
        sound: "apply", faulty: "apply", edited: "apply", held: "left_out", gone: "left_out", older: "superseded",
        bad.message_id: "fail_again", owners.message_id: "fail_again", strange.message_id: "unknown",
        nowhere.message_id: "left_out", newer.message_id: "left_out",
    }  # fmt: skip
    assert items[bad.message_id]["because"] == "R103: hire_date is not a valid date"
    assert "31 February" not in str(items)
    assert told["expected"] == dict(Counter(expected.values()))
    assert rig.post.sent() == []  # a plan sends nothing


async def test_a_run_deals_with_the_letters_of_its_plan_and_no_other(rig: Rig) -> None:
    letters = await mended(rig, *["A!"] * 8)
    number = await planned(rig)
    rig.owner.refuses = lambda fields: "R103" if "!" in fields["last_name"] else ""
    late = await rig.letters("late!", first=90)
    rig.owner.refuses = lambda fields: ""
    await rig.planner.start(VPD, number, "ann", "go")
    await rig.settle()
    assert await rig.states() == dict.fromkeys(letters, "resolved") | dict.fromkeys(late, "open")


async def test_a_letter_that_somebody_touched_after_the_plan_is_left_out_of_the_run(rig: Rig) -> None:
    edited, discarded, replayed, held, same = await mended(rig, *["A!"] * 5)
    number = await planned(rig)
    operator = rig.one.operator("bob")
    await operator.edit(VPD, edited, {"last_name": "B"}, "typing error")
    await operator.discard(VPD, discarded, "not ours")
    await operator.replay(VPD, replayed, "mine")
    await operator.hold(VPD, Selection(ids=(held,)), NOON + timedelta(days=1), "wait")
    await rig.deliver()
    await rig.planner.start(VPD, number, "ann", "go")
    await rig.settle()
    assert [(one.letter, one.state, one.code) for one in await rig.items(number)] == [
        (edited, "skipped", "CHANGED"),
        (discarded, "skipped", "CHANGED"),
        (replayed, "skipped", "CHANGED"),
        (held, "skipped", "HELD"),
        (same, "applied", ""),
    ]
    assert Counter(one.message_id for one in rig.post.sent()) == {replayed: 1, same: 1}


async def test_what_is_expected_to_fail_again_is_sent_only_if_somebody_insists(rig: Rig) -> None:
    [letter] = await rig.letters("A!", hire_date="31 February")
    first = await started(rig)
    await rig.settle()
    assert [(one.state, one.code) for one in await rig.items(first)] == [("skipped", "EXPECTED_TO_FAIL")]
    await started(rig, insist=True)
    await rig.settle()
    assert [one.message_id for one in rig.post.sent()] == [letter]


async def test_letters_go_in_the_order_of_their_lines_with_their_own_ids_and_versions(rig: Rig) -> None:
    letters = await mended(rig, *["A!"] * 30)
    await started(rig)
    await rig.settle()
    assert [one.message_id for one in rig.post.sent()] == letters
    assert [(one.file_no, one.line, one.replay) for one in rig.post.sent()] == [(2, line, 1) for line in range(2, 32)]


# --- stages -----------------------------------------------------------------------------------------------------


async def test_a_run_sends_a_canary_waits_for_its_end_then_ramps_then_sends_the_rest(rig: Rig) -> None:
    await mended(rig, *["A!"] * 100)
    number = await started(rig, canary=5)
    sizes = []
    for _ in range(20):
        while await rig.one.runner.run():  # until it waits for what became of these
            pass
        if not (sent := rig.post.take(QUEUE)):
            break
        sizes.append(len(sent))
        await rig.owner.handle(sent)
        await rig.deliver()
    assert sizes == [5, 10, 85]
    told = await rig.planner.show(VPD, number)
    assert (told["state"], told["reason"], told["letters"]) == ("done", "100 sent, 0 failed again", {"applied": 100})


async def test_a_run_halts_by_itself_in_the_canary_when_the_cause_is_not_mended(rig: Rig) -> None:
    letters = await rig.letters(*["A!"] * 40)  # the owner refuses them still
    number = await started(rig, canary=5)
    await rig.settle()
    told = await rig.planner.show(VPD, number)
    assert (told["state"], told["reason"]) == ("halted", "5 of 5 failed again in the canary")
    assert len(rig.post.sent()) == 5
    assert await rig.states() == dict.fromkeys(letters, "open")
    assert [(one["who"], one["action"]) for one in await rig.audit(operation=number) if not one["letter"]] == [
        ("ann", "plan replay"),
        ("ann", "start"),
        ("console", "halt"),
    ]


async def test_a_run_halts_later_too_when_more_fail_than_is_allowed_and_goes_on_when_a_person_says_so(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, in_flight=10)) as rig:
        await mended(rig, *["A!"] * 40, *["B!?"] * 30, *["C!"] * 10)
        number = await started(rig, canary=10, allowed_percent=15)
        await rig.settle()
        halted = await rig.planner.show(VPD, number)
        assert halted["state"] == "halted"
        assert halted["letters"] == {"applied": 40, "failed": 10, "waiting": 30}
        with pytest.raises(DeadLetterError, match="is halted; only one that is planned can be started"):
            await rig.planner.start(VPD, number, "ann", "go on")
        rig.owner.refuses = lambda fields: ""
        await rig.planner.resume(VPD, number, "ann", "the owner was mended again")
        await rig.settle()
        told = await rig.planner.show(VPD, number)
        assert (told["state"], told["letters"]) == ("done", {"applied": 70, "failed": 10})


async def test_a_paused_run_sends_nothing_and_a_stopped_one_never_again(rig: Rig) -> None:
    await mended(rig, *["A!"] * 20)
    number = await started(rig, canary=5)
    await rig.one.runner.run()
    await rig.planner.pause(VPD, number, "bob", "look first")
    await rig.settle()
    assert len(rig.post.sent()) == 5
    with pytest.raises(DeadLetterError, match="is paused; only one that is running can be paused"):
        await rig.planner.pause(VPD, number, "bob", "again")
    await rig.planner.resume(VPD, number, "bob", "fine")
    await rig.one.runner.run()
    await rig.planner.stop(VPD, number, "bob", "enough")
    await rig.settle()
    for decide in (rig.planner.resume, rig.planner.stop, rig.planner.start):
        with pytest.raises(DeadLetterError, match="is stopped"):
            await decide(VPD, number, "bob", "again")
    assert len(rig.post.sent()) < 20


async def test_a_run_keeps_to_its_rate(rig: Rig) -> None:
    await mended(rig, *["A!"] * 40)
    number = await started(rig, canary=10, per_second=20)
    begin = time.monotonic()
    await rig.settle()
    assert time.monotonic() - begin > 1.0  # 40 letters, of which the last go at once when their turn has come
    assert (await rig.planner.show(VPD, number))["state"] == "done"


async def test_an_owner_who_does_not_answer_is_not_flooded_and_nothing_is_called_failed(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, in_flight=20)) as rig:
        await mended(rig, *["A!"] * 100)
        number = await started(rig, canary=1)
        for _ in range(50):
            await rig.one.runner.run()
            if len(rig.post.queues[QUEUE]) <= 10:  # the owner answers the first few, then it hangs
                await rig.deliver()
        assert len(rig.post.queues[QUEUE]) == 20
        told = await rig.planner.show(VPD, number)
        assert (told["state"], told["letters"].get("failed", 0)) == ("running", 0)
        await rig.settle()
        assert (await rig.planner.show(VPD, number))["letters"] == {"applied": 100}


async def test_of_what_no_line_caused_it_is_said_that_nothing_more_was_heard(rig: Rig) -> None:
    silent = events.FeedSilent(vpd=VPD, cause=events.Cause("feed", FILE, 2), status="silent", days=3)
    event = Message(
        exchange="bridge.dead", type="ingest.FeedSilent", message_id="e1", vpd=VPD, body=events.encode(silent),
        queue="outbound.events", code="UNEXPECTED",
    )  # fmt: skip
    async with rig.engine.begin() as connection:
        await keep(connection, [event], NOON)
    number = await started(rig)
    await rig.one.runner.run()
    assert (await rig.items(number))[0].state == "sent"
    async with rig.engine.begin() as connection:
        await connection.execute(text("UPDATE console.operation_letters SET at = at - interval '1 hour'"))
    await rig.settle()
    assert (await rig.items(number))[0].state == "quiet"
    assert (await rig.planner.show(VPD, number))["state"] == "done"
    assert (await rig.row("e1")).state == "replayed"  # sent; that it was applied nobody says


# --- two people -------------------------------------------------------------------------------------------------


async def test_a_large_replay_needs_a_second_person_and_never_the_same(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, replays_alone=5)) as rig:
        await mended(rig, *["A!"] * 6)
        number = await planned(rig)
        with pytest.raises(DeadLetterError, match="is about 6 letters; a second person must approve it first"):
            await rig.planner.start(VPD, number, "bob", "go")
        for same in ("ann", "Ann", " ANN "):
            with pytest.raises(DeadLetterError, match="was proposed by ann; somebody else must approve it"):
                await rig.planner.approve(VPD, number, same, "fine")
        await rig.planner.approve(VPD, number, "bob", "fine")
        await rig.planner.start(VPD, number, "ann", "go")
        await rig.settle()
        assert set((await rig.states()).values()) == {"resolved"}
        whole = [(one["who"], one["action"]) for one in await rig.audit(operation=number) if not one["letter"]]
        assert whole == [("ann", "plan replay"), ("bob", "approve"), ("ann", "start"), ("console", "end")]


async def test_a_bulk_discard_needs_a_second_person_and_can_be_undone_letter_by_letter_in_the_audit(rig: Rig) -> None:
    letters = await rig.letters(*["A!"] * 11)
    told = await rig.planner.plan(VPD, "discard", OPEN, "ann", "an old test file")
    assert (told["state"], told["expected"]) == ("proposed", {"close": 11})
    number = told["operation"]
    await rig.planner.approve(VPD, number, "bob", "seen")
    await rig.planner.start(VPD, number, "ann", "go")
    await rig.settle()
    assert await rig.states() == dict.fromkeys(letters, "discarded")
    await rig.planner.undo(VPD, number, "bob", "it was no test")
    assert await rig.states() == dict.fromkeys(letters, "open")
    assert [(one["who"], one["action"], one["operation"]) for one in await rig.audit(letter=letters[4])] == [
        ("ann", "discard", number),
        ("bob", "undo", number),
    ]


async def test_a_small_plan_starts_without_a_second_person_and_a_replay_is_not_undone(rig: Rig) -> None:
    await mended(rig, "A!")
    number = await started(rig)
    await rig.settle()
    with pytest.raises(DeadLetterError, match="is a replay; what was sent cannot be taken back"):
        await rig.planner.undo(VPD, number, "ann", "oh")


async def test_a_plan_without_letters_or_reason_is_refused_and_leaves_nothing_behind(rig: Rig) -> None:
    for selection in (OPEN, Selection(), Selection(ids=("none",)), Selection(search=Search(code="R1"))):
        with pytest.raises(DeadLetterError, match="has no dead letter that matches"):
            await rig.planner.plan(VPD, "replay", selection, "ann", "why")
    with pytest.raises(DeadLetterError, match="a reason is needed"):
        await rig.planner.plan(VPD, "replay", OPEN, "ann", " ")
    async with rig.engine.connect() as connection:
        assert await operations.listed(connection, VPD) == []


# --- crashes and replicas ---------------------------------------------------------------------------------------


async def test_what_was_asked_for_is_collected_although_the_process_dies_in_the_middle(rig: Rig) -> None:
    """Elsewhere a bulk retry that was still being collected was gone after a crash."""
    await mended(rig, *["A!"] * 2_500)
    collected = 0

    async def dies(vpd: str, number: int) -> bool:
        nonlocal collected
        collected += 1
        raise KilledError

    rig.planner.collect, whole = dies, rig.planner.collect  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        await planned(rig)
    rig.planner.collect = whole  # type: ignore[method-assign]
    async with rig.engine.connect() as connection:
        [before] = await operations.listed(connection, VPD)
    assert (before["state"], before["total"]) == ("collecting", 1_000)
    while await rig.replicas[1].runner.run():
        pass
    after = await rig.planner.show(VPD, before["operation"])
    assert (after["state"], after["total"], after["letters"]) == ("proposed", 2_500, {"waiting": 2_500})


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_run_survives_its_process_at_any_step_and_applies_nothing_twice(rig: Rig, moment: str) -> None:
    letters = await mended(rig, *["A!"] * 60)
    number = await started(rig, canary=5, per_second=7)
    for step in range(200):
        replica = rig.replicas[step % 2]
        replica.dies(moment if step % 3 == 0 else "")
        try:
            await replica.runner.run()
        except KilledError:
            await replica.work.outbox.sweep(age=0)
        await rig.deliver(step % 2)
        if (await rig.planner.show(VPD, number))["state"] == "done":
            break
    assert await rig.states() == dict.fromkeys(letters, "resolved")
    assert Counter(rig.owner.applied) == dict.fromkeys(((FILE, line) for line in range(2, 62)), 1)
    assert Counter(one["letter"] for one in await rig.audit() if one["action"] == "replay") == dict.fromkeys(letters, 1)
    assert {one.replay for one in rig.post.sent()} == {1}


async def test_two_runs_about_the_same_letters_send_each_once(rig: Rig) -> None:
    letters = await mended(rig, *["A!"] * 20)
    first, second = await planned(rig), await planned(rig)
    for number in (first, second):
        await rig.planner.start(VPD, number, "ann", "go")
    await rig.settle()
    assert Counter(one.message_id for one in rig.post.sent()) == dict.fromkeys(letters, 1)
    ends = [one.state for one in [*await rig.items(first), *await rig.items(second)]]
    assert Counter(ends) == {"applied": 20, "skipped": 20}
