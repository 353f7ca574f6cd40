"""What operators do with single dead letters, and the defects that users of other consoles have reported."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.console import actions, audit, store
from services.console.audit import Deed
from services.console.domain import DeadLetterError
from services.console.grouping import groups
from services.console.keeping import keep
from services.console.search import Search, Selection, page
from services.console.showing import history
from shared.accounting import Fate, LineFate
from shared.esr.faults import RecordCode
from shared.messaging.message import Message
from tests.service.dead_rig import FILE, NOON, QUEUE, VPD, KilledError, Rig, outcome, record, rigged


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords) as made:
        yield made


async def told(rig: Rig, letter: str) -> tuple[str, str]:
    row = await rig.row(letter)
    return row.state, row.outcome


def fields(message: Message) -> dict[str, str]:
    return msgspec.json.decode(message.body, type=dict[str, str])


# --- what is kept -----------------------------------------------------------------------------------------------


async def test_a_letter_tells_what_whose_where_why_and_how_often_and_its_staff_number_is_not_in_it(rig: Rig) -> None:
    [letter] = await rig.letters("Samp!e", person_id="9000123")
    row = await rig.row(letter)
    shown = actions.summary(row)
    assert (shown["file"], shown["line"], shown["type"], shown["queue"]) == (FILE, 2, "person.upsert", QUEUE)
    assert shown["meaning"] == RecordCode.R103.meaning
    assert shown["advice"] == RecordCode.R103.advice
    assert (shown["failures"], shown["first_at"]) == (1, NOON.astimezone(row.first_at.tzinfo).isoformat())
    plain = str([value for name, value in row._mapping.items() if name != "message"])
    assert "9000123" not in plain
    assert len(row.staff) == 2  # person ID and employee number


async def test_letters_of_a_batch_are_kept_as_if_they_had_come_one_by_one_also_one_that_is_in_it_twice(
    rig: Rig,
) -> None:
    batch = [msgspec.structs.replace(record(line, "A!"), code="R103", queue=QUEUE) for line in range(2, 40)]
    async with rig.engine.begin() as connection:
        assert await keep(connection, batch, NOON) == []
        await connection.execute(text("UPDATE console.dead_letters SET state = 'replayed', replay = 1 WHERE line < 5"))
        late, failed = batch[0], msgspec.structs.replace(batch[1], replay=1, code="R101")
        # The same letter again: an old word that came late, and in one batch a failure before the replay and after it.
        once_more = msgspec.structs.replace(batch[1], reason="the first failure")
        assert await keep(connection, [once_more, late, failed], NOON) == [(VPD, batch[1].message_id)]
        twice = [msgspec.structs.replace(batch[2], replay=1, code=code) for code in ("R902", "R101")]
        assert await keep(connection, twice, NOON) == [(VPD, batch[2].message_id)]
    rows = {row.line: row for row in [await rig.row(one.message_id) for one in batch]}
    assert (rows[2].state, rows[2].failures) == ("replayed", 1)
    assert (rows[3].state, rows[3].failures, rows[3].code) == ("open", 2, "R101")
    assert (rows[4].failures, rows[4].code) == (2, "R902"), "what was said first, as if they had come one by one"
    assert {row.state for line, row in rows.items() if line > 4} == {"open"}
    assert len({tuple(row.staff) for row in rows.values()}) == len(batch)


async def test_a_letter_is_found_by_its_staff_number_with_or_without_the_trust_before_it(rig: Rig) -> None:
    letters = await rig.letters("A!", "B!", "C!")
    async with rig.engine.connect() as connection:
        for number in ("9000003", " 9000003 ", "991-9000003", "E3", "e3"):
            found = await page(connection, VPD, Search(staff=number), NOON)
            assert [one.id for one in found] == [letters[1]]
        assert await page(connection, VPD, Search(staff="900000"), NOON) == []
        assert await page(connection, "992", Search(staff="9000003"), NOON) == []


async def test_the_same_number_has_another_hash_in_another_trust(rig: Rig) -> None:
    mine, theirs = record(2, "A"), msgspec.structs.replace(record(2, "A"), vpd="992")
    async with rig.engine.begin() as connection:
        for one in (mine, theirs):
            await keep(connection, [msgspec.structs.replace(one, code="R103", queue=QUEUE)], NOON)
        rows = (await connection.execute(text("SELECT staff FROM console.dead_letters"))).scalars().all()
    assert not set(rows[0]) & set(rows[1])


async def test_letters_are_grouped_by_cause_and_not_by_the_text_of_their_reason(rig: Rig) -> None:
    await rig.letters("A!", "B!")
    odd = msgspec.structs.replace(record(9, "C"), code="R103", queue=QUEUE, reason="another text", message_id="odd")
    other = msgspec.structs.replace(record(10, "D"), code="R101", queue=QUEUE, message_id="other")
    async with rig.engine.begin() as connection:
        await keep(connection, [odd], NOON)
        await keep(connection, [other], NOON)
        found = await groups(connection, VPD)
    assert [(one["cause"], one["letters"]) for one in found] == [
        (f"R103:{QUEUE}:person.upsert", 3),
        (f"R101:{QUEUE}:person.upsert", 1),
    ]
    assert all(one["meaning"] and one["advice"] for one in found)


async def test_pages_by_keyset_bring_each_letter_once(rig: Rig) -> None:
    letters = await rig.letters(*["A!"] * 7)
    async with rig.engine.connect() as connection:
        seen: list[str] = []
        while rows := await page(connection, VPD, Search(), NOON, after=seen[-1] if seen else "", limit=3):
            seen += [row.id for row in rows]
        assert seen == letters
        with pytest.raises(DeadLetterError, match="has no dead letter nowhere"):
            await page(connection, VPD, Search(), NOON, after="nowhere")


async def test_a_letter_that_an_earlier_release_stored_is_described_later(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    async with rig.engine.begin() as connection:
        await connection.execute(text("UPDATE console.dead_letters SET cause = '', staff = '{}', subject = ''"))
    assert (await rig.one.handlers.describe(), await rig.one.handlers.describe()) == (1, 0)
    row = await rig.row(letter)
    assert (row.cause, len(row.staff), bool(row.subject)) == (f"R103:{QUEUE}:person.upsert", 2, True)


# --- the defects of others (operators ask for these) ------------------------------------------------------------


async def test_a_replayed_letter_is_called_sent_and_only_its_line_makes_it_resolved(rig: Rig) -> None:
    """Elsewhere an edited retry was called processed though it was only sent."""
    [letter] = await rig.letters("A!")
    await rig.one.operator().edit(VPD, letter, {"last_name": "A"}, "typing error")
    await rig.one.operator().replay(VPD, letter, "mended")
    assert await told(rig, letter) == ("replayed", "")
    await rig.deliver()
    assert await told(rig, letter) == ("resolved", "applied")
    row = await rig.row(letter)
    assert row.closed_at == NOON


async def test_a_second_edit_counts_and_both_are_kept_with_the_original(rig: Rig) -> None:
    """Elsewhere a second edit was silently ignored, and no history of edits was kept."""
    [letter] = await rig.letters("A!")
    await rig.one.operator("ann").edit(VPD, letter, {"last_name": "B!"}, "first try")
    await rig.one.operator("bob").edit(VPD, letter, {"last_name": "C", "title": "Dr"}, "second try")
    await rig.one.operator("bob").replay(VPD, letter, "mended")
    await rig.deliver()
    assert fields(rig.post.sent()[-1])["last_name"] == "C"
    row = await rig.row(letter)
    async with rig.engine.connect() as connection:
        edits = await store.edits(connection, VPD, letter)
    shown = history(row, edits, reveal=True)
    assert [(one["who"], one["why"], one["changes"]) for one in shown] == [
        ("ann", "first try", [{"column": "last_name", "before": "A!", "after": "B!"}]),
        (
            "bob",
            "second try",
            [
                {"column": "last_name", "before": "B!", "after": "C"},
                {"column": "title", "before": None, "after": "Dr"},
            ],
        ),
    ]
    assert fields(store.original_of(row))["last_name"] == "A!"
    masked = history(row, edits, reveal=False)
    assert "A!" not in str(masked)


async def test_of_edited_and_original_one_is_sent_and_only_once(rig: Rig) -> None:
    """Elsewhere both were sent."""
    [letter] = await rig.letters("A!")
    await rig.one.operator().edit_and_replay(VPD, letter, {"last_name": "B"}, "mended")
    await rig.deliver()
    sent = rig.post.sent()
    assert [(fields(one)["last_name"], one.message_id, one.replay, one.line) for one in sent] == [("B", letter, 1, 2)]
    assert rig.owner.applied == [(FILE, 2)]


async def test_an_edited_letter_that_succeeds_is_closed_by_itself_with_its_outcome(rig: Rig) -> None:
    """Elsewhere there was no word of it after an edited retry."""
    [letter] = await rig.letters("A!", person_id="1")
    rig.owner.held["1"] = ((3, 5), {})  # a newer record was applied meanwhile
    await rig.one.operator().edit_and_replay(VPD, letter, {"last_name": "B"}, "mended")
    await rig.deliver()
    assert await told(rig, letter) == ("resolved", "superseded")
    assert rig.owner.held["1"] == ((3, 5), {})


async def test_of_two_people_who_replay_at_once_one_is_told_it_is_done_already(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    both = [rig.one.operator(who).replay(VPD, letter, "mended") for who in ("ann", "bob")]
    ends = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["DeadLetterError", "NoneType"]
    assert len(rig.post.sent()) == 1
    assert len(await rig.audit(letter=letter)) == 1


async def test_an_edit_of_what_somebody_else_has_edited_since_is_refused(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    await rig.one.operator("ann").edit(VPD, letter, {"last_name": "B"}, "first", expected=0)
    with pytest.raises(DeadLetterError, match="was edited since you looked"):
        await rig.one.operator("bob").edit(VPD, letter, {"last_name": "C"}, "second", expected=0)


async def test_a_record_that_fails_again_comes_back_open_with_its_new_code_and_is_counted(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    rig.owner.refuses = lambda fields: "R902"
    await rig.one.operator().replay(VPD, letter, "try again")
    await rig.deliver()
    row = await rig.row(letter)
    assert (row.state, row.code, row.failures, row.replay) == ("open", "R902", 2, 1)
    assert row.sent_edits == row.edits == 0
    assert row.cause == f"R902:{QUEUE}:person.upsert"


# --- checked before it is sent ----------------------------------------------------------------------------------


async def test_an_edit_that_makes_something_wrong_is_refused_and_names_columns_not_values(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    for changes, code in (({"hire_date": "3 March"}, "R103"), ({"no_such": "x"}, "R108"), ({"first_name": ""}, "R101")):
        with pytest.raises(DeadLetterError) as refused:
            await rig.one.operator().edit(VPD, letter, changes, "a slip")
        assert code in str(refused.value)
        assert "3 March" not in str(refused.value)
    assert (await rig.row(letter)).edits == 0


async def test_edit_and_replay_sends_nothing_and_keeps_nothing_while_a_fault_is_left(rig: Rig) -> None:
    [letter] = await rig.letters("A!", hire_date="31 February")
    with pytest.raises(DeadLetterError, match="was not sent: R103: hire_date is not a valid date"):
        await rig.one.operator().edit_and_replay(VPD, letter, {"last_name": "A"}, "half mended")
    assert rig.post.sent() == []
    row = await rig.row(letter)
    assert (row.state, row.edits) == ("open", 0)
    assert await rig.audit() == []
    await rig.one.operator().edit_and_replay(VPD, letter, {"last_name": "A", "hire_date": "2026-02-28"}, "mended")
    await rig.deliver()
    assert (await rig.row(letter)).state == "resolved"


# --- closing, holding, assigning --------------------------------------------------------------------------------


async def test_a_discard_is_undone_with_a_reason_and_the_letter_can_be_replayed(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    operator = rig.one.operator()
    with pytest.raises(DeadLetterError, match="a reason is needed"):
        await operator.discard(VPD, letter, "  ")
    await operator.discard(VPD, letter, "not ours")
    with pytest.raises(DeadLetterError, match="is discarded; only an open one can be replayed"):
        await operator.replay(VPD, letter, "why")
    await operator.undo(VPD, letter, "it is ours")
    with pytest.raises(DeadLetterError, match="is open; only a discarded one can be opened again"):
        await operator.undo(VPD, letter, "again")
    await operator.edit_and_replay(VPD, letter, {"last_name": "A"}, "mended")
    assert [(one["action"], one["before"], one["after"]) for one in await rig.audit()] == [
        ("discard", {"state": "open"}, {"state": "discarded"}),
        ("undo", {"state": "discarded"}, {"state": "open"}),
        ("edit", {"edits": 0}, {"edits": 1}),
        ("replay", {"state": "open", "replay": 0}, {"state": "replayed", "replay": 1}),
    ]


async def test_a_held_letter_is_not_replayed_before_its_moment(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    await rig.one.operator().hold(VPD, Selection(ids=(letter,)), NOON + timedelta(days=1), "the ward will ring")
    with pytest.raises(DeadLetterError, match="is held until"):
        await rig.one.operator().replay(VPD, letter, "mended")
    rig.clock.set(NOON + timedelta(days=2))
    await rig.one.operator().replay(VPD, letter, "mended")


async def test_all_that_match_are_assigned_linked_and_noted_and_each_has_it_in_its_history(rig: Rig) -> None:
    letters = await rig.letters(*["A!"] * 1_203)
    operator, chosen = rig.one.operator(), Selection(search=Search(code="R103"))
    assert await operator.assign(VPD, chosen, "bob", "his ward") == 1_203
    assert await operator.link(VPD, Selection(ids=tuple(letters[:2])), "INC-77", "same cause") == 2
    assert await operator.note(VPD, Selection(ids=(letters[0],)), "asked the ward") == 1
    row = await rig.row(letters[0])
    assert (row.assignee, row.ticket) == ("bob", "INC-77")
    assert [(one["action"], one["why"], one["after"]) for one in await rig.audit(letter=letters[0])] == [
        ("assign", "his ward", {"assignee": "bob"}),
        ("link", "same cause", {"ticket": "INC-77"}),
        ("note", "asked the ward", {}),
    ]
    async with rig.engine.connect() as connection:
        mine = await page(connection, VPD, Search(assignee="bob", ticket="INC-77"), NOON)
    assert [one.id for one in mine] == letters[:2]
    with pytest.raises(DeadLetterError, match="has no such dead letter"):
        await operator.assign(VPD, Selection(search=Search(code="R999")), "bob", "none")


async def test_what_was_written_down_can_be_neither_changed_nor_deleted(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    await rig.one.operator().edit(VPD, letter, {"last_name": "B"}, "typing error")
    for table in ("actions", "edits"):
        with pytest.raises(DBAPIError, match="what was written down is not changed"):
            await _execute(rig, f"UPDATE console.{table} SET who = 'nobody'")
        with pytest.raises(DBAPIError, match="what was written down is not changed"):
            await _execute(rig, f"DELETE FROM console.{table}")
        with pytest.raises(DBAPIError, match="permission denied"):
            await _execute(rig, f"TRUNCATE console.{table}")


async def _execute(rig: Rig, statement: str) -> None:
    async with rig.engine.begin() as connection:
        await connection.execute(text(statement))


# --- words that come late, twice or in no order -----------------------------------------------------------------


async def test_an_open_letter_whose_line_is_settled_after_all_is_closed_by_itself(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    await rig.post.publish([outcome(FILE, [LineFate(2, Fate.APPLIED, 2)])])
    await rig.deliver()
    assert await told(rig, letter) == ("resolved", "applied")


async def test_an_old_word_that_a_line_is_parked_closes_no_letter_that_was_replayed_since(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    await rig.post.publish([outcome(FILE, [LineFate(2, Fate.DEAD_LETTERED, 2)])])
    await rig.deliver()
    await rig.one.operator().replay(VPD, letter, "try")
    rig.post.take(QUEUE)
    await rig.post.publish([outcome(FILE, [LineFate(2, Fate.PARKED_PERSON_UNKNOWN, 1)])])
    await rig.deliver()
    assert await told(rig, letter) == ("replayed", "")
    await rig.post.publish([outcome(FILE, [LineFate(2, Fate.PARKED_PERSON_UNKNOWN, 3)])])
    await rig.deliver()
    assert await told(rig, letter) == ("resolved", "parked")


async def test_what_was_parked_after_a_replay_and_fails_when_it_is_taken_up_opens_again(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    await rig.one.operator().replay(VPD, letter, "try")
    [sent] = rig.post.take(QUEUE)
    await rig.post.publish([outcome(FILE, [LineFate(2, Fate.PARKED_PERSON_UNKNOWN, 3)])])
    await rig.deliver()
    await rig.owner.handle([sent])
    await rig.deliver()
    assert await told(rig, letter) == ("open", "")


async def test_a_letter_that_is_delivered_again_and_again_is_one_case(rig: Rig) -> None:
    [letter] = await rig.letters("A!")
    first = [one for one in rig.post.published if one.routing_key == f"{QUEUE}.dead"]
    await rig.one.operator().replay(VPD, letter, "try")
    await rig.post.publish(first * 3)
    rig.post.take(QUEUE)
    await rig.deliver()
    row = await rig.row(letter)
    assert (row.state, row.failures) == ("replayed", 1)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_process_that_dies_with_a_replay_in_its_hands_sends_it_wholly_or_not_at_all(
    rig: Rig, moment: str
) -> None:
    [letter] = await rig.letters("A!")
    rig.one.dies(moment)
    with pytest.raises(KilledError):
        await rig.one.operator().replay(VPD, letter, "mended")
    assert rig.post.sent() == []
    swept = await rig.one.work.outbox.sweep(age=0)
    assert (swept, (await rig.row(letter)).state, len(rig.post.sent())) == (
        (0, "open", 0) if moment == "before" else (1, "replayed", 1)
    )


async def test_deeds_that_are_written_together_stand_in_the_audit_in_the_order_they_were_done(rig: Rig) -> None:
    deeds = [(f"L{number}", Deed("sam", "note", "seen")) for number in (3, 1, 2)]
    async with rig.one.work.engine.begin() as connection:
        await audit.write(connection, VPD, NOON, deeds)
        told = await audit.read(connection, VPD)
    assert [one["letter"] for one in told] == ["L3", "L1", "L2"]
