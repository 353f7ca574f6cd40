"""The message by which the owner of lines tells everyone else of their fates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from shared.accounting import LineFate, from_ranges, to_ranges


class Outcomes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Fates of lines of one file, as ``(first line, last line, fate, revision)``.

    ``codes`` says of dead-lettered lines why: ``(line, code)``.
    """

    vpd: str
    file: str
    ranges: list[tuple[int, int, int, int]]
    codes: list[tuple[int, str]] = []

    @classmethod
    def of(cls, vpd: str, file: str, fates: Sequence[LineFate], codes: Mapping[int, str] | None = None) -> "Outcomes":
        """Fold line fates into one message body, with the codes of those lines that have one."""
        return cls(vpd, file, to_ranges(fates), sorted((codes or {}).items()))

    def fates(self) -> Iterator[LineFate]:
        """Unfold the fates. Raises ValueError for a fate unknown to this release."""
        return from_ranges(self.ranges)


_DECODER: Final = msgspec.json.Decoder(Outcomes)


def encode(outcomes: Outcomes) -> bytes:
    """Return the message body."""
    return msgspec.json.encode(outcomes)


def decode(body: bytes) -> Outcomes:
    """Read a message body. Raises msgspec.ValidationError."""
    return _DECODER.decode(body)
