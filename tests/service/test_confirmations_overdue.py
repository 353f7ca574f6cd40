"""Answers that do not come: told once, whoever looks and however often; a late answer settles all the same."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.confirmations import store
from services.confirmations.watch import Watch
from shared import events
from shared.config import TrustConfig
from tests.service.confirmations_rig import OTHER, SENT, SENT_AT, VPD, Rig, answer, head, rigged, sent

WORKING = {"calendar": {"days": ["mon", "tue", "wed", "thu", "fri"], "latest": "09:30"}}


def overdue(rig: Rig) -> list[events.ConfirmationOverdue]:
    return [one for one in rig.told if isinstance(one, events.ConfirmationOverdue)]


async def at(rig: Rig, moment: str) -> int:
    """Look at a moment; return how many items have been told to be overdue so far."""
    rig.clock.set(datetime.fromisoformat(moment))
    await rig.look()
    return len(overdue(rig))


async def test_an_item_is_told_to_be_overdue_once_and_a_late_answer_settles_it(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1", change="correction"))
        assert await at(rig, "2026-03-04T09:59") == 0
        assert await at(rig, "2026-03-04T10:00") == 1
        assert await at(rig, "2026-03-09T10:00") == 1
        (told,) = overdue(rig)
        assert (told.reference, told.sent_file, told.position, told.change) == ("R1", SENT, 1, "correction")
        assert (told.person_id, told.key) == ("7", "K-R1")
        assert (told.sent_at, told.due_at) == (SENT_AT, "2026-03-04T10:00:00+00:00")
        await rig.hear(head(), answer())
        assert await rig.items() == {(SENT, 1): ("confirmed", "")}


async def test_what_was_answered_in_time_is_never_overdue(module_database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1"), head(), answer())
        assert await at(rig, "2026-04-01T12:00") == 0


async def test_what_is_heard_of_after_its_deadline_is_told_at_the_next_look(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords) as (rig,):
        assert await at(rig, "2026-03-20T12:00") == 0
        await rig.hear(sent("R1"))
        assert await at(rig, "2026-03-20T12:00") == 1


async def test_weekends_without_files_and_more_days_move_the_deadline(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    friday: dict[str, Any] = {"sent_at": "2026-03-06T18:00:00+00:00"}
    async with rigged(module_database, passwords, WORKING) as (rig,):
        await rig.hear(sent("R1", **friday))
        assert await at(rig, "2026-03-09T09:29") == 0
        assert await at(rig, "2026-03-09T09:30") == 1
    async with rigged(module_database, passwords, WORKING | {"completions": {"answer_days": 3}}) as (rig,):
        await rig.hear(sent("R1", **friday))
        assert await at(rig, "2026-03-11T09:29") == 0
        assert await at(rig, "2026-03-11T09:30") == 1


@pytest.mark.parametrize(
    ("sent_at", "open_still", "late"),
    [
        ("2026-03-28T18:00:00+00:00", "2026-03-29T09:59", "2026-03-29T10:00"),
        ("2026-10-24T18:00:00+01:00", "2026-10-25T09:59", "2026-10-25T10:00"),
        ("2026-10-24T23:30:00+00:00", "2026-10-26T09:59", "2026-10-26T10:00"),
    ],
    ids=["spring", "autumn", "after midnight in summer time"],
)
async def test_on_the_nights_of_a_clock_change_the_deadline_is_uk_local_time(
    module_database: str, passwords: Mapping[str, str], sent_at: str, open_still: str, late: str
) -> None:
    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1", sent_at=sent_at))
        assert (await at(rig, open_still), await at(rig, late)) == (0, 1)


async def test_a_changed_calendar_counts_at_once_and_never_tells_twice(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1"), sent("R2", file=OTHER, sent_at="2026-03-04T18:00:00+00:00"))
        assert await at(rig, "2026-03-04T10:00") == 1
        slower = TrustConfig.model_validate({"vpd": VPD, "completions": {"answer_days": 5}})
        rig.watch = Watch(rig.work, [slower])
        assert await at(rig, "2026-03-09T09:59") == 1
        assert await at(rig, "2026-03-09T10:00") == 2
        rig.watch = Watch(rig.work, [TrustConfig.model_validate({"vpd": VPD})])
        assert await at(rig, "2026-03-09T10:00") == 2


async def test_several_replicas_that_look_at_once_tell_each_item_once(
    module_database: str, passwords: Mapping[str, str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("services.confirmations.watch.MOST", 7)
    async with rigged(module_database, passwords, replicas=3) as rigs:
        await rigs[0].together([sent(f"R{one}", one) for one in range(1, 101)])
        rigs[0].clock.set(datetime.fromisoformat("2026-03-04T10:00"))
        await asyncio.gather(*(rig.look() for rig in rigs))
        await rigs[0].look()
        assert sorted(one.position for one in overdue(rigs[0])) == list(range(1, 101))


async def test_a_check_for_a_day_tells_and_counts_what_was_due_by_then(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1"), sent("R2", file=OTHER, sent_at="2026-03-04T18:00:00+00:00"))
        rig.clock.set(datetime.fromisoformat("2026-03-04T10:00"))
        for _ in range(2):
            assert await rig.watch.check(VPD, date(2026, 3, 4)) == {"open": 1, "overdue": 1}
        assert await rig.watch.check(VPD, date(2026, 3, 3)) == {"open": 0, "overdue": 0}
        assert await rig.watch.check(VPD, date(2026, 3, 5)) == {"open": 2, "overdue": 1}
        assert await rig.watch.check("992", date(2026, 3, 5)) == {"open": 0, "overdue": 0}
        assert len(overdue(rig)) == 1


async def test_gauges_show_what_is_overdue_how_old_and_how_much_is_odd(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    def gauge(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"vpd": VPD})

    async with rigged(module_database, passwords) as (rig,):
        await rig.hear(sent("R1"), sent("R2", 2))
        assert await at(rig, "2026-03-04T18:00:05") == 2
        assert gauge("esrbridge_completions_overdue") == 2
        assert gauge("esrbridge_completions_oldest_open_seconds") == 86400
        assert gauge("esrbridge_confirmations_unmatched") == 0
        again = "2026-03-04T19:00:00+00:00"
        await rig.hear(sent("R1", file=OTHER, change="resend", sent_at=again), head(file=OTHER), answer())
        await at(rig, "2026-03-04T20:00")
        assert gauge("esrbridge_completions_overdue") == 1  # the resend is waited for, not the original
        late, _ = await rig.read(lambda one: store.page(one, VPD, {}, overdue=True))
        assert [one["sent"]["reference"] for one in late] == ["R2"]
