"""Each rule by which ESR's answers settle what was sent: its events, the fate of its line, and what is told as odd."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from msgspec import structs

from services.confirmations.domain import Detail
from shared import events
from shared.accounting import Fate
from tests.service.confirmations_rig import (
    FIRST,
    OTHER,
    SECOND,
    SENT,
    Rig,
    answer,
    cmc,
    complete,
    head,
    refusal,
    rigged,
    sent,
)

A, B = (SENT, 1), (SENT, 2)


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords) as (one,):
        yield one


def answers(rig: Rig) -> list[events.CompletionAnswer]:
    return [one for one in rig.told if isinstance(one, events.CompletionAnswer)]


def odd(rig: Rig) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in rig.told if isinstance(one, events.ConfirmationUnmatched)]


async def test_an_answer_that_fits_settles_its_item_and_keeps_esrs_own_id(rig: Rig) -> None:
    item = sent(change="correction", replaces="R0", expires_on="2028-03-01")
    await rig.hear(item, head(), answer(esr_record_id="12000001"))
    (told,) = answers(rig)
    assert isinstance(told, events.CompletionConfirmed)
    assert (told.sent_file, told.position, told.reference) == (SENT, 1, "R1")
    assert (told.person_id, told.key, told.change, told.revision) == ("7", "K-R1", "correction", 1)
    assert (told.esr_record_id, told.cause) == ("12000001", events.Cause("cmc", cmc(FIRST), FIRST))
    assert (told.competence_id, told.achieved_on, told.expires_on) == ("100", "2026-03-01", "2028-03-01")
    assert await rig.items() == {A: ("confirmed", "")}
    assert [await rig.fate(line) for line in (2, 3)] == [Fate.APPLIED, Fate.APPLIED]
    assert rig.names() == ["CompletionFileAnswered", "CompletionConfirmed"]
    await rig.adds_up()


async def test_a_warning_on_success_is_kept_and_confirms(rig: Rig) -> None:
    await rig.hear(sent(), head(), answer(message_type="WARNING", message_code="B208", esr_record_id="1"))
    (told,) = answers(rig)
    assert isinstance(told, events.CompletionConfirmed)
    assert (told.code, told.warning, told.esr_record_id) == ("B208", True, "1")


async def test_a_refusal_carries_esrs_code(rig: Rig) -> None:
    await rig.hear(sent(), head(status="PARTIAL", records_success="0", records_failed="1"), refusal(code="B204"))
    (told,) = answers(rig)
    assert isinstance(told, events.CompletionRejected)
    assert (told.code, told.warning) == ("B204", False)
    assert await rig.items() == {A: ("rejected", "B204")}
    await rig.adds_up()


async def test_until_the_file_an_answer_is_about_is_known_it_waits_and_is_then_applied(rig: Rig) -> None:
    await rig.hear(sent(), answer())
    assert (await rig.fate(3), await rig.items()) == (Fate.PARKED_NOTHING_SENT, {A: ("open", "")})
    await rig.hear(head())
    assert (await rig.fate(3), await rig.items()) == (Fate.APPLIED, {A: ("confirmed", "")})


async def test_an_answer_that_comes_before_what_was_sent_waits_and_is_then_applied(rig: Rig) -> None:
    await rig.hear(head(), answer(), complete())
    assert [await rig.fate(line) for line in (2, 3)] == [Fate.PARKED_NOTHING_SENT] * 2
    assert rig.names() == []
    await rig.hear(sent())
    assert [await rig.fate(line) for line in (2, 3)] == [Fate.APPLIED] * 2
    assert sorted(rig.names()) == ["CompletionConfirmed", "CompletionFileAnswered"]
    await rig.look()
    assert odd(rig) == []


async def test_each_cfd_is_about_the_file_that_the_cfh_before_it_names(rig: Rig) -> None:
    await rig.hear(sent("R1"), sent("R1", 5, file=OTHER, change="resend"))
    said = [head(2), answer(line=3, message_code="X"), head(4, file=OTHER), answer(line=5, position=5)]
    await rig.hear(said[0], said[3], said[2], said[1])
    assert await rig.items() == {A: ("confirmed", "X"), (OTHER, 5): ("confirmed", "")}
    assert [(one.sent_file, one.change) for one in answers(rig)] == [(SENT, "new"), (OTHER, "resend")]
    await rig.look()
    assert odd(rig) == []


async def test_a_resend_and_its_original_are_answered_each_for_itself(rig: Rig) -> None:
    await rig.hear(sent(), sent(file=OTHER, change="resend"), head(file=OTHER), answer())
    assert await rig.items() == {A: ("open", ""), (OTHER, 1): ("confirmed", "")}


async def test_a_reference_that_is_known_but_not_in_that_file_settles_nothing_and_is_told(rig: Rig) -> None:
    await rig.hear(sent("R1"), sent("R2", file=OTHER), head(), answer("R2"), complete())
    await rig.look()
    assert (odd(rig), await rig.fate(3)) == ([(3, "C103")], Fate.PARKED_NOTHING_SENT)
    assert await rig.items() == {A: ("open", ""), (OTHER, 1): ("open", "")}


async def test_a_reference_that_was_never_sent_is_told_once(rig: Rig) -> None:
    await rig.hear(sent(), head(), answer("R9"), complete())
    await rig.look()
    await rig.hear(answer("R9"), head(), complete())
    await rig.look()
    (told,) = [one for one in rig.told if isinstance(one, events.ConfirmationUnmatched)]
    assert (told.line, told.reason, told.reference, told.sent_file, told.position) == (3, "C102", "R9", SENT, 1)
    assert (await rig.fate(3), await rig.odd()) == (Fate.PARKED_NOTHING_SENT, [(3, "C102")])


async def test_a_file_that_was_never_sent_is_told_once_whatever_it_answers(rig: Rig) -> None:
    await rig.hear(sent(), head(file=OTHER), answer("R1"), answer("R2", 4), complete())
    await rig.look()
    assert (odd(rig), await rig.items()) == ([(2, "C101")], {A: ("open", "")})
    assert {await rig.fate(line) for line in (2, 3, 4)} == {Fate.PARKED_NOTHING_SENT}


async def test_what_was_told_as_odd_stands_no_longer_once_it_fits(rig: Rig) -> None:
    await rig.hear(sent("R2", 2), head(), answer("R1"), complete())
    await rig.look()
    assert await rig.odd() == [(3, "C102")]
    await rig.hear(sent("R1"))
    assert (await rig.odd(), (await rig.items())[A]) == ([], ("confirmed", ""))


async def test_nothing_is_told_as_odd_before_the_confirmation_file_is_whole(rig: Rig) -> None:
    await rig.hear(sent(), head(), answer("R9"), head(number=SECOND, file=OTHER))
    await rig.look()
    assert (odd(rig), await rig.odd()) == ([], [])


async def test_an_answer_before_any_file_is_named_is_told(rig: Rig) -> None:
    await rig.hear(sent(), answer(line=2), head(3), answer(line=4), complete())
    await rig.look()
    assert (2, "C108") in odd(rig)
    assert await rig.items() == {A: ("confirmed", "")}


async def test_another_position_settles_and_is_told(rig: Rig) -> None:
    await rig.hear(sent(), head(), answer(position=7), complete())
    await rig.look()
    assert (odd(rig), await rig.items(), await rig.fate(3)) == ([(3, "C104")], {A: ("confirmed", "")}, Fate.APPLIED)


@pytest.mark.parametrize(("change", "kind"), [("new", "TCD"), ("withdrawal", "TCA")])
async def test_another_record_type_does_not_settle_and_is_told(rig: Rig, change: str, kind: str) -> None:
    await rig.hear(sent(change=change), head(), answer(confirmed_record_type=kind), complete())
    await rig.look()
    assert (odd(rig), await rig.items()) == ([(3, "C105")], {A: ("open", "")})
    assert await rig.fate(3) is Fate.PARKED_NOTHING_SENT


async def test_a_withdrawal_is_confirmed_as_one(rig: Rig) -> None:
    await rig.hear(sent(change="withdrawal"), head(), answer(confirmed_record_type="TCD"))
    assert [(type(one).__name__, one.change) for one in answers(rig)] == [("CompletionConfirmed", "withdrawal")]


async def test_the_same_answer_again_changes_nothing(rig: Rig) -> None:
    await rig.hear(sent(), head(), answer(), head(number=SECOND), answer(number=SECOND))
    assert len(answers(rig)) == 1
    assert (await rig.fate(3), await rig.fate(3, SECOND)) == (Fate.APPLIED, Fate.UNCHANGED)


async def test_the_same_answer_in_an_older_file_that_comes_later_is_not_told_again(rig: Rig) -> None:
    await rig.hear(sent(), head(number=SECOND), answer(number=SECOND), head(), answer())
    assert [one.revision for one in answers(rig)] == [1]
    assert await rig.rows("SELECT answer_file, revision FROM confirmations.items") == [(cmc(FIRST), 1)]
    await rig.adds_up()


async def test_of_two_answers_the_one_in_the_newest_confirmation_file_counts_in_any_order(rig: Rig) -> None:
    await rig.hear(sent(), head(number=SECOND), answer(number=SECOND), head(), refusal())
    assert (await rig.items(), len(answers(rig))) == ({A: ("confirmed", "")}, 1)
    assert (await rig.fate(3), await rig.fate(3, SECOND)) == (Fate.SUPERSEDED, Fate.APPLIED)


async def test_a_refusal_that_becomes_a_success_is_told_to_everyone_and_not_odd(rig: Rig) -> None:
    await rig.hear(sent(), head(), refusal(), head(number=SECOND), answer(number=SECOND), complete(SECOND))
    await rig.look()
    assert [(type(one).__name__, one.revision) for one in answers(rig)] == [
        ("CompletionRejected", 1),
        ("CompletionConfirmed", 2),
    ]
    assert odd(rig) == []


async def test_a_success_that_becomes_a_failure_counts_and_is_told_as_a_contradiction(rig: Rig) -> None:
    partial = head(number=SECOND, status="PARTIAL", records_success="0", records_failed="1")
    await rig.hear(sent(), head(), answer(), complete(), partial, refusal(number=SECOND), complete(SECOND))
    await rig.look()
    assert (await rig.items(), odd(rig)) == ({A: ("rejected", "B201")}, [(3, "C106")])
    await rig.adds_up()


@pytest.mark.parametrize("first", [True, False])
async def test_a_file_that_failed_refuses_what_has_no_answer_of_its_own(rig: Rig, first: bool) -> None:
    said = [sent("R1"), sent("R2", 2)]
    failed = [head(number=SECOND, status="FAIL", message_code="F005", records_success="0")]
    await rig.hear(*(said if first else []), head(), answer("R1"), *failed, *(said if not first else []))
    assert await rig.items() == {A: ("confirmed", ""), B: ("rejected", "F005")}
    told = [one for one in rig.told if isinstance(one, events.CompletionFileAnswered)]
    assert {(one.sent_file, one.status, one.code) for one in told} == {(SENT, "SUCCESS", ""), (SENT, "FAIL", "F005")}
    await rig.hear(complete(SECOND, 1))
    await rig.look()
    assert odd(rig) == [(2, "C110")]
    await rig.adds_up()


async def test_a_large_file_that_failed_is_refused_in_parts_and_to_the_last_item(rig: Rig, monkeypatch: Any) -> None:
    monkeypatch.setattr("services.confirmations.settling.REST", 3)
    await rig.together([sent(f"R{one}", one) for one in range(1, 11)])
    await rig.hear(head(status="FAIL", message_code="F010"))
    assert set((await rig.items()).values()) == {("rejected", "F010")}
    assert len(answers(rig)) == 10
    await rig.adds_up()


async def test_answers_that_waited_for_a_missing_line_are_settled_in_parts_to_the_last(
    rig: Rig, monkeypatch: Any
) -> None:
    monkeypatch.setattr("services.confirmations.attribution.MOST", 3)
    await rig.together([sent(f"R{one}", one) for one in range(1, 11)])
    await rig.hear(head(records_success="10"))
    await rig.together([answer(f"R{one}", 3 + one, position=one) for one in range(1, 11)])
    assert set((await rig.items()).values()) == {("open", "")}
    await rig.hear(complete())
    assert set((await rig.items()).values()) == {("confirmed", "")}
    assert {await rig.fate(line) for line in range(4, 14)} == {Fate.APPLIED}
    await rig.look()
    assert odd(rig) == []


async def test_a_duplicate_says_nothing_and_the_first_answer_counts(rig: Rig) -> None:
    await rig.hear(sent("R1"), sent("R2", 2), head(), answer("R1"))
    await rig.hear(head(number=SECOND, status="DUPLICATE", message_code="F007"), refusal("R1", number=SECOND))
    assert await rig.items() == {A: ("confirmed", ""), B: ("open", "")}
    assert [await rig.fate(line, SECOND) for line in (2, 3)] == [Fate.UNCHANGED, Fate.UNCHANGED]
    await rig.hear(complete(SECOND))
    await rig.look()
    assert odd(rig) == []


async def test_items_that_a_partial_answer_leaves_out_stay_open(rig: Rig) -> None:
    partial = head(status="PARTIAL", records_success="0", records_failed="1")
    await rig.hear(sent("R1"), sent("R2", 2), partial, refusal("R1"), complete())
    await rig.look()
    assert (await rig.items(), odd(rig)) == ({A: ("rejected", "B201"), B: ("open", "")}, [])


@pytest.mark.parametrize(
    "counts",
    [{"records_success": "2"}, {"records_failed": "1"}, {"records_warning": "1"}],
    ids=["loaded", "refused", "warned of"],
)
async def test_counts_that_differ_from_the_records_are_told(rig: Rig, counts: dict[str, str]) -> None:
    await rig.hear(sent(), head(**counts), answer(), complete())  # type: ignore[arg-type]
    await rig.look()
    assert (odd(rig), await rig.items()) == ([(2, "C107")], {A: ("confirmed", "")})


async def test_a_record_that_can_never_be_read_is_given_up_alone(rig: Rig) -> None:
    bad = structs.replace(answer("R1", 3), body=b"[]")
    await rig.together([sent(), head(), answer("R1", 4), bad])
    assert (await rig.fate(3), await rig.fate(4)) == (Fate.DEAD_LETTERED, Fate.PARKED_NOTHING_SENT)
    assert [one.code for one in rig.dead] == ["R901"]
    await rig.hear(complete())
    assert (await rig.items(), await rig.fate(4)) == ({A: ("confirmed", "")}, Fate.APPLIED)


# --- profiles that list less ------------------------------------------------------------------------------------


async def told_with(detail: Detail, database: str, passwords: Mapping[str, str], *said: Any) -> tuple[Any, Any]:
    async with rigged(database, passwords, detail=detail) as (rig,):
        await rig.hear(sent("R1"), sent("R2", 2), *said)
        await rig.look()
        await rig.adds_up()
        return await rig.items(), odd(rig)


async def test_with_exceptions_only_what_is_not_listed_is_confirmed_once_the_answer_is_whole(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    partial = head(status="PARTIAL", records_success="1", records_failed="1")
    said: list[Any] = [partial, refusal("R2", position=2)]
    open_still = {A: ("open", ""), B: ("rejected", "B201")}
    assert await told_with("exceptions_only", module_database, passwords, *said) == (open_still, [])
    settled = {A: ("confirmed", ""), B: ("rejected", "B201")}
    for order in ([*said, complete()], [complete(), *said], [said[1], said[0], complete()]):
        assert await told_with("exceptions_only", module_database, passwords, *order) == (settled, [])


async def test_with_exceptions_only_a_refusal_that_is_missing_leaves_the_rest_open(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    partial = head(status="PARTIAL", records_success="0", records_failed="2")
    found = await told_with(
        "exceptions_only", module_database, passwords, partial, refusal("R2", position=2), complete()
    )
    assert found == ({A: ("open", ""), B: ("rejected", "B201")}, [(2, "C107")])


async def test_with_file_only_success_confirms_the_file_by_itself(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    found = await told_with("file_only", module_database, passwords, head(records_success="2"))
    assert found == ({A: ("confirmed", ""), B: ("confirmed", "")}, [])


async def test_with_file_only_partial_leaves_the_items_open_and_is_told(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    partial = head(status="PARTIAL", records_success="1", records_failed="1")
    found = await told_with("file_only", module_database, passwords, partial, complete())
    assert found == ({A: ("open", ""), B: ("open", "")}, [(2, "C109")])
