"""What other mappings would change, worked out on everything stored and applied to nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from services.competency import queue, store
from services.competency.catalogue import Catalogue, names_of
from services.competency.deriver import said_of
from services.competency.domain import Decision, Known, decide
from services.competency.store import PersonKey
from shared.db.facts import FactStore
from shared.db.unit import Work
from shared.mapping_settings import MappingSet, Row

STEP: Final = 500
"""People whose facts are in memory at once."""

Change = tuple[str, str, str, str]
"""Direction, competence id, competence name, certification."""


def changed_rows(one: MappingSet, other: MappingSet) -> list[Row]:
    """Return the mappings that two sets do not share: all of both where rules for all of them differ."""
    if one.rules != other.rules:
        return list({*_keyed(one), *_keyed(other)})
    return [*(_keyed(one) - _keyed(other)), *(_keyed(other) - _keyed(one))]


def _keyed(said: MappingSet) -> set[Row]:
    return set(said.mappings)


class Preview:
    """Compares what is decided now with what would be, for everyone concerned."""

    def __init__(self, work: Work, facts: FactStore) -> None:
        self._work = work
        self._facts = facts

    async def of(self, vpd: str, now: MappingSet, then: MappingSet, limit: int) -> dict[str, Any]:
        """Return who gains and who loses what, up to ``limit`` person IDs for each mapping."""
        rows, day = changed_rows(now, then), self._work.clock.today()
        people = 0
        gains: dict[Change, list[str]] = defaultdict(list)
        losses: dict[Change, list[str]] = defaultdict(list)
        async with self._work.engine.connect() as connection:
            catalogue = Catalogue(await store.definitions(connection, vpd), then)
            names, after = names_of(rows, catalogue), ""
            certifications = sorted({row.certification for row in rows})
            while True:
                keys = await queue.concerned(connection, vpd, names, certifications, after, STEP)
                known = await store.known(connection, keys)
                facts = await self._facts.live(connection, keys)
                held = await store.decisions(connection, keys)
                for key in keys:
                    before = said_of(held.get(key, {}))
                    decided = decide(known.get(key, Known()), facts.get(key, ()), catalogue, before, day)
                    _compare(key, before.values(), decided.values(), gains, losses)
                people += len(keys)
                if len(keys) < STEP:
                    break
                after = keys[-1][1]
        return {"people_looked_at": people, "changes": _as_json(gains, losses, limit)}


def _compare(
    key: PersonKey,
    before: Iterable[Decision],
    after: Iterable[Decision],
    gains: dict[Change, list[str]],
    losses: dict[Change, list[str]],
) -> None:
    had, has = _effects(before), _effects(after)
    for change in has - had:
        gains[change].append(key[1])
    for change in had - has:
        losses[change].append(key[1])


def _effects(decisions: Iterable[Decision]) -> set[Change]:
    """Return what a person has by these decisions. What ESR holds already is nothing ESR would gain."""
    ways = {"certification": "to-lms", "mirror": "to-lms", "to_esr": "to-esr", "evidence": "evidence"}
    return {
        (ways[one.verdict], one.competence_id, one.competence_name, one.certification)
        for one in decisions
        if one.verdict in ways
    }


def _as_json(gains: dict[Change, list[str]], losses: dict[Change, list[str]], limit: int) -> Sequence[dict[str, Any]]:
    return [
        {
            "direction": change[0],
            "competence_id": change[1],
            "competence": change[2],
            "certification": change[3],
            "gain": {"people": len(gains[change]), "person_ids": gains[change][:limit]},
            "lose": {"people": len(losses[change]), "person_ids": losses[change][:limit]},
        }
        for change in sorted({*gains, *losses})
    ]
