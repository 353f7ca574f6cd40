"""Rules of runs and plans at their edges: what is left out, what waits on, what one step may send, what lasts."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from services.console.domain import DeadLetterError
from services.console.keeping import keep
from services.console.limits import Limits
from services.console.planning import Pace
from services.console.search import Search, Selection, page
from tests.service.dead_rig import NOON, OPEN, QUEUE, VPD, Rig, record, rigged


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords) as made:
        yield made


async def mended(rig: Rig, *names: str) -> list[str]:
    letters = await rig.letters(*names)
    rig.owner.refuses = lambda fields: "R103" if "?" in fields["last_name"] else ""
    return letters


async def started(rig: Rig, kind: Any = "replay", selection: Selection = OPEN, who: str = "ann", **pace: Any) -> int:
    told = await rig.planner.plan(VPD, kind, selection, "ann", "the owner was mended", Pace(**pace))
    await rig.planner.start(VPD, told["operation"], who, "go")
    return int(told["operation"])


async def ends(rig: Rig, number: int) -> list[tuple[str, str]]:
    return [(one.state, one.code) for one in await rig.items(number)]


# --- what is left out -------------------------------------------------------------------------------------------


async def test_what_names_no_queue_is_left_out_and_the_run_goes_on(rig: Rig) -> None:
    [first] = await mended(rig, "A!")
    nowhere = msgspec.structs.replace(record(9, "B"), code="R103")
    async with rig.engine.begin() as connection:
        await keep(connection, [nowhere], NOON)
    number = await started(rig)
    await rig.settle()
    assert await ends(rig, number) == [("applied", ""), ("skipped", "NO_QUEUE")]
    assert await rig.states() == {first: "resolved", nowhere.message_id: "open"}
    with pytest.raises(DeadLetterError, match="does not say which queue it came from"):
        await rig.one.operator().replay(VPD, nowhere.message_id, "why not")


async def test_a_discard_leaves_alone_what_somebody_touched_after_the_plan(rig: Rig) -> None:
    edited, replayed, same = await rig.letters("A!", "B!", "C!")
    told = await rig.planner.plan(VPD, "discard", OPEN, "ann", "an old test file")
    await rig.one.operator("bob").edit(VPD, edited, {"last_name": "A"}, "typing error")
    await rig.one.operator("bob").replay(VPD, replayed, "mine")
    rig.post.take(QUEUE)
    await rig.planner.start(VPD, told["operation"], "ann", "go")
    await rig.settle()
    assert await ends(rig, told["operation"]) == [("skipped", "CHANGED"), ("skipped", "CHANGED"), ("discarded", "")]
    assert await rig.states() == {edited: "open", replayed: "replayed", same: "discarded"}
    assert (await rig.planner.show(VPD, told["operation"]))["reason"] == "1 discarded"


async def test_only_what_a_plan_discarded_and_nobody_touched_since_is_opened_again_by_its_undo(rig: Rig) -> None:
    kept, opened, sent = await rig.letters("A!", "B!", "C!")
    number = await started(rig, "discard")
    await rig.settle()
    await rig.one.operator("bob").undo(VPD, sent, "it is ours")
    await rig.one.operator("bob").replay(VPD, sent, "try")
    rig.post.take(QUEUE)
    await rig.planner.undo(VPD, number, "ann", "it was no test")
    assert await rig.states() == {kept: "open", opened: "open", sent: "replayed"}
    undone = [one["letter"] for one in await rig.audit(operation=number) if one["action"] == "undo"]
    assert sorted(undone) == sorted([kept, opened])


# --- what one step may do ---------------------------------------------------------------------------------------


async def test_no_step_sends_more_than_a_seconds_share(rig: Rig) -> None:
    await mended(rig, *["A!"] * 45)
    await started(rig, canary=1, per_second=20)
    sizes = []
    for _ in range(12):
        await rig.one.runner.run()
        sizes.append(len(rig.post.queues[QUEUE]))
        await rig.deliver()
    assert max(sizes) == 20


async def test_a_run_counts_what_it_sent_and_not_what_it_left_out(rig: Rig) -> None:
    letters = await mended(rig, *["A!"] * 20)
    told = await rig.planner.plan(VPD, "replay", OPEN, "ann", "mended", Pace(canary=10, allowed_percent=20))
    await rig.one.operator("bob").hold(VPD, Selection(ids=tuple(letters[:8])), NOON + timedelta(days=1), "wait")
    rig.owner.refuses = lambda fields: "R103" if fields["employee_number"] == "E10" else ""
    await rig.planner.start(VPD, told["operation"], "ann", "go")
    await rig.settle()
    shown = await rig.planner.show(VPD, told["operation"])
    assert (shown["state"], shown["sent"], shown["reason"]) == ("halted", 2, "1 of 2 failed again in the canary")


async def test_a_record_whose_line_says_nothing_is_waited_for_and_never_called_quiet(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, quiet_seconds=60)) as rig:
        await mended(rig, *["A!"] * 8)
        number = await started(rig, canary=3)
        await rig.one.runner.run()
        late = rig.post.take(QUEUE)
        async with rig.engine.begin() as connection:
            await connection.execute(text("UPDATE console.operation_letters SET at = at - interval '1 hour'"))
        for _ in range(5):
            await rig.one.runner.run()
        assert Counter(await ends(rig, number)) == {("sent", ""): 3, ("waiting", ""): 5}
        await rig.owner.handle(late)
        await rig.settle()
        assert Counter(await ends(rig, number)) == {("applied", ""): 8}


# --- who and how much -------------------------------------------------------------------------------------------


async def test_no_failure_at_all_may_be_what_is_allowed(rig: Rig) -> None:
    await mended(rig, *["A!"] * 30, "B!?", *["C!"] * 30)
    number = await started(rig, canary=5, allowed_percent=0)
    await rig.settle()
    told = await rig.planner.show(VPD, number)
    assert (told["allowed_percent"], told["state"], told["letters"]["failed"]) == (0, "halted", 1)


async def test_failures_before_a_pause_are_not_forgiven_when_it_ends(rig: Rig) -> None:
    await mended(rig, *["A!"] * 8, *["B!?"] * 2, *["C!?"] * 30)
    number = await started(rig, canary=10, allowed_percent=25)
    while (await rig.planner.show(VPD, number))["letters"].get("failed", 0) < 2:
        await rig.one.runner.run()
        await rig.deliver()
    await rig.planner.pause(VPD, number, "bob", "look first")
    await rig.planner.resume(VPD, number, "bob", "fine")
    await rig.settle()
    told = await rig.planner.show(VPD, number)
    assert told["state"] == "halted"
    assert told["reason"].startswith(f"{told['letters']['failed']} of ")  # the two before the pause among them


async def test_it_is_kept_who_planned_approved_and_started(module_database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(module_database, passwords, limits=Limits(per_second=1000, replays_alone=1)) as rig:
        letters = await mended(rig, "A!", "B!")
        told = await rig.planner.plan(VPD, "replay", OPEN, "ann", "mended")
        await rig.planner.approve(VPD, told["operation"], "bob", "seen")
        await rig.planner.start(VPD, told["operation"], "cyd", "go")
        await rig.settle()
        shown = await rig.planner.show(VPD, told["operation"])
        assert (shown["who"], shown["approver"], shown["starter"]) == ("ann", "bob", "cyd")
        deeds = await rig.audit(letter=letters[0])
        assert [(one["who"], one["action"], one["why"]) for one in deeds] == [("cyd", "replay", "mended")]


# --- what lasts -------------------------------------------------------------------------------------------------


async def test_a_letter_whose_end_is_not_known_is_kept_and_listed_for_years(rig: Rig) -> None:
    """Elsewhere what was sent and not heard of again was purged."""
    [letter] = await rig.letters("A!")
    await rig.one.operator().replay(VPD, letter, "try")
    rig.post.take(QUEUE)  # lost, and nobody ever hears of it
    rig.clock.set(NOON + timedelta(days=3_650))
    await rig.settle()
    async with rig.engine.connect() as connection:
        listed = await page(connection, VPD, Search(state="replayed"), rig.clock.now())
    assert [(one.id, one.sent_at) for one in listed] == [(letter, NOON)]


async def test_a_letters_address_lasts_through_edits_replays_and_new_failures(rig: Rig) -> None:
    """Elsewhere a retry made another message, and links to the old one led nowhere."""
    [letter] = await rig.letters("A!")
    for number, name in enumerate(("B!", "C!", "D"), 1):
        await rig.one.operator().edit(VPD, letter, {"last_name": name}, "try")
        await rig.one.operator().replay(VPD, letter, "try")
        await rig.deliver()
        row = await rig.row(letter)
        assert (row.id, row.replay, row.edits) == (letter, number, number)
    assert await rig.states() == {letter: "resolved"}
