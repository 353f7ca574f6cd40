"""Incidents of whole files: one that never came, and one that came in half."""

from typing import ClassVar, Final

from esrbridge.drill_incidents import Files, Incident, Shell, Verdict
from esrbridge.drill_stage import LAST_NIGHT, Place, Seen, everybody

LOST: Final = 3
"""The night whose file is lost."""


class Gap(Incident):
    """A file is missing, and those after it wait."""

    kind: ClassVar[str] = "gap"

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        return () if number == LOST else super().night(number)

    def mail(self) -> Files:
        """Return what others have sent."""
        return super().night(LOST)

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            "Nothing that was changed in ESR since Friday has reached the learning system. ESR's service desk looked: "
            f"one file of theirs was not delivered. They sent it to you by secure mail; it lies in mail/{self.vpd}."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        files = [seen.file(self.place.feed_name(night, full=night == 0)) for night in range(LAST_NIGHT + 1)]
        verdict.need(files[LOST]["status"] == "complete", "the missing file was applied")
        verdict.need(all(one["status"] == "complete" for one in files), "all files after it were applied, too")
        verdict.need(not any(one["released"] for one in files), "no file was let in before its turn")
        verdict.need(not seen.did("discard"), "nothing was discarded")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        shell.esrbridge("files", "list", "FOLDER", *self.trust)
        shell.copy_mail(self.vpd)
        shell.esrbridge("once", "FOLDER", *self.now)
        shell.esrbridge("files", "list", "FOLDER", *self.trust)


class Half(Incident):
    """A full file that leaves out too many people, because its making broke off."""

    kind: ClassVar[str] = "half"

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(place, seed)
        self._told = self.dice.randrange(15, 26)

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        if number != LAST_NIGHT:
            return super().night(number)
        return [self.feed(number, everybody(self.people[: self._told]), full=True)]

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            "A file of last night was not applied. ESR's service desk says when you ring: the full file of this trust "
            "broke off in the middle; do not use it. They will make another one, if they get a request for it through "
            "the interface."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        half = seen.file(self.place.feed_name(LAST_NIGHT, full=True))
        verdict.need(half["status"] == "discarded", "the half file is ended without being applied")
        verdict.need(not half["released"], "it was not let in")
        asked = [one for one in seen.report["requests"] if one["delivered"]]
        verdict.need(asked, "a full file was asked for, and the request lies in to-esr")
        verdict.need(not seen.report["absent"], "nobody counts as left out")
        verdict.need(not seen.closed(), "no account was closed")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        verdict.need_reasons([*seen.did("discard"), *asked])
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        name = self.place.feed_name(LAST_NIGHT, full=True)
        shell.esrbridge("files", "list", "FOLDER", *self.trust)
        shell.esrbridge("files", "show", "FOLDER", name, *self.trust)
        why = ("--why", "broke off at ESR, as their desk says")
        shell.esrbridge("files", "discard", "FOLDER", name, *why, *self.trust, *self.now)
        shell.esrbridge("files", "request", "FOLDER", *why, *self.trust, *self.now)
        shell.esrbridge("files", "requests", "FOLDER", *self.trust)
