"""Incidents of accounts: many are to be closed in one day, rightly or by mistake."""

from typing import ClassVar

from esrbridge.drill_incidents import Files, Incident, Shell, Verdict
from esrbridge.drill_stage import LAST_NIGHT, Place, Record, Seen, person


class _Closing(Incident):
    """More people leave in a day than accounts are closed without asking."""

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(place, seed)
        self._concerned = self.people[20 : 20 + self.dice.randrange(8, 15)]

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        if number != LAST_NIGHT:
            return super().night(number)
        return [self.feed(number, [*self.quiet(number), *self._said("2026-03-08")])]

    def _said(self, left: str, updated: str = "2026-03-08") -> list[Record]:
        return [person(one, actual_termination_date=left, last_update=updated) for one in self._concerned]

    @property
    def _number(self) -> str:
        return str(len(self._concerned))


class Leavers(_Closing):
    """They have really left."""

    kind: ClassVar[str] = "leavers"

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            f"The personnel office writes: the {self._number} people of the sexual health team went to another trust; "
            "Sunday was their last day. Their accounts in the learning system must be closed today."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        verdict.need(seen.closed() == {str(one) for one in self._concerned}, "exactly their accounts are closed")
        verdict.need(not seen.report["operator"]["suspensions"], "no closing waits for anybody")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        verdict.need_reasons(seen.decided("release"))
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        held = shell.esrbridge("accounts", "held", "FOLDER", *self.trust, *self.now)
        expected = ("--expected", str(held["suspensions"]), "--why", "team moved, personnel office")
        shell.esrbridge("accounts", "release", "FOLDER", *expected, *self.trust, *self.now)
        shell.esrbridge("accounts", "held", "FOLDER", *self.trust, *self.now)


class Mistaken(_Closing):
    """Nobody has left: a list was loaded into ESR with the wrong dates."""

    kind: ClassVar[str] = "mistaken"

    def mail(self) -> Files:
        """Return what others have sent."""
        return [self.place.correction(self._said("", updated="2026-03-09"))]

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            f"A matron is upset: the personnel office loaded a list of {self._number} leavers into ESR, and it was the "
            "wrong list: they all still work here. ESR has been put right this morning, and the service desk made the "
            f"next file at once. It lies in mail/{self.vpd}. Nobody must lose access; whoever looks at the guard today "
            "must be able to read that this is known."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        verdict.need(not seen.closed(), "no account was closed")
        verdict.need(not seen.report["operator"]["suspensions"], "no closing waits for anybody")
        ((name, _),) = self.mail()
        verdict.need(seen.file(name)["status"] == "complete", "the corrected file was applied")
        verdict.need(not seen.decided("release"), "nothing was released")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        verdict.need_reasons(seen.decided("refuse"))
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        held = shell.esrbridge("accounts", "held", "FOLDER", *self.trust, *self.now)
        expected = ("--expected", str(held["suspensions"]), "--why", "wrong list, corrected in ESR")
        shell.esrbridge("accounts", "refuse", "FOLDER", *expected, *self.trust, *self.now)
        shell.copy_mail(self.vpd)
        shell.esrbridge("once", "FOLDER", *self.now)
        shell.esrbridge("accounts", "held", "FOLDER", *self.trust, *self.now)
