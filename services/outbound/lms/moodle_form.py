"""Forms for Moodle's web service: bracketed variables, counted before they are sent.

PHP reads only so many variables of a form and drops the rest without a word, so a form that may be too long is cut into
several, and one account that does not fit by itself is refused by us.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from shared.moodle.call import HEAD, MAX_BYTES

Pairs = list[tuple[str, str]]
Key = int
"""An account's id in Moodle."""

MOST: Final = 100
"""Accounts in one call: more bring no speed, and leave more in doubt when a reply is lost."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One account of a creating or updating call. ``custom``: profile fields by short name."""

    values: Mapping[str, str]
    custom: Sequence[tuple[str, str]] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write but the id."""
        return not self.custom and set(self.values) <= {"id"}

    def pairs(self, index: int) -> Pairs:
        """Return the variables of this account at its place in the list."""
        user = f"users[{index}]"
        pairs = [(f"{user}[{name}]", value) for name, value in self.values.items()]
        for number, (name, value) in enumerate(self.custom):
            pairs += [
                (f"{user}[customfields][{number}][type]", name),
                (f"{user}[customfields][{number}][value]", value),
            ]
        return pairs


def users_form(entries: Sequence[Entry]) -> Pairs:
    """Return the variables of a call for several accounts."""
    return [pair for index, entry in enumerate(entries) for pair in entry.pairs(index)]


def fits(entry: Entry, variables: int) -> bool:
    """Whether one account fits into a form of so many variables."""
    pairs = entry.pairs(MOST)
    return HEAD + len(pairs) <= variables and _size(pairs) <= MAX_BYTES // 2


def packs(entries: Sequence[tuple[Key, Entry]], variables: int) -> Iterator[list[tuple[Key, Entry]]]:
    """Yield the accounts in as few forms as hold them; each fits by itself."""
    pack: list[tuple[Key, Entry]] = []
    count, size = HEAD, 0
    for one in entries:
        pairs = one[1].pairs(MOST)
        bytes_ = _size(pairs)
        if pack and (count + len(pairs) > variables or size + bytes_ > MAX_BYTES // 2 or len(pack) == MOST):
            yield pack
            pack, count, size = [], HEAD, 0
        pack.append(one)
        count += len(pairs)
        size += bytes_
    if pack:
        yield pack


def slices(values: Sequence[str], variables: int, taken: int) -> Iterator[Sequence[str]]:
    """Yield values to look up in lots that fit beside ``taken`` other variables."""
    step = min(MOST, variables - HEAD - taken)
    for start in range(0, len(values), step):
        yield values[start : start + step]


def _size(pairs: Pairs) -> int:
    return len(urlencode(pairs)) + 1
