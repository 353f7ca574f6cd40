"""What the LMS says later of what it had only taken: HR Import tells in its log, not in an answer."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text

from services.outbound.lms.port import Channel, News
from shared import events
from shared.db.unit import Work

NO_CAUSE: Final = events.Cause("", "", 0)


class NewsDesk:
    """Writes down refusals that came late: what was taken for done was not."""

    def __init__(self, work: Work, vpd: str, channels: Sequence[Channel]) -> None:
        self._work = work
        self._vpd = vpd
        self._channels = channels

    async def run(self) -> int:
        """Take what is new from every driver; return how many refusals were noted."""
        told = [one for channel in self._channels for one in await channel.news()]
        refused = [one for one in told if one.answer.status == "rejected"]
        if refused:
            async with self._work.unit() as unit:
                for one in sorted(refused, key=lambda news: (news.kind, news.key)):
                    row = await unit.connection.execute(_STATEMENTS[one.kind], self._values(one))
                    for found in row:
                        event = events.DeliveryFailed(
                            vpd=self._vpd, cause=NO_CAUSE, subject=one.key, code=one.answer.code
                        )
                        unit.emit(event, one.key, found.revision, one.answer.code)
        for channel in self._channels:
            await channel.noted()
        return len(refused)

    def _values(self, one: News) -> dict[str, str]:
        return {
            "vpd": self._vpd,
            "key": one.key.removeprefix(f"{self._vpd}-"),
            "idnumber": one.key,
            "code": one.answer.code or "refused",
        }


_ACCOUNT: Final = text("""
UPDATE outbound.accounts SET refused = :code, seen = CASE WHEN CAST(seen->>'suspended' AS boolean)
    THEN jsonb_set(seen, '{suspended}', 'false') ELSE NULL END
WHERE vpd = :vpd AND person_id = :key AND refused = '' AND CAST(:idnumber AS text) <> '' RETURNING revision
""")
"""An account that was not made is not there; one that was not closed is open."""

_JOB: Final = text("""
UPDATE outbound.accounts SET jobs_refused = :code, jobs = jobs - CAST(:idnumber AS text)
WHERE vpd = :vpd AND jobs ? CAST(:idnumber AS text) AND CAST(:key AS text) <> '' RETURNING revision
""")

_ITEM: Final = text("""
UPDATE outbound.hierarchy SET refused = :code, seen = NULL
WHERE vpd = :vpd AND key = :key AND refused = '' AND CAST(:idnumber AS text) <> '' RETURNING revision
""")

_DELIVERY: Final = text("""
UPDATE outbound.deliveries SET state = 'refused', code = :code
WHERE vpd = :vpd AND key = :idnumber AND state = 'delivered' AND CAST(:key AS text) <> '' RETURNING revision
""")

_STATEMENTS: Final = {
    "account": _ACCOUNT,
    "job": _JOB,
    "hierarchy": _ITEM,
    "completion": _DELIVERY,
    "evidence": _DELIVERY,
}
