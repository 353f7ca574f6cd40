"""Compares people whose identity is new or different with those who may be the same human, and tells of suspicions."""

from collections.abc import Mapping
from datetime import date

from services.people import pairs
from services.people.duplicates import Identity, agreement, identity_of
from services.people.store import PersonKey
from shared import events
from shared.db.facts import FactStore
from shared.db.unit import Unit


async def suspect(
    unit: Unit,
    facts: FactStore,
    changed: Mapping[PersonKey, Identity],
    causes: Mapping[PersonKey, events.Cause],
    day: date,
) -> None:
    """Note in what these people agree with others now, and tell of pairs that are newly suspected.

    ``causes`` holds the newest file that each person of the unit rests on. Who was suspected before is compared again.
    """
    if not changed:
        return
    alike = {key: one for key, one in changed.items() if one.digest}
    found = await pairs.lookalikes(unit.connection, alike) if alike else set()
    keys = {pairs.pair_key(vpd, one, other) for (vpd, one), (_, other) in found}
    keys |= await pairs.pairs_of(unit.connection, changed)
    if not keys:
        return
    people = {(vpd, one) for vpd, *both in keys for one in both}
    live = await facts.live(unit.connection, people)
    identities = {key: identity_of(live.get(key, ()), day) for key in people}
    agree = {key: agreement(identities[key[0], key[1]], identities[key[0], key[2]]) for key in keys}
    for pair in await pairs.keep(unit.connection, agree):
        unit.emit(_said(pair, causes), *pair.key[1:], pair.revision)


def _said(pair: pairs.Pair, causes: Mapping[PersonKey, events.Cause]) -> events.DuplicatePersonSuspected:
    vpd, one, other = pair.key
    known = [causes[key] for key in ((vpd, one), (vpd, other)) if key in causes]
    cause = max(known, key=lambda cause: cause.file_no)
    return events.DuplicatePersonSuspected(vpd=vpd, cause=cause, person_id=one, other_person_id=other, agree=pair.agree)
