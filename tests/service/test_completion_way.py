"""The way of a completion to ESR: sent, answered, corrected, withdrawn, sent again; in files that keep the limits."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.outbound.towards_esr.desk import open_cases
from shared import events
from shared.config import CompletionPolicy
from shared.errors import DecisionError
from tests.service.completion_bench import EVENING, FERN, LMS, ROWAN, VPD, CompletionBench, completion_bench

Open = Callable[..., AbstractAsyncContextManager[CompletionBench]]


@pytest.fixture
def open_bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Open:
    def open_(**settings: Any) -> AbstractAsyncContextManager[CompletionBench]:
        return completion_bench(database, passwords, tmp_path, **settings)

    return open_


@pytest.fixture
async def bench(open_bench: Open) -> AsyncIterator[CompletionBench]:
    async with open_bench() as bench:
        await bench.person()
        yield bench


# Items


async def test_a_completion_leaves_at_the_cut_off_and_is_told_of_as_sent(bench: CompletionBench) -> None:
    await bench.complete()
    (name,) = await bench.night()
    (sent,) = bench.of(events.CompletionSent)
    assert (sent.sent_file, sent.position, sent.change, sent.reference) == (name, 1, "new", "L999-0000000001")
    assert sent.sent_at == "2026-03-04T18:30:00+00:00"
    assert await bench.stands() == ("sent", "")
    assert await bench.night() == []


async def test_nothing_leaves_before_the_file_of_the_lms_is_wholly_accounted_for(bench: CompletionBench) -> None:
    await bench.hear(bench.completed())
    assert await bench.night() == []
    await bench.hear(events.FileCompleted(vpd=VPD, cause=LMS, status="complete", records=1))
    assert len(await bench.night()) == 1


async def test_what_esr_loaded_and_the_lms_changed_is_corrected_and_then_withdrawn(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    await bench.answer()
    await bench.complete(expires_on="2028-03-01")
    (name,) = await bench.night()
    (record,) = bench.records(name)
    assert (record["why"], record["replaces_reference"]) == ("CORRECTION", "L999-0000000001")
    await bench.answer(record="E2")
    await bench.hear(bench.withdrawn())
    await bench.night()
    assert bench.of(events.CompletionSent)[-1].change == "withdrawal"
    await bench.answer()
    assert await bench.stands() == ("withdrawn", "")
    await bench.complete()
    await bench.night()
    assert bench.lines() == [("NEW", "01"), ("CORRECTION", "02"), ("TCD", "02"), ("NEW", "03")]


async def test_what_changes_before_the_answer_waits_for_it(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    await bench.complete(expires_on="2028-03-01")
    assert await bench.night() == []
    await bench.answer()
    await bench.night()
    assert bench.lines() == [("NEW", "01"), ("CORRECTION", "02")]


async def test_what_the_lms_takes_back_before_it_was_sent_never_leaves(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.hear(bench.withdrawn())
    assert await bench.night() == []
    assert await bench.stands() == ("withdrawn", "")


async def test_completed_and_withdrawn_may_be_heard_in_either_order(bench: CompletionBench) -> None:
    first, then = bench.completed(), bench.withdrawn()
    await bench.hear(then)
    await bench.hear(first, events.FileCompleted(vpd=VPD, cause=LMS, status="complete", records=1))
    assert await bench.night() == []
    assert await bench.stands() == ("withdrawn", "")


async def test_the_newest_answer_counts_in_whichever_order_they_come(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    await bench.answer("B202", revision=2)
    await bench.answer(revision=1)
    assert await bench.stands() == ("rejected", "B202")
    await bench.answer(revision=3)
    assert await bench.stands() == ("confirmed", "")


async def test_an_answer_that_comes_before_the_delivery_was_noted_stays(bench: CompletionBench) -> None:
    await bench.complete()
    bench.clock.set(EVENING)
    await bench.files.write(VPD)
    (item,) = await bench.ask("SELECT * FROM outbound.items")
    said = {name: item[name] for name in ("reference", "person_id", "key", "sent_file", "position")}
    await bench.hear(events.CompletionConfirmed(vpd=VPD, cause=LMS, revision=1, **said))
    await bench.files.deliver()
    assert await bench.stands() == ("confirmed", "")
    assert len(bench.of(events.CompletionSent)) == 1


async def test_an_answer_of_an_earlier_release_means_the_newest_item_of_its_reference(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    await bench.hear(
        events.CompletionRejected(vpd=VPD, cause=LMS, reference="L999-0000000001", person_id=FERN, key="k", code="B204")
    )
    assert await bench.stands() == ("rejected", "B204")


async def test_a_refusal_for_the_person_is_sent_again_when_esr_tells_of_them(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    await bench.answer("B202")
    assert await bench.night() == []
    await bench.person(last_name="Other")
    (name,) = await bench.night()
    (record,) = bench.records(name)
    assert (record["why"], record["reference"], record["last_name"]) == ("RESEND", "L999-0000000001", "Other")
    assert bench.of(events.CompletionSent)[-1].resend


async def test_a_refusal_for_the_content_goes_under_a_new_reference_once_the_mapping_says_other(
    bench: CompletionBench,
) -> None:
    await bench.complete()
    await bench.night()
    await bench.answer("B204")
    await bench.person(last_name="Other")
    assert await bench.night() == []
    await bench.complete(competence_id="5002")
    await bench.night()
    assert bench.lines() == [("NEW", "01"), ("NEW", "02")]


async def test_what_is_overdue_is_sent_again_twice_and_then_is_a_case(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    for _ in range(2):
        await bench.hear(bench.late(bench.of(events.CompletionSent)[-1]))
        assert (await bench.stands())[0] == "overdue"
        assert await bench.night(2) == []
        assert len(await bench.night()) == 1
    await bench.hear(bench.late(bench.of(events.CompletionSent)[-1]))
    assert await bench.night(9) == []
    assert await bench.stands() == ("overdue", "O201")
    assert bench.lines() == [("NEW", "01"), ("RESEND", "01"), ("RESEND", "01")]
    async with bench.work.engine.connect() as connection:
        (case,) = await open_cases(connection, VPD)
    assert (case["person_id"], case["reference"], case["code"]) == (FERN, "L999-0000000001", "O201")


async def test_a_late_answer_settles_what_is_overdue(bench: CompletionBench) -> None:
    await bench.complete()
    await bench.night()
    sent = bench.of(events.CompletionSent)[0]
    await bench.hear(bench.late(sent), bench.answer_of(sent))
    assert await bench.stands() == ("confirmed", "")
    assert await bench.night(9) == []


# People


async def test_what_leavers_completed_is_withheld_by_the_trust_and_sent_when_they_are_rehired(
    open_bench: Open,
) -> None:
    async with open_bench(completions={"leavers": "withhold"}) as bench:
        await bench.person(state="leaver")
        await bench.complete()
        assert await bench.night() == []
        assert await bench.night() == []
        (withheld,) = bench.of(events.CompletionWithheld)
        assert (withheld.code, withheld.person_id, withheld.key) == ("O102", FERN, "k")
        await bench.person()
        assert len(await bench.night()) == 1


async def test_what_was_withheld_is_sent_once_the_policy_says_so(open_bench: Open) -> None:
    async with open_bench(completions={"leavers": "withhold"}) as bench:
        await bench.person(state="leaver")
        await bench.complete()
        assert await bench.night() == []
        bench.trust = bench.trust.model_copy(update={"completions": CompletionPolicy(leavers="send")})
        assert len(await bench.night()) == 1


async def test_applicants_are_sent_and_people_who_are_no_staff_never(bench: CompletionBench) -> None:
    await bench.person(state="applicant", employee_number="", applicant_number="30001")
    await bench.person(ROWAN, state="non_staff")
    await bench.complete()
    await bench.complete(ROWAN)
    (name,) = await bench.night()
    (record,) = bench.records(name)
    assert record["applicant_number"] == "30001"
    assert await bench.stands(person_id=ROWAN) == ("withheld", "O101")


async def test_what_comes_before_its_person_waits_for_them(bench: CompletionBench) -> None:
    await bench.complete(ROWAN)
    assert await bench.night() == []
    await bench.person(ROWAN)
    assert len(await bench.night()) == 1


async def test_what_esr_came_to_hold_by_itself_is_never_sent(bench: CompletionBench) -> None:
    await bench.complete()
    mirror = events.CompetenceMirrored(
        vpd=VPD, cause=LMS, person_id=FERN, key="m", revision=1, competence_id="5001", completed_on="2026-03-01"
    )
    await bench.hear(mirror)
    assert await bench.night() == []
    assert await bench.stands() == ("held_by_esr", "O103")
    assert [one.code for one in bench.of(events.CompletionWithheld)] == ["O103"]


async def test_a_completion_waits_the_days_of_the_trust(open_bench: Open) -> None:
    async with open_bench(completions={"hold_days": 5}) as bench:
        await bench.person()
        await bench.complete()
        assert await bench.night() == []
        assert len(await bench.night(2)) == 1


# Files


async def test_a_record_that_no_file_can_carry_is_set_aside_and_the_others_leave(bench: CompletionBench) -> None:
    await bench.person(ROWAN, last_name="Ma~rk")
    await bench.complete(ROWAN)
    await bench.complete()
    (name,) = await bench.night()
    assert len(bench.records(name)) == 1
    state, code = await bench.stands(person_id=ROWAN)
    assert (state, code[0]) == ("unsendable", "R")
    assert [one.code for one in bench.of(events.DeliveryFailed)] == [code]
    await bench.person(ROWAN, last_name="Mark")
    assert len(await bench.night()) == 1


async def test_what_is_more_than_a_file_may_hold_goes_into_the_next_of_the_same_cut_off(open_bench: Open) -> None:
    async with open_bench(completions={"rows_per_file": 2}) as bench:
        await bench.person()
        for number in range(5):
            await bench.complete(key=f"k{number}", competence_id=str(number))
        names = await bench.night()
        assert [len(bench.records(name)) for name in names] == [2, 2, 1]
        headers = [(bench.to_esr / name).read_text().split("\r\n")[0].split("~") for name in names]
        assert [one[4] for one in headers[1:]] == [one[5] for one in headers[:-1]]
        assert [one[5] for one in headers] == [f"20260304 18300{second}" for second in range(3)]
        assert (await bench.ask("SELECT sum(records) AS rows FROM outbound.outfiles"))[0]["rows"] == 5


async def test_a_person_has_only_so_many_records_of_one_competence_in_a_file(open_bench: Open) -> None:
    async with open_bench(completions={"rows_per_achievement": 1}) as bench:
        await bench.person()
        await bench.person(ROWAN)
        for day in (1, 2, 3):
            await bench.complete(key=f"k{day}", achieved_on=f"2026-03-0{day}")
        await bench.complete(ROWAN)
        names = await bench.night()
        assert [len(bench.records(name)) for name in names] == [2, 1, 1]


async def test_thousands_of_completions_are_read_in_pages_into_one_file(bench: CompletionBench) -> None:
    many = [bench.completed(key=f"k{number:04}", competence_id=str(number)) for number in range(2500)]
    await bench.hear(*many, events.FileCompleted(vpd=VPD, cause=LMS, status="complete", records=1))
    (name,) = await bench.night()
    records = bench.records(name)
    assert len({one["reference"] for one in records}) == 2500
    assert [one.position for one in bench.of(events.CompletionSent)] == list(range(1, 2501))


async def test_windows_meet_and_end_later_through_the_hour_that_comes_twice(bench: CompletionBench) -> None:
    ends = []
    for number, (hour, fold) in enumerate([(1, 0), (1, 1), (2, 0)]):
        moment = datetime(2026, 10, 25, hour, 30 - 20 * fold, fold=fold)  # noqa: DTZ001 - UK local time
        bench.clock.set(moment)
        await bench.complete(key=f"k{number}", competence_id=str(number))
        await bench.files.write(VPD)
        await bench.files.deliver()
        header = (bench.to_esr / bench.names[-1]).read_text().split("\r\n")[0].split("~")
        ends.append((header[4], header[5]))
    assert ends[0] == ("00000000 000000", "20261025 013000")
    assert ends[1] == ("20261025 013000", "20261025 013001")
    assert ends[2] == ("20261025 013001", "20261025 023000")


async def test_a_completion_that_comes_after_the_cut_off_waits_for_the_next_day(bench: CompletionBench) -> None:
    assert await bench.night() == []
    await bench.complete()
    await bench.cut_off()
    assert bench.names == []
    assert len(await bench.night()) == 1


async def test_two_replicas_write_a_nights_file_once(bench: CompletionBench) -> None:
    await bench.complete()
    one, other = bench.files, bench.files
    day = int(bench.clock.now().strftime("%Y%m%d"))
    assert await one.write(VPD, once_on=day) + await other.write(VPD, once_on=day) == 1


async def test_a_night_is_run_again_for_what_it_missed_and_never_twice(bench: CompletionBench) -> None:
    await bench.complete()
    assert await bench.files.night(VPD, 20260303) == 1
    await bench.complete(key="other", competence_id="5002")
    assert await bench.files.night(VPD, 20260303) == 0
    with pytest.raises(DecisionError):
        await bench.files.night(VPD, 20260304)
    bench.clock.set(datetime(2026, 3, 4, 17))  # noqa: DTZ001 - before the cut-off
    with pytest.raises(DecisionError):
        await bench.files.night(VPD, 20260304)


async def test_what_esr_says_of_a_whole_file_is_noted_and_that_it_had_it_before_says_nothing(
    bench: CompletionBench,
) -> None:
    await bench.complete()
    (name,) = await bench.night()
    for status, code in (("SUCCESS", ""), ("DUPLICATE", "F007")):
        await bench.hear(events.CompletionFileAnswered(vpd=VPD, cause=LMS, sent_file=name, status=status, code=code))
    assert (await bench.ask("SELECT answer FROM outbound.outfiles"))[0]["answer"] == "SUCCESS"
