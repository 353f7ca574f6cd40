"""What ``confirmations`` does every night: looks whether ESR has answered what it was to answer by now."""

from collections.abc import Mapping

from services.confirmations.watch import Watch
from shared.nights.duties import Duty, Night
from shared.schedule import Step


def answers_due(watch: Watch) -> Duty:
    """Return the step: what is overdue is told, and how much is open and overdue is counted, for every file day."""

    async def work(night: Night) -> Mapping[str, int]:
        return await watch.check(night.vpd, night.day)

    return Duty(lambda trust: Step("answers-due", trust.calendar.latest, "each", trust.calendar.days), work)
