"""What operators decide about people: which of them a trust wants, and which records are one human."""

from typing import Any, Final, Literal

from services.people import choices, pairs, store
from services.people.deriver import FIRST, NO_CAUSE, Deriver
from services.people.store import PersonKey
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.errors import DecisionError
from shared.people_settings import PeopleSettings

Decision = Literal["same", "different", "undo"]

_STATES: Final[dict[Decision, pairs.State]] = {"same": "same", "different": "different", "undo": "open"}

STEP: Final = 1_000
"""People whose facts are in memory at once while an effect is worked out."""


class Desk:
    """Looks at and acts on people in one person's name; everything done is written down with who and why."""

    def __init__(self, work: Work, deriver: Deriver, facts: FactStore) -> None:
        self._work = work
        self._deriver = deriver
        self._facts = facts

    async def decide(self, vpd: str, one: str, other: str, decision: Decision, who: str, why: str) -> dict[str, Any]:
        """Say that two records are the same human, or are not, or take that back. Raises DecisionError.

        Both are derived again at once, and nothing is merged: one of them stands for the human from now on.
        """
        _needs_a_reason(who, why)
        if one == other:
            raise DecisionError("name two person IDs")
        key, at = pairs.pair_key(vpd, one, other), self._work.clock.now()
        async with self._work.unit() as unit:
            rules = await self._deriver.hold(unit, [vpd])
            both = {(vpd, one): NO_CAUSE, (vpd, other): NO_CAUSE}
            await self._lock_known(unit, both)
            before = await pairs.same_groups(unit.connection, both)
            state = await pairs.decide(unit.connection, key, _STATES[decision], who, why, at)
            if decision == "undo" and state not in ("same", "different"):
                raise DecisionError("nothing was decided about these two")
            told = {"before": state or "", "decision": decision}
            await choices.note(unit.connection, vpd, decision, f"{key[1]} {key[2]}", who, why, at, told)
            parted = {(vpd, member): NO_CAUSE for group in before.values() for member in group}
            await self._deriver.people(unit, rules, both | parted)
        return {"person_id": key[1], "other_person_id": key[2], "state": _STATES[decision]}

    async def restriction(self, vpd: str, limit: int) -> dict[str, Any]:
        """Return the restriction that is applied, the one that waits, and whom that would change and how.

        The effect is worked out for today and not applied; up to ``limit`` person IDs are named for each change.
        """
        async with self._work.unit() as unit:
            await self._deriver.hold(unit, [vpd])
            row = await choices.current(unit.connection, vpd)
            history = await choices.history(unit.connection, vpd, ["restrict"])
        if row is None:
            raise DecisionError("no restriction is applied to this trust")
        said = self._deriver.settings(vpd)
        waits = PeopleSettings.model_validate(row.content) != said
        return {
            "applied": {"content": row.content, "at": row.at.isoformat(), "who": row.who, "why": row.why},
            "waiting": said.model_dump(mode="json", exclude_defaults=True) if waits else None,
            "effect": await self._effect(vpd, said, limit) if waits else {},
            "history": history,
        }

    async def restrict(self, vpd: str, who: str, why: str) -> dict[str, Any]:
        """Apply the restriction that waits; everyone is derived again soon. Raises DecisionError when none waits."""
        _needs_a_reason(who, why)
        said, at = self._deriver.settings(vpd), self._work.clock.now()
        async with self._work.unit() as unit:
            await choices.apply_first(unit.connection, vpd, said, *FIRST, at)
            held = await choices.lock(unit.connection, vpd)
            if held == said:
                raise DecisionError("no changed restriction waits in bridge.yaml")
            await choices.replace(unit.connection, vpd, said, who, why, at)
            content = said.model_dump(mode="json", exclude_defaults=True)
            await choices.note(unit.connection, vpd, "restrict", "", who, why, at, content)
            people = await store.enqueue_trust(unit.connection, vpd)
        return {"applied": content, "people": people}

    async def _lock_known(self, unit: Unit, both: dict[PersonKey, Any]) -> None:
        """Lock two people, and refuse when a file has never spoken of one of them."""
        known = {row for row in both if await store.person(unit.connection, *row)}
        if len(known) < len(both):
            raise DecisionError("no file has brought both of these people")
        await store.lock(unit.connection, both)

    async def _effect(self, vpd: str, said: PeopleSettings, limit: int) -> dict[str, Any]:
        rules = {vpd: self._deriver.rules(vpd, said)}
        day, after = self._work.clock.today(), ""
        effect: dict[str, dict[str, Any]] = {}
        while True:
            async with self._work.unit() as unit:
                states = await store.everyone(unit.connection, vpd, after, STEP)
                facts = await self._facts.live(unit.connection, states)
                said_of = {key: facts.get(key, []) for key in states}
                derived = await self._deriver.derive(unit, rules, said_of, day)
            for key, one in derived.items():
                if one.person.state != states[key]:
                    change = effect.setdefault(f"{states[key]} to {one.person.state}", {"people": 0, "person_ids": []})
                    change["people"] += 1
                    change["person_ids"] += [key[1]] if len(change["person_ids"]) < limit else []
            if len(states) < STEP:
                return effect
            after = max(person_id for _, person_id in states)


def _needs_a_reason(who: str, why: str) -> None:
    if not who.strip() or not why.strip():
        raise DecisionError("say who decides, and why")
