"""What every incident of the drill is: a trust's nights, a task in plain words, a way to tell, a model solution."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from esrbridge.drill_stage import NOW, Place, Record, Seen, assignment, everybody, ids, person

Files = Sequence[tuple[str, bytes]]

NOBODYS_REASON: Final = "from the command line"
"""Ends the reasons that nobody gave."""


class Shell(Protocol):
    """What the model solution works with."""

    folder: Path

    def esrbridge(self, *arguments: str) -> Any:  # noqa: ANN401 - what the command prints
        """Run a command, ``FOLDER`` standing for the drill's folder; return what it prints, read where it is JSON."""

    def copy_mail(self, vpd: str) -> None:
        """Copy what was sent to the operator into the trust's ``from-esr``."""

    def renew_secret(self, vpd: str) -> None:
        """Put the token that was sent to the operator where the trust's old one stands."""


@dataclass(slots=True)
class Verdict:
    """What has to be so for an incident to be cleared: sentences, and whether they hold."""

    points: list[tuple[bool, str]] = field(default_factory=list)

    def need(self, holds: object, sentence: str) -> None:
        """Add something that has to be so."""
        self.points.append((bool(holds), sentence))

    def need_reasons(self, deeds: Sequence[Mapping[str, Any]]) -> None:
        """Need deeds, and beside each a reason that somebody gave."""
        given = [str(one["why"]).strip() for one in deeds]
        self.need(
            given and all(why and not why.endswith(NOBODYS_REASON) for why in given),
            "what was done is written down, with a reason",
        )

    @property
    def cleared(self) -> bool:
        """Whether everything is as it has to be."""
        return all(holds for holds, _ in self.points)


class Incident(ABC):
    """One trust in which something has gone wrong."""

    kind: ClassVar[str]

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.dice = random.Random(f"{seed}-{self.kind}")  # noqa: S311 - a game
        self.people = ids()

    @property
    def vpd(self) -> str:
        """The trust it happens in."""
        return self.place.vpd

    def section(self) -> dict[str, Any]:
        """Return the trust's section of ``bridge.yaml``."""
        return self.place.section()

    def prepare(self) -> None:
        """Lay out what has to be there before the first night."""
        self.place.prepare()

    def happens(self, number: int) -> None:
        """Let happen what happens before a night's files come, other than files."""
        del number

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night: on the first the full file, then something small."""
        if number == 0:
            return [self.feed(0, everybody(self.people), full=True)]
        return [self.feed(number, self.quiet(number))]

    def afternoon(self, number: int) -> Files:
        """Return the files that the LMS sends on a day."""
        del number
        return ()

    def mail(self) -> Files:
        """Return what others have sent to the operator."""
        return ()

    @abstractmethod
    def task(self) -> str:
        """Return what the operator is told: what was heard, and no solution."""

    @abstractmethod
    def check(self, seen: Seen) -> Verdict:
        """Tell whether the incident is cleared, and cleared rightly."""

    @abstractmethod
    def solve(self, shell: Shell) -> None:
        """Clear it by the commands that ``docs/operating.md`` gives."""

    def feed(self, night: int, records: Sequence[Record], *, full: bool = False) -> tuple[str, bytes]:
        """Return name and bytes of the feed file of a night."""
        return self.place.feed_name(night, full=full), self.place.feed(night, records, full=full)

    def quiet(self, night: int) -> list[Record]:
        """Return what a night without incident brings: somebody's new first name."""
        one = self.people[night]
        return [person(one, first_name=f"Quiet{night}", last_update=f"2026-03-0{3 + night}"), assignment(one)]

    @property
    def trust(self) -> tuple[str, str]:
        """The option that names the trust."""
        return "--trust", self.vpd

    @property
    def now(self) -> tuple[str, str]:
        """The option that says when it is."""
        return "--now", NOW
