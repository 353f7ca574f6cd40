"""Incidents of completions: ESR never answered, or refused a whole file."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from esrbridge.drill_incidents import Files, Incident, Shell, Verdict
from esrbridge.drill_stage import CERTIFICATION, PROFILE, Place, Seen, at, day
from shared.esr.writer import write_file

HEADER: Final = "reference,user_idnumber,certification_idnumber,completed_at,expires_on,course_idnumber,method"


class _Unloaded(Incident):
    """What learners completed does not stand in ESR."""

    told_on: ClassVar[int]

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(place, seed)
        self._learners = self.people[5 : 5 + self.dice.randrange(4, 9)]

    def section(self) -> dict[str, Any]:
        """Return the trust's section of ``bridge.yaml``."""
        return super().section() | {"completions": {"resend_after_days": 1, "resends": 1}}

    def afternoon(self, number: int) -> Files:
        if number != self.told_on:
            return ()
        done, until = day(number), day(number).replace(year=day(number).year + 2)
        rows = [
            f"C{place:010},{self.vpd}-{one},{CERTIFICATION},{done}T14:00:00+00:00,{until},FIRE-EL-01,e-Learning"
            for place, one in enumerate(self._learners, 1)
        ]
        name = f"completions_{self.vpd}_{done:%Y%m%d}_00000001.csv"
        return [(name, ("\r\n".join([HEADER, *rows]) + "\r\n").encode())]

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        newest = _newest(seen)
        number = len(self._learners)
        verdict.need(not seen.cases, "no completion waits for anybody")
        again = len(newest) == number and all(one["sent"]["change"] == "resend" for one in newest.values())
        verdict.need(again, f"all {number} completions were sent again, marked so")
        files = {one["sent"]["sent_file"] for one in newest.values()}
        verdict.need(not files & self._before(), "they are in a file that ESR has not had yet")
        verdict.need(not seen.decided("settle", "withdraw"), "none was given up or withdrawn")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        verdict.need_reasons(seen.decided("resend"))
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        cases = shell.esrbridge("completions", "cases", "FOLDER", *self.trust)
        shell.esrbridge("completions", "files", "FOLDER", *self.trust)
        for file in sorted({case["sent_file"] for case in cases}):
            why = ("--file", file, "--why", "mended at ESR, as their desk says")
            shell.esrbridge("completions", "resend", "FOLDER", *why, *self.trust, *self.now)
        shell.esrbridge("completions", "cases", "FOLDER", *self.trust)

    def _before(self) -> set[str]:
        """Return the names of the completion files that were written before the operator came in."""
        return {PROFILE.file_name(self.vpd, "CMP", day(night), seq) for night in range(5) for seq in (1, 2)}


def _newest(seen: Seen) -> dict[str, Mapping[str, Any]]:
    """Return what was sent last of each person's completion."""
    return {one["sent"]["person_id"]: one for one in sorted(seen.items, key=lambda one: str(one["sent"]["sent_at"]))}


class Silence(_Unloaded):
    """ESR has answered neither the file nor its repeat."""

    kind: ClassVar[str] = "silence"
    told_on: ClassVar[int] = 0

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            f"{len(self._learners)} people who did their fire training last Wednesday are shown in ESR as overdue. "
            "ESR's service desk looked: their inbox for this trust was full from Wednesday to Sunday, and no file of "
            "these days has arrived. It is emptied now."
        )


class Refused(_Unloaded):
    """ESR refused a whole file."""

    kind: ClassVar[str] = "refused"
    told_on: ClassVar[int] = 2

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        if number != self.told_on + 1:
            return super().night(number)
        refused = {
            "confirmed_file": PROFILE.file_name(self.vpd, "CMP", day(self.told_on), 1),
            "file_status": "FAIL",
            "records_read": str(len(self._learners)),
            "records_success": "0",
            "records_warning": "0",
            "records_failed": str(len(self._learners)),
            "message_type": "ERROR",
            "message_code": "F009",
            "message_text": "The file was not loaded",
        }
        answer = write_file(
            PROFILE,
            "CMC",
            vpd=self.vpd,
            date=day(number),
            seq=1,
            created=at(number, 6, 12),
            previous_run=None,
            current_run=at(number, 6),
            records=[("CFH", refused)],
        )
        return [*super().night(number), (PROFILE.file_name(self.vpd, "CMC", day(number), 1), answer)]

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            f"{len(self._learners)} people who did their fire training on Friday are shown in ESR as overdue. ESR's "
            "service desk says: our loader was set up for another trust that night and refused what it got from yours. "
            "That is put right since Sunday."
        )
