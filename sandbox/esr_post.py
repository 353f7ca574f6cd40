"""The post between the bridge and an ESR: by a seed, it loses, delays, repeats and damages what it carries.

The bridge's folders are at one end (``to-esr``, ``from-esr``), the ESR's at the other. Feed files and what is said of
them arrive unharmed: the mishaps are those of completions and of their confirmations. What was carried is kept, so
that a test can look at every file as it left.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from sandbox import esr_mishaps
from sandbox.esr_format import FileName, parse_name, write_atomically

SAID_AGAIN: Final = 50_000_000
"""Numbers of confirmations that say again what another said; ESR's own count does not come so far."""


class ChangedFileError(Exception):
    """A file stands where ESR collects that was there before with other bytes. No file may ever do so."""


@dataclass(frozen=True, slots=True)
class Mishaps:
    """How often what happens: shares between 0 and 1, of completion files (``sent``) and of confirmations."""

    sent_lost: float = 0.0
    sent_late: float = 0.0
    sent_damaged: float = 0.0
    sent_twice: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    said_again: float = 0.0
    in_part: float = 0.0
    with_a_stranger: float = 0.0


CALM: Final = Mishaps()

ROUGH: Final = Mishaps(
    sent_lost=0.05, sent_late=0.05, sent_damaged=0.05, sent_twice=0.05, lost=0.07, late=0.07, twice=0.05,
    said_again=0.05, in_part=0.07, with_a_stranger=0.05,
)  # fmt: skip


@dataclass(slots=True)
class Post:
    """Carries the files of one trust. ``here``: the bridge's folder of the trust; ``there``: the ESR's."""

    here: Path
    there: Path
    dice: Random
    mishaps: Mishaps = CALM
    sent: dict[str, bytes] = field(default_factory=dict)
    """Every file that left the bridge, as it was when it first stood there."""
    happened: list[str] = field(default_factory=list)
    """What went wrong so far: mishap and file."""
    _brought: set[str] = field(default_factory=set)
    _waiting: list[tuple[datetime, Path, bytes]] = field(default_factory=list)

    def carry(self, now: datetime) -> None:
        """Carry what stands at either end; then what is due of what was delayed. ``now``: UK local time.

        Raises ChangedFileError.
        """
        for path in _files(self.here / "to-esr"):
            self._take_there(path.name, path.read_bytes(), now)
        for path in _files(self.there / "from-esr"):
            if path.name not in self._brought:
                self._brought.add(path.name)
                self._bring_here(path.name, path.read_bytes(), now)
        due = [one for one in self._waiting if one[0] <= now]
        self._waiting = [one for one in self._waiting if one[0] > now]
        for _, path, content in due:
            write_atomically(path, content)

    def collected(self) -> None:
        """Have ESR clear its inbox of what it has read, as it does once a day."""
        for path in _files(self.there / "to-esr"):
            path.unlink()

    def _take_there(self, name: str, content: bytes, now: datetime) -> None:
        if name in self.sent:
            if self.sent[name] != content:
                raise ChangedFileError(name)
            return
        self.sent[name] = content
        inbox = self.there / "to-esr" / name
        parts = parse_name(name)
        if parts is None or parts.kind != "CMP":
            write_atomically(inbox, content)
            return
        match self._mishap(name, "sent_lost", "sent_late", "sent_damaged", "sent_twice"):
            case "sent_lost":
                return
            case "sent_late":
                self._waiting.append((now + timedelta(days=1, hours=1), inbox, content))
                return
            case "sent_damaged":
                content = esr_mishaps.cut_short(content)
            case "sent_twice":
                self._waiting.append((now + timedelta(days=2), inbox, content))
        write_atomically(inbox, content)

    def _bring_here(self, name: str, content: bytes, now: datetime) -> None:
        inbox = self.here / "from-esr" / name
        parts = parse_name(name)
        if parts is None or parts.kind != "CMC":
            write_atomically(inbox, content)
            return
        match self._mishap(name, "lost", "late", "twice", "said_again", "in_part", "with_a_stranger"):
            case "lost":
                return
            case "late":
                self._waiting.append((now + timedelta(days=self.dice.randint(1, 6)), inbox, content))
                return
            case "twice":
                self._waiting.append((now + timedelta(days=1), inbox, content))
            case "said_again":
                again, copy = esr_mishaps.said_again(parts, content, self._number(parts), now + timedelta(days=1))
                self._waiting.append((now + timedelta(days=1), inbox.with_name(str(again)), copy))
            case "in_part":
                content = esr_mishaps.answered_in_part(content, self.dice)
            case "with_a_stranger":
                content = esr_mishaps.with_a_stranger(content)
        write_atomically(inbox, content)

    def _number(self, parts: FileName) -> int:
        return SAID_AGAIN + parts.sequence

    def _mishap(self, name: str, *kinds: str) -> str:
        """Decide which of several mishaps befalls a file; at most one does."""
        for kind in kinds:
            if self.dice.random() < getattr(self.mishaps, kind):
                self.happened.append(f"{kind} {name}")
                return kind
        return ""


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
