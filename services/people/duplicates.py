"""Whether two records of one trust may be the same human, and which record then stands for them. No I/O here.

ESR's own matching took NI number, birth date and last name as what tells people apart. Two of the three are a
suspicion and no more: twins share birth date and last name. Nothing is ever merged; an operator decides.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import msgspec

from services.people.slices import NonStaff, PersonSlice, of_kind
from shared.events import Person
from shared.facts import Fact

_RANKS: Final = {"employee": 0, "applicant": 1, "non_staff": 2, "leaver": 3}
_NI_LENGTH: Final = 9


class Identity(msgspec.Struct, frozen=True, gc=False):
    """What tells a human apart. ``names``: last names that are or were theirs, in one spelling."""

    ni_number: str = ""
    birth_date: str = ""
    names: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """The same for the same identity; empty for one that can agree with nobody."""
        if sum(map(bool, (self.ni_number, self.birth_date, self.names))) < 2:
            return ""
        said = "\x1f".join((self.ni_number, self.birth_date, *sorted(self.names)))
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def identity_of(facts: Sequence[Fact], day: date) -> Identity:
    """Return the identity a person's live facts tell of. A name of an earlier slice counts as a previous name."""
    people = sorted(of_kind(facts, "person", PersonSlice), key=lambda one: one.effective_start)
    listed = of_kind(facts, "non_staff", NonStaff)
    if not people and not listed:
        return Identity()
    if not people:
        birth = listed[0].date_of_birth
        return Identity("", birth.isoformat() if birth else "", frozenset({spelt(listed[0].last_name)} - {""}))
    begun = [one for one in people if one.effective_start <= day] or people[:1]
    now = begun[-1]
    names = {spelt(one.last_name) for one in begun} | {spelt(now.previous_last_name)}
    return Identity(
        _ni(now.ni_number), now.date_of_birth.isoformat() if now.date_of_birth else "", frozenset(names - {""})
    )


def agreement(one: Identity, other: Identity) -> tuple[str, ...]:
    """Return the columns in which two identities agree, when that is enough to suspect one human; else nothing."""
    agree = [
        name
        for name, same in (
            ("ni_number", bool(one.ni_number) and one.ni_number == other.ni_number),
            ("birth_date", bool(one.birth_date) and one.birth_date == other.birth_date),
            ("last_name", bool(one.names & other.names)),
        )
        if same
    ]
    return tuple(agree) if len(agree) >= 2 else ()


def spelt(name: str) -> str:
    """Return a name without what people spell differently: case, spaces, hyphens and apostrophes."""
    plain = name.casefold()
    return plain if plain.isalnum() else "".join(sign for sign in plain if sign.isalnum())


def stands_for(group: Iterable[Person]) -> str:
    """Return the person ID of the record that stands for one human: employee before applicant before leaver.

    Of several alike, the one hired last; of those, the one with the lowest person ID, so that it is always the same.
    """
    ranked = sorted(group, key=lambda one: one.person_id)
    ranked.sort(key=lambda one: one.hire_date, reverse=True)
    return min(ranked, key=lambda one: _RANKS.get(one.state, len(_RANKS))).person_id


def _ni(number: str) -> str:
    """An NI number without blanks; anything of another length is no number, such as a temporary one."""
    plain = "".join(number.split()).upper()
    return plain if len(plain) == _NI_LENGTH else ""
