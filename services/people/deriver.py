"""Facts to derived people and places, differences to events: what messages, days and operators have in common.

Facts are committed before anything is derived from them, so of two replicas that each hold half of what is known the
later one sees all. Rows are locked in the same order everywhere: restrictions, places, the queue, people, pairs.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

import msgspec

from services.people import choices, pairs, places, store
from services.people.derived import Derived, Rules, places_of, with_cause
from services.people.domain import derive
from services.people.duplicates import Identity, identity_of, stands_for
from services.people.hierarchy import Item, Place
from services.people.places import HeldItem, PlaceKey
from services.people.restriction import Restriction
from services.people.store import Held, PersonKey, Row
from services.people.suspicion import suspect
from services.people.transitions import difference, revised
from shared import events
from shared.config import BridgeConfig, TrustConfig
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.events import Cause, Person
from shared.facts import Fact, Version
from shared.people_settings import PeopleSettings

NO_CAUSE: Final = Cause("", "", 0)

FIRST: Final = ("bridge.yaml", "the first one")
"""Who applied a trust's first restriction, and why."""

Facts = Mapping[PersonKey, list[Fact]]

_GONE: Final = Place(Item(), Version("", 0, 0))
"""A place of which no file says anything any more."""


class Deriver:
    """Derives people and places within a unit of work."""

    def __init__(self, work: Work, config: BridgeConfig, facts: FactStore) -> None:
        self._work = work
        self._config = config
        self._facts = facts

    def settings(self, vpd: str) -> PeopleSettings:
        """Return what ``bridge.yaml`` says of a trust's people: everyone, where it serves none of that name."""
        trust = self._config.trust(vpd)
        return trust.people if trust else PeopleSettings()

    def rules(self, vpd: str, settings: PeopleSettings) -> Rules:
        """Return the rules of a trust under a restriction."""
        trust = self._config.trust(vpd)
        return Rules(Restriction(settings), trust is not None and _links_by_ni_number(trust))

    async def hold(self, unit: Unit, vpds: Iterable[str]) -> dict[str, Rules]:
        """Return the rules of trusts, which do not change until the unit ends. The first restriction is applied now."""
        wanted = sorted(set(vpds))
        held = await choices.applied(unit.connection, wanted)
        missing = [vpd for vpd in wanted if vpd not in held]
        for vpd in missing:
            said = self.settings(vpd)
            await choices.apply_first(unit.connection, vpd, said, *FIRST, self._work.clock.now())
        if missing:
            held |= await choices.applied(unit.connection, missing)
        return {vpd: self.rules(vpd, said) for vpd, said in held.items()}

    async def people(self, unit: Unit, rules: Mapping[str, Rules], causes: Mapping[PersonKey, Cause]) -> None:
        """Derive these people again and tell what changed; ``rules`` are of all their trusts."""
        if not causes:
            return
        groups, held = await self._lock(unit, causes)
        facts = await self._facts.live(unit.connection, held)
        day = self._work.clock.today()
        derived = await self.derive(unit, rules, {key: facts.get(key, []) for key in held}, day)
        derived = {key: with_cause(one, causes.get(key, NO_CAUSE)) for key, one in derived.items()}
        _stand_in(derived, groups)
        identities = {key: identity_of(facts.get(key, ()), day) for key in held}
        rows = [_announce(unit, key, held[key].person, derived[key], identities[key]) for key in held]
        await store.save(unit.connection, [row for row in rows if row.said != held[row.key]])
        changed = {key: one for key, one in identities.items() if one.digest != held[key].identity}
        await suspect(unit, self._facts, changed, {key: one.cause for key, one in derived.items()}, day)

    async def derive(self, unit: Unit, rules: Mapping[str, Rules], facts: Facts, day: date) -> dict[PersonKey, Derived]:
        """Derive people from their facts and from the places these name. Nothing is stored or told."""
        wanted = {(vpd, *at) for (vpd, _), said in facts.items() for at in places_of(said)}
        by_trust: dict[str, dict[tuple[str, str], Place]] = {}
        for (vpd, kind, key), place in (await places.derive_places(unit.connection, wanted, day)).items():
            by_trust.setdefault(vpd, {})[kind, key] = place
        return {
            (vpd, person_id): derive(person_id, said, day, by_trust.get(vpd, {}), rules[vpd])
            for (vpd, person_id), said in facts.items()
        }

    async def items(self, unit: Unit, causes: Mapping[PlaceKey, Cause]) -> None:
        """Derive these places again, tell what changed, and have those derived again who stand in them."""
        if not causes:
            return
        held = await places.lock_items(unit.connection, causes)
        now = await places.derive_places(unit.connection, held, self._work.clock.today())
        rows: list[tuple[PlaceKey, HeldItem, date | None]] = []
        changed: dict[PlaceKey, Cause] = {}
        for key, before in held.items():
            place = now.get(key, _GONE)
            cause = _cause(place, causes[key])
            rows.append((key, _announce_item(unit, key, before, place.item, cause), place.due))
            if place.item != before.item:
                changed[key] = cause
        await places.save_items(unit.connection, rows)
        await places.enqueue_standing(unit.connection, changed)

    async def _lock(
        self, unit: Unit, causes: Iterable[PersonKey]
    ) -> tuple[dict[PersonKey, tuple[str, ...]], dict[PersonKey, Held]]:
        """Lock people and all records of the same humans."""
        keys = set(causes)
        while True:
            held = await store.lock(unit.connection, keys)
            groups = await pairs.same_groups(unit.connection, keys)
            members = {(vpd, one) for (vpd, _), group in groups.items() for one in group}
            if members <= keys:
                return groups, held
            keys |= members  # rare; should two replicas wait for each other now, the database sends one of them back


def _links_by_ni_number(trust: TrustConfig) -> bool:
    """Whether the LMS needs NI numbers: to link accounts, or because the trust sends them to a profile field."""
    return trust.accounts.link.by == "ni_number" or any(one.source == "ni_number" for one in trust.accounts.fields)


def _stand_in(derived: dict[PersonKey, Derived], groups: Mapping[PersonKey, tuple[str, ...]]) -> None:
    """Tell of each record of a human who has several which of them stands for the human."""
    for (vpd, person_id), members in groups.items():
        group = [derived[vpd, one] for one in members]
        chosen = stands_for([one.person for one in group])
        newest = max((one.cause for one in group), key=lambda cause: cause.file_no)
        mine = with_cause(derived[vpd, person_id], newest)
        same_as = "" if chosen == person_id else chosen
        person = msgspec.structs.replace(mine.person, same_as=same_as)
        derived[vpd, person_id] = msgspec.structs.replace(mine, person=person)


def _announce(unit: Unit, key: PersonKey, before: Person, derived: Derived, identity: Identity) -> Row:
    """Emit the event that tells of the change, if any, and return the row to store."""
    event = difference(before, derived.person)
    changed = event is not None or before.state != derived.person.state
    person = revised(derived.person, before.revision + 1 if changed else before.revision)
    if event is not None:
        unit.emit(event(vpd=key[0], cause=derived.cause, person=person), key[1], person.revision)
    return Row(key, person, derived.cause.file_no, derived.due, identity.digest)


def _cause(place: Place, said: Cause) -> Cause:
    newest = place.version
    return said if said.file_no >= newest.file_no else Cause("feed", newest.file, newest.file_no)


def _announce_item(unit: Unit, key: PlaceKey, before: HeldItem, item: Item, cause: Cause) -> HeldItem:
    """Emit the event that tells of the change, if any, and return the item to store.

    What is gone is told under its last name; what has never begun is not told.
    """
    told = item if item.name else msgspec.structs.replace(before.item, active=False)
    if told.shown == before.item.shown or not (told.active or before.revision):
        return HeldItem(item, before.revision)
    said = events.HierarchyChanged(
        vpd=key[0],
        cause=cause,
        kind="organisation" if key[1] == "organisation" else "position",
        key=key[2],
        revision=before.revision + 1,
        name=told.name,
        parent=told.parent,
        active=told.active,
    )
    unit.emit(said, key[1], key[2], said.revision)
    return HeldItem(item, said.revision)
