"""Learning of people whose account is suspended: an LMS that refuses it is told again once the account is open."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text

from services.outbound.lms.port import Answer, Certification, Evidence, Finding, News
from services.outbound.lms.sandbox import SandboxDriver
from shared import events
from tests.service.outbound_bench import FEED, VPD, OutboundBench, outbound_bench, somebody


class Guarded:
    """Records nothing for suspended accounts, as the driver for Moodle does."""

    def __init__(self, driver: SandboxDriver) -> None:
        self._driver = driver
        self.asked = 0

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        answers = []
        for one in certifications:
            self.asked += 1
            found = await self._driver.find_account(one.idnumber)
            refused = found is not None and found.suspended
            taken = (
                [Answer("rejected", "account-suspended")] if refused else await self._driver.record_completion([one])
            )
            answers += taken
        return answers

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        return await self._driver.add_evidence(evidence)

    async def check(self) -> list[Finding]:
        return []

    async def news(self) -> list[News]:
        return []

    async def noted(self) -> None:
        pass

    async def close(self) -> None:
        pass


def achieved(person_id: str = "9000001") -> events.CompetenceAchieved:
    return events.CompetenceAchieved(
        vpd=VPD, cause=FEED, person_id=person_id, key="12000002", revision=1, competence_name="Fire|",
        achieved_on="2026-02-01", certification="FIRE",
    )  # fmt: skip


async def state(outbound: OutboundBench) -> tuple[str, str]:
    async with outbound.work.engine.connect() as connection:
        (row,) = await connection.execute(text("SELECT state, code FROM outbound.deliveries"))
        return row.state, row.code


async def test_what_was_refused_for_a_suspended_account_is_told_when_it_is_opened_again(
    database: str, passwords: Mapping[str, str], tmp_path: Path
) -> None:
    made: list[Guarded] = []

    def learning(driver: SandboxDriver) -> Guarded:
        made.append(Guarded(driver))
        return made[0]

    async with outbound_bench(database, passwords, tmp_path, learning=learning) as outbound:
        outbound.lms.add_certification("FIRE", "Fire", 12)
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-01"))
        assert outbound.account()["suspended"]
        await outbound.hear(achieved())
        await outbound.settle()
        assert await state(outbound) == ("refused", "account-suspended")
        await outbound.night(somebody(state="leaver", revision=3, termination_date="2026-03-01", last_name="Other"))
        assert made[0].asked == 1

        await outbound.night(somebody(revision=4))
        assert not outbound.account()["suspended"]
        assert await state(outbound) == ("delivered", "certified")
        assert [one["completed_on"] for one in outbound.lms.certifications()["current"]] == ["2026-02-01"]
