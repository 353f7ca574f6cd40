"""Incident of a learning management system that does not let the bridge in any more."""

from pathlib import Path
from typing import Any, ClassVar, Final

from esrbridge.drill_incidents import Files, Incident, Shell, Verdict
from esrbridge.drill_stage import LAST_NIGHT, Place, Seen, assignment, ids, person
from esrbridge.lms import ACCEPTED

SECRETS: Final = "secrets"
TOKEN: Final = "lms-token"  # noqa: S105 - a file's name
"""The file in the mail in which the new token stands."""


class Barred(Incident):
    """The LMS refuses the bridge's token: it was replaced there."""

    kind: ClassVar[str] = "barred"

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(place, seed)
        self._old, self._new = (f"invented-{self.dice.getrandbits(64):016x}" for _ in range(2))
        self._starters = ids(self.dice.randrange(3, 9), first=101)

    @property
    def _secret(self) -> Path:
        return self.place.folder / SECRETS / f"lms-{self.vpd}"

    def section(self) -> dict[str, Any]:
        """Return the trust's section of ``bridge.yaml``."""
        section = super().section()
        return section | {"lms": section["lms"] | {"token_file": f"{SECRETS}/lms-{self.vpd}"}}

    def prepare(self) -> None:
        """Lay out the token, at the bridge and at the LMS."""
        super().prepare()
        self._secret.parent.mkdir(exist_ok=True)
        self._secret.write_text(self._old, "utf-8")
        self._accepts(self._old)

    def happens(self, number: int) -> None:
        """Before the last night the LMS gets another token."""
        if number == LAST_NIGHT:
            self._accepts(self._new)

    def _accepts(self, token: str) -> None:
        self.place.lms.with_suffix(ACCEPTED).write_text(token, "utf-8")

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        if number != LAST_NIGHT:
            return super().night(number)
        new = [record for one in self._starters for record in (person(one), assignment(one))]
        return [self.feed(number, [*self.quiet(number), *new])]

    def mail(self) -> Files:
        """Return what others have sent."""
        return [(TOKEN, self._new.encode())]

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            f"{len(self._starters)} people who are new in ESR since the weekend wait for their accounts in the "
            "learning system. Its administrators write: on Sunday they exchanged the secrets of all interfaces, as "
            f"every year, and the new one for you lies in mail/{self.vpd}. Nobody is to make accounts by hand."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        wanted = {str(one) for one in (*self.people, *self._starters)}
        verdict.need(wanted <= seen.accounts.keys(), "everybody who is new has an account")
        verdict.need(not seen.closed(), "no account was closed")
        verdict.need(self._secret.read_text("utf-8").strip() == self._new, "the bridge holds the new secret")
        accepts = self.place.lms.with_suffix(ACCEPTED)
        verdict.need(
            accepts.exists() and accepts.read_text("utf-8").strip() == self._new,
            "the learning system was left as it is",
        )
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        shell.esrbridge("status", "FOLDER", *self.now)
        shell.renew_secret(self.vpd)
        shell.esrbridge("once", "FOLDER", *self.now)
        shell.esrbridge("status", "FOLDER", *self.now)
