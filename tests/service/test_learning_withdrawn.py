"""Achievements that ESR has deleted: reported, or taken back from the LMS where the trust wants it so."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.outbound.lms.sandbox import SandboxDriver
from shared import events
from tests.service.outbound_bench import FEED, VPD, OutboundBench, outbound_bench, somebody

Open = Callable[..., AbstractAsyncContextManager[OutboundBench]]


@pytest.fixture
def bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Open:
    def open_(**settings: Any) -> AbstractAsyncContextManager[OutboundBench]:
        return outbound_bench(database, passwords, tmp_path, **settings)

    return open_


def evidence(key: str = "12000001") -> events.EvidenceRecorded:
    return events.EvidenceRecorded(
        vpd=VPD, cause=FEED, person_id="9000001", key=key, revision=1, competence_name="Local|Course|",
        achieved_on="2026-02-01",
    )  # fmt: skip


def achieved(day: str = "2026-02-01", key: str = "12000002") -> events.CompetenceAchieved:
    return events.CompetenceAchieved(
        vpd=VPD, cause=FEED, person_id="9000001", key=key, revision=1, competence_name="Fire|", achieved_on=day,
        certification="FIRE",
    )  # fmt: skip


def gone(key: str, *, withdraw: bool) -> events.CompetenceWithdrawn:
    return events.CompetenceWithdrawn(vpd=VPD, cause=FEED, person_id="9000001", key=key, revision=2, withdraw=withdraw)


async def states(outbound: OutboundBench) -> dict[str, tuple[str, str]]:
    async with outbound.work.engine.connect() as connection:
        rows = await connection.execute(text("SELECT key, state, code FROM outbound.deliveries"))
        return {row.key: (row.state, row.code) for row in rows}


async def delivered(outbound: OutboundBench) -> None:
    outbound.lms.add_certification("FIRE", "Fire", 12)
    await outbound.night(somebody())
    await outbound.hear(evidence(), achieved("2025-02-01", "12000000"), achieved())
    await outbound.settle()


async def test_what_esr_deleted_stays_in_the_lms_unless_the_trust_says_otherwise(bench: Open) -> None:
    async with bench() as outbound:
        await delivered(outbound)
        await outbound.hear(gone("12000001", withdraw=False), gone("12000002", withdraw=False))
        await outbound.settle()
        assert len(outbound.lms.evidence()) == 1
        assert [one["completed_on"] for one in outbound.lms.certifications()["current"]] == ["2026-02-01"]
        now = {key: state for key, (state, _) in (await states(outbound)).items()}
        assert now == {"12000000": "delivered", "12000001": "withdrawn", "12000002": "withdrawn"}


async def test_where_the_trust_wants_it_the_lms_gives_back_and_what_was_before_stands_again(bench: Open) -> None:
    async with bench() as outbound:
        await delivered(outbound)
        await outbound.hear(gone("12000001", withdraw=True), gone("12000002", withdraw=True))
        await outbound.settle()
        assert outbound.lms.evidence() == []
        assert [one["completed_on"] for one in outbound.lms.certifications()["current"]] == ["2025-02-01"]
        assert (await states(outbound))["12000002"][0] == "withdrawn"
        assert len(outbound.of(events.CertificationDelivered)) == 3


async def test_what_was_not_delivered_yet_is_simply_not_delivered(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.tell(somebody())
        await outbound.hear(evidence(), gone("12000001", withdraw=True))
        await outbound.settle()
        assert outbound.lms.evidence() == []
        assert (await states(outbound)) == {"12000001": ("withdrawn", "")}


async def test_a_withdrawal_that_is_heard_before_the_achievement_asks_nothing_of_the_lms(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        await outbound.hear(gone("12000001", withdraw=True))
        await outbound.hear(evidence())
        await outbound.settle()
        assert outbound.lms.evidence() == []


class OnlyTakes:
    """A driver whose LMS takes learning and gives nothing back."""

    def __init__(self, driver: SandboxDriver) -> None:
        self.check, self.news, self.noted, self.close = driver.check, driver.news, driver.noted, driver.close
        self.record_completion, self.add_evidence = driver.record_completion, driver.add_evidence


async def test_an_lms_that_gives_nothing_back_is_reported(bench: Open) -> None:
    async with bench(learning=OnlyTakes) as outbound:
        await delivered(outbound)
        await outbound.hear(gone("12000001", withdraw=True))
        assert await outbound.settle() == 1
        assert (await states(outbound))["12000001"] == ("delivered", "cannot-withdraw")
        (failed,) = outbound.of(events.DeliveryFailed)
        assert (failed.subject, failed.code) == ("12000001", "cannot-withdraw")
