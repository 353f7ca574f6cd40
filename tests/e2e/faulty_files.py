"""Series of small files for any number of trusts, with faults of every kind put in by a seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from tests.e2e import story

START = date(2026, 3, 2)
ROUNDS = 4
"""Deliveries; what comes out of order comes with a later one."""

FREE = 1
"""Place of the row with free text."""

FAULTY_SHARE = 0.6
"""Share of the files that get faults: one, two or three."""


@dataclass
class Draft:
    """A file while it is made. ``rows`` are its data records: its marker, which no fault touches; one with free text;
    and some that speak of people.
    """

    vpd: str
    name: str
    header_name: str
    header_vpd: str
    window: tuple[str, str]
    rows: list[bytes]
    version: str = "01"
    header: bool = True
    miscounted: int = 0
    trailer: bool = True
    last_newline: bool = True
    cut: float = 1.0
    """Share of the bytes that arrive."""
    flips: tuple[float, ...] = ()
    """Places, as shares of the part behind the marker, of bytes that change on the way."""
    faults: set[str] = field(default_factory=set)

    def content(self) -> bytes:
        head = f"HDR~{self.header_name}~20260302 031500~{self.header_vpd}~{'~'.join(self.window)}~{self.version}"
        lines = [head.encode()] if self.header else []
        lines += self.rows
        if self.trailer:
            lines.append(b"TRL~%d" % (len(self.rows) + self.miscounted))
        made = b"\r\n".join(lines) + (b"\r\n" if self.last_newline else b"")
        made = made[: int(len(made) * self.cut)]
        return self._flipped(made)

    def _flipped(self, made: bytes) -> bytes:
        behind = made.find(self.rows[0]) + len(self.rows[0]) if self.rows else 0
        changed = bytearray(made)
        for share in self.flips:
            place = behind + int(share * (len(made) - behind))
            if place < len(made):
                changed[place] ^= 1 + place % 255
        return bytes(changed)


@dataclass(frozen=True)
class Delivery:
    """A file as it arrives. ``marker`` is the key of a fact that only this file tells."""

    vpd: str
    round: int
    name: str
    content: bytes
    faults: frozenset[str]
    marker: str


def series(vpd: str, files: int, seed: int) -> Iterator[Delivery]:
    """Yield the deliveries of one trust: numbered full and changes files, one a day, some of them faulty."""
    dice = random.Random(f"{seed}/{vpd}")
    for place in range(files):
        full = place == 0 or dice.random() < 0.4
        marker = f"M{place:05d}A"
        draft = _draft(dice, vpd, place, marker, full=full)
        if place and dice.random() < FAULTY_SHARE:
            for name in dice.sample(sorted(FAULTS), dice.choice((1, 1, 2, 3))):
                FAULTS[name](dice, draft)
                draft.faults.add(name)
        yield from _delivered(dice, draft, place * ROUNDS // files, marker)


def _delivered(dice: random.Random, draft: Draft, first: int, marker: str) -> Iterator[Delivery]:
    """Yield how a file comes: once, twice, late, or again with other content under the same name."""
    again = {"delivered twice", "other content"} & draft.faults
    late = "out of order" in draft.faults
    faults = frozenset(draft.faults)
    yield Delivery(draft.vpd, first + late, draft.name, draft.content(), faults, marker)
    if again:
        later = first + late + 1
        if "delivered twice" in again:
            yield Delivery(draft.vpd, later, draft.name, draft.content(), faults, marker)
        if "other content" in again:
            other = f"{marker[:-1]}B"
            draft.rows[0] = _marker(other)
            yield Delivery(draft.vpd, later + 1, draft.name, draft.content(), faults, other)


def _draft(dice: random.Random, vpd: str, place: int, marker: str, *, full: bool) -> Draft:
    day, kind = START + timedelta(days=place), "CSF" if full else "CSC"
    name = f"CS_{vpd}_CST_{kind}_{day:%Y%m%d}_{place + 1:08d}.DAT"
    before = "00000000 000000" if full else f"{day - timedelta(days=1):%Y%m%d} 000000"
    rows = story.sample(vpd, story.FULL).split(b"\r\n")[1:-2]
    if not full:
        rows = dice.sample(rows, 4)
    free = _marker(f"T{place:05d}")
    return Draft(vpd, name, name, vpd, (before, f"{day:%Y%m%d} 000000"), [_marker(marker), free, *rows])


def _marker(key: str) -> bytes:
    return f"LCA~{key}~Site {key}~Invented Site~~1 Example Road~~~Exampleton~~~GB~~~~~~~~~~20251103 091200".encode()


# --- faults -----------------------------------------------------------------------------------------------------


def _row(dice: random.Random, draft: Draft) -> int:
    """Choose a row that is not the marker and holds a value behind its type."""
    filled = [place for place, row in enumerate(draft.rows) if row.partition(b"~")[2].strip(b"~\r\n")]
    return dice.choice(filled[1:])


def _value(dice: random.Random, draft: Draft, change: Callable[[bytes], bytes]) -> None:
    """Change one value of one row that is not empty, and not its type."""
    row = _row(dice, draft)
    parts = draft.rows[row].split(b"~")
    chosen = dice.choice([place for place, part in enumerate(parts) if part.strip(b"\r\n") and place])
    parts[chosen] = change(parts[chosen])
    draft.rows[row] = b"~".join(parts)


def _insert(what: bytes) -> Callable[[random.Random, Draft], None]:
    def fault(dice: random.Random, draft: Draft) -> None:
        def change(value: bytes) -> bytes:
            place = dice.randrange(len(value) + 1)
            return value[:place] + what + value[place:]

        _value(dice, draft, change)

    return fault


def _write(what: bytes) -> Callable[[random.Random, Draft], None]:
    def oddity(_: random.Random, draft: Draft) -> None:
        draft.rows[FREE] = draft.rows[FREE].replace(b"Invented", b"Invented " + what)

    return oddity


def _set(**said: object) -> Callable[[random.Random, Draft], None]:
    def fault(_: random.Random, draft: Draft) -> None:
        for name, value in said.items():
            setattr(draft, name, value)

    return fault


def _bad_date(_: random.Random, draft: Draft) -> None:
    draft.rows[FREE] = draft.rows[FREE].replace(b"20251103", b"20260231")


def _fewer_columns(dice: random.Random, draft: Draft) -> None:
    row = _row(dice, draft)
    draft.rows[row] = draft.rows[row].rpartition(b"~")[0]


def _more_columns(dice: random.Random, draft: Draft) -> None:
    row = _row(dice, draft)
    draft.rows[row] += b"~surplus"


def _other_trust(_: random.Random, draft: Draft) -> None:
    draft.header_vpd = "899"


def _other_trusts_name(_: random.Random, draft: Draft) -> None:
    draft.name = draft.header_name = draft.name.replace(f"_{draft.vpd}_", "_899_")


def _no_name(_: random.Random, draft: Draft) -> None:
    draft.name = f"copy of {draft.name}"


def _renamed(_: random.Random, draft: Draft) -> None:
    draft.header_name = draft.header_name.replace(".DAT", "9.DAT")


def _empty(_: random.Random, draft: Draft) -> None:
    draft.cut = 0.0


def _truncated(dice: random.Random, draft: Draft) -> None:
    draft.cut = dice.uniform(0.01, 0.99)


def _flipped(dice: random.Random, draft: Draft) -> None:
    draft.flips = tuple(dice.random() for _ in range(dice.randrange(1, 6)))


def _lower_case(_: random.Random, draft: Draft) -> None:
    draft.name = draft.name.lower()


def _unknown_type(dice: random.Random, draft: Draft) -> None:
    draft.rows.insert(_row(dice, draft), b"QXA~1~something new")


def _untyped(dice: random.Random, draft: Draft) -> None:
    draft.rows.insert(_row(dice, draft), b"a line that begins with no type")


def _blank_line(dice: random.Random, draft: Draft) -> None:
    draft.rows[_row(dice, draft)] += b"\r\n"


def _long_line(dice: random.Random, draft: Draft) -> None:
    draft.rows.insert(_row(dice, draft), b"LCA~" + b"x" * 2_000_000)


def _delivery(_: random.Random, draft: Draft) -> None:
    """What is odd is how the file comes; see ``_delivered``."""


FAULTS: dict[str, Callable[[random.Random, Draft], None]] = {
    "name of no profile": _no_name,
    "name of another trust": _other_trusts_name,
    "name in other case": _lower_case,
    "header of another file": _renamed,
    "header of another trust": _other_trust,
    "header missing": _set(header=False),
    "version not known": _set(version="99"),
    "trailer missing": _set(trailer=False),
    "wrong count": _set(miscounted=1),
    "last newline missing": _set(last_newline=False),
    "too few columns": _fewer_columns,
    "too many columns": _more_columns,
    "empty": _empty,
    "truncated": _truncated,
    "bytes flipped": _flipped,
    "NUL": _insert(b"\x00"),
    "stray CR": _insert(b"\r"),
    "stray LF": _insert(b"\n"),
    "stray CRLF": _insert(b"\r\n"),
    "stray delimiter": _insert(b"~"),
    "backslash and quotes": _write(b"\\\"'"),
    "high bytes": _write(b"\xe9\xff"),
    "over-long field": _insert(b"x" * 800),
    "bad date": _bad_date,
    "unknown type": _unknown_type,
    "line without type": _untyped,
    "blank line": _blank_line,
    "line too long": _long_line,
    "delivered twice": _delivery,
    "other content": _delivery,
    "out of order": _delivery,
}

QUARANTINED = {
    "name of no profile": "F001",
    "name of another trust": "F004",
    "header of another file": "F003",
    "header of another trust": "F004",
    "header missing": "F002",
    "version not known": "F009",
    "trailer missing": "F005",
    "wrong count": "F005",
    "empty": "F013",
    "line too long": "F012",
}
"""Faults that keep the whole file out, with the code when the file has no other fault."""

HARMLESS = {
    "name in other case", "last newline missing", "backslash and quotes", "high bytes", "blank line",
}  # fmt: skip
"""Oddities that cost nothing: a file with no other fault has no dead letter."""

DEADLY = {"bad date", "over-long field", "NUL"}
"""Faults of one record: it is given up, when the file is applied at all."""
