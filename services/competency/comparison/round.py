"""Compares each full file with what ESR confirmed before it was made, and tells of the differences."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog

from services.competency import store as people
from services.competency.comparison import store
from services.competency.comparison.compare import Confirmed, Difference, Shown, compare
from services.competency.comparison.store import Due
from services.competency.learning import Element
from shared import events
from shared.clock import LONDON
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work

PEOPLE: Final = 2000
"""People compared at a time."""

log = structlog.get_logger(__name__)


class Comparing:
    """Takes full files that are wholly accounted for, one at a time."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._facts = FactStore(people.SCHEMA)

    async def on_completed(self, unit: Unit, said: Sequence[events.FileCompleted]) -> None:
        """Queue those of completed files that are full files of the feed."""
        full = [one for one in said if one.mode == "full" and one.cause.stream == "feed" and one.shows]
        await store.queue(
            unit.connection,
            [
                Due(
                    one.vpd, one.cause.file, one.cause.file_no, datetime.fromisoformat(one.shows).replace(tzinfo=LONDON)
                )
                for one in full
            ],
        )

    async def run(self) -> int:
        """Compare the full file that waits longest; return 1 when there was one."""
        async with self._work.unit() as unit:
            due = await store.take(unit.connection)
            if due is None:
                return 0
            compared, found = 0, list[Difference]()
            after: str | None = ""
            while after is not None:
                page = await store.confirmed(unit.connection, due, after, PEOPLE)
                compared += sum(map(len, page.confirmed.values()))
                found += await self._compare(unit, due, page.confirmed)
                after = page.last
            await store.finish(unit.connection, due, compared, found, self._work.clock.now())
            for one in found:
                _announce(unit, due, one)
        log.info("compared with a full file", vpd=due.vpd, file=due.file, compared=compared, differences=len(found))
        return 1

    async def _compare(self, unit: Unit, due: Due, confirmed: dict[str, list[Confirmed]]) -> list[Difference]:
        facts = await self._facts.live(unit.connection, [(due.vpd, person) for person in confirmed])
        found: list[Difference] = []
        for person, said in confirmed.items():
            shown = [
                Shown(fact.version.file_no, msgspec.convert(fact.data, Element))
                for fact in facts.get((due.vpd, person), ())
                if fact.entity == "competency_element"
            ]
            found += compare(said, shown, due.file_no)
        return found


def _announce(unit: Unit, due: Due, one: Difference) -> None:
    said = one.confirmed
    unit.emit(
        events.AchievementMissing(
            vpd=due.vpd,
            cause=events.Cause("feed", due.file, due.file_no),
            person_id=said.person_id,
            key=said.key,
            reference=said.reference,
            competence_id=said.competence_id,
            achieved_on=said.achieved_on,
            difference=one.kind,
            held=one.held,
        ),
        said.reference,
        due.file,
    )
