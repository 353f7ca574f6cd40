"""By what a dead letter can be found without being read: keyed hashes of staff numbers and of the record's own key.

The key is random and each trust's own, so that equal hashes tell nothing across trusts, and a list of letters that
leaves the database cannot be searched by trying numbers. Whoever may read the whole database needs no hash: the record
itself is kept beside it.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.messaging.message import Message

STAFF: Final = ("person_id", "employee_number", "applicant_number", "assignment_number", "user_idnumber")
"""Columns, and fields of events, that name a member of staff."""

KEY_BYTES: Final = 32
_DEEPEST: Final = 6

_OF_THE_LMS: Final = {
    "completion": ("reference",),
    "certification": ("user_idnumber", "certification_idnumber", "completed_at"),
    "non_staff": ("reference",),
}
"""What tells apart two rows of the LMS's files; ESR's records have their keys in the profile."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is kept of a letter for searching. ``subject`` is empty for what is no record."""

    staff: tuple[str, ...]
    subject: str


def new_key() -> bytes:
    """Return a key for one trust."""
    return secrets.token_bytes(KEY_BYTES)


def staff_hash(key: bytes, vpd: str, number: str) -> str:
    """Return the hash under which a staff number is kept. ``<trust>-`` before it, blanks and capitals do not matter."""
    said = number.strip().casefold().removeprefix(f"{vpd}-")
    return hashlib.blake2b(f"staff\x1f{said}".encode(), key=key, digest_size=16).hexdigest()


def identify(key: bytes, message: Message, own_key: tuple[str, ...] = ()) -> Identity:
    """Return what a letter is found by; ``own_key`` names the columns that make the record's key, if it has any."""
    try:
        body = msgspec.json.decode(message.body)
    except msgspec.DecodeError:
        return Identity((), "")
    numbers = {staff_hash(key, message.vpd, number) for number in _numbers(body, _DEEPEST)}
    return Identity(tuple(sorted(numbers)), _subject(key, message, body, own_key))


def _numbers(said: Any, depth: int) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(said, Mapping) and depth:
        for name, value in said.items():
            if name in STAFF and isinstance(value, str) and value.strip():
                yield value
            else:
                yield from _numbers(value, depth - 1)
    elif isinstance(said, list) and depth:
        for one in said:
            yield from _numbers(one, depth - 1)


def _subject(key: bytes, message: Message, body: Any, own_key: tuple[str, ...]) -> str:  # noqa: ANN401 - JSON
    entity = message.type.partition(".")[0]
    names = _OF_THE_LMS.get(entity, own_key) if message.stream not in ("feed", "cmc") else own_key
    if not names or not isinstance(body, Mapping):
        return ""
    values = [str(body.get(name, "")) for name in names]
    if not values[0]:
        return ""
    said = "\x1f".join(("subject", entity, *values))
    return hashlib.blake2b(said.encode(), key=key, digest_size=16).hexdigest()
