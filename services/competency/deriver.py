"""Facts to decisions, changed decisions to events, for whole people, within a unit of work.

Rows are locked in the same order everywhere: the versions of mappings, the queue, people.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dictionary
from typing import Final

from services.competency import queue, store, versions
from services.competency.announce import announce, fate_of
from services.competency.compliance import store as compliance
from services.competency.compliance.holdings import held_by
from services.competency.domain import Catalogue, Decision, decide
from services.competency.store import Held, PersonKey
from shared.accounting import Fate
from shared.clock import Clock
from shared.config import BridgeConfig
from shared.db.facts import FactStore
from shared.db.unit import Unit
from shared.errors import DecisionError
from shared.events import Cause, MappingMissing
from shared.facts import Fact, newest
from shared.mapping_settings import MappingSet, from_json, of_config

OF_THE_LMS: Final = ("completion", "certification")
"""Facts whose files are counted apart from ESR's."""

NO_CAUSE: Final = Cause("", "", 0)

Mappings = Dictionary[str, MappingSet]
"""The mappings in force in each trust."""


class Deriver:
    """Decides for people under the mappings in force."""

    def __init__(self, config: BridgeConfig, facts: FactStore, clock: Clock) -> None:
        self._config = config
        self._facts = facts
        self._clock = clock

    def configured(self, vpd: str) -> MappingSet:
        """Return what ``bridge.yaml`` says: in force until a version is applied."""
        trust = self._config.trust(vpd)
        return of_config(trust.mappings if trust else ())

    async def hold(self, unit: Unit, vpds: Iterable[str]) -> dict[str, MappingSet]:
        """Return the mappings in force in trusts; they do not change until the unit ends."""
        held = await versions.hold(unit.connection, vpds)
        return {vpd: await self.content(unit, vpd, number) for vpd, number in held.items()}

    async def content(self, unit: Unit, vpd: str, number: int) -> MappingSet:
        """Return what a version says. Raises DecisionError when there is none of that number."""
        if number == versions.BRIDGE_YAML:
            return self.configured(vpd)
        row = await versions.version(unit.connection, vpd, number)
        if row is None:
            raise DecisionError(f"there is no version {number} of the mappings")
        return from_json(row.content)

    async def catalogue(self, unit: Unit, vpd: str, mappings: MappingSet) -> Catalogue:
        """Return a trust's definitions as stored, with mappings."""
        return Catalogue(await store.definitions(unit.connection, vpd), mappings)

    async def people(self, unit: Unit, mappings: Mappings, concerned: Dictionary[PersonKey, Cause]) -> None:
        """Decide for these people, announce what changed, and settle the lines that waited."""
        if not concerned:
            return
        states = await store.lock(unit.connection, concerned)
        facts = await self._facts.live(unit.connection, states)
        before = await store.decisions(unit.connection, states)
        trusts, day = sorted({vpd for vpd, _ in states}), self._clock.today()
        catalogues = {vpd: await self.catalogue(unit, vpd, mappings[vpd]) for vpd in trusts}
        withdraws = {vpd: said.on_removal == "withdraw" for vpd, said in mappings.items()}
        changed: list[tuple[PersonKey, Held]] = []
        gone: list[tuple[PersonKey, Decision]] = []
        unmapped: dict[tuple[str, str], Cause] = {}
        holdings = {}
        for key, known in states.items():
            held, mine = before.get(key, {}), facts.get(key, ())
            if not held and not mine:  # nobody has said anything of their learning, nor ever has: decisions stay
                continue
            said = said_of(held)
            decided = decide(known, mine, catalogues[key[0]], said, day)
            holdings[key] = held_by(mine, catalogues[key[0]], decided)
            cause = _newer(concerned[key], mine)
            for identity, decision in decided.items():
                changed += _change(unit, key, decision, held.get(identity), cause, withdraws[key[0]])
                if decision.why == "unmapped":
                    unmapped.setdefault((key[0], decision.competence_name), cause)
            for identity, decision in said.items():
                if identity not in decided:
                    gone.append((key, decision))
                    why = _withdrawal(decision, decided) or cause
                    announce(unit, key, None, decision, held[identity].revision + 1, why, withdraws[key[0]])
                    _settle_old_line(unit, key[0], decision)
        await store.save(unit.connection, changed)
        await store.remove(unit.connection, gone)
        await compliance.keep(unit.connection, holdings)
        await _tell_missing(unit, unmapped)


def said_of(held: Dictionary[tuple[str, str], Held]) -> dict[tuple[str, str], Decision]:
    """Return the decisions that stand."""
    return {identity: one.decision for identity, one in held.items() if one.decision.verdict != "removed"}


def _withdrawal(gone: Decision, decided: Dictionary[tuple[str, str], Decision]) -> Cause | None:
    """Return the LMS's file that took a completion back, where that is why ESR is not to be told of it any more."""
    for one in decided.values():
        if one.verdict == "withdrawn" and gone.key.startswith(f"{one.key}|"):
            return Cause("lms", one.version.file, one.version.file_no)
    return None


async def _tell_missing(unit: Unit, unmapped: Dictionary[tuple[str, str], Cause]) -> None:
    """Tell once of each competence that people hold and no mapping covers; counts are asked for."""
    for vpd, name in await queue.newly_missing(unit.connection, unmapped):
        unit.emit(MappingMissing(vpd=vpd, cause=unmapped[vpd, name], kind="competence", name=name), "competence", name)


def _change(
    unit: Unit, key: PersonKey, decision: Decision, held: Held | None, cause: Cause, withdraws: bool
) -> list[tuple[PersonKey, Held]]:
    """Announce and settle one decision; return it for storing when it is new or different."""
    waited = fate_of(decision)
    line = (key[0], decision.version.file, decision.version.line)
    before = held.decision if held and held.decision.verdict != "removed" else None
    if waited is not None and (before != decision or unit.settles(*line)):
        unit.settle(*line, waited)
    if before is not None and before.verdict.startswith("parked"):
        if waited is None and before.version == decision.version:
            unit.settle(*line, Fate.APPLIED)
        elif before.version != decision.version:
            _settle_old_line(unit, key[0], before)
    if held is not None and before == decision:
        return []
    revision = held.revision if held else 0
    if before is None or before.content != decision.content:
        revision += 1
        announce(unit, key, decision, before, revision, cause, withdraws)
    return [(key, Held(decision, revision))]


def _settle_old_line(unit: Unit, vpd: str, before: Decision) -> None:
    """A line that waited and was overtaken by a newer record or a deletion waits no more."""
    if before.verdict.startswith("parked"):
        unit.settle(vpd, before.version.file, before.version.line, Fate.SUPERSEDED)


def _newer(cause: Cause, facts: Sequence[Fact]) -> Cause:
    """The gate of what is decided: the newest ESR file that it rests on."""
    version = newest([fact for fact in facts if fact.entity not in OF_THE_LMS])
    return cause if cause.file_no >= version.file_no else Cause("feed", version.file, version.file_no)
