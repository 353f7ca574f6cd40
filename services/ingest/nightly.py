"""What ``ingest`` does every night: sees whether the day's file came, and removes what was archived long enough."""

from services.ingest.archive import Purge
from services.ingest.watch import Watch
from shared.nights.duties import Duty, Night
from shared.schedule import Step


def duties(watch: Watch, purge: Purge) -> tuple[Duty, ...]:
    """Return the steps."""

    async def files_due(night: Night) -> dict[str, int]:
        return await watch.check(night.vpd, night.day)

    async def purged(night: Night) -> dict[str, int]:
        return {"files": await purge.trust(night.vpd)}

    return (
        Duty(lambda trust: Step("files-due", trust.calendar.latest, "each", trust.calendar.days), files_due),
        Duty(lambda _: Step("purge", "03:00"), purged),
    )
