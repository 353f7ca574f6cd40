"""Incidents of dead letters: a record that cannot succeed as it stands, and many that one mistake has made."""

from importlib import resources
from typing import Any, ClassVar, Final

import msgspec

from esrbridge.drill_incidents import Files, Incident, Shell, Verdict
from esrbridge.drill_stage import Place, Seen, assignment, ids, person
from services.console import store

LONG_TYPE: Final = "Employee, Community and Primary Care"
RIGHT: Final = "user_person_type X(80)"
WRONG: Final = "user_person_type X(20)"


class Poison(Incident):
    """A date that is none, in one record of a file."""

    kind: ClassVar[str] = "poison"

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(place, seed)
        (self._starter,) = ids(1, first=self.dice.randrange(401, 499))
        self._hired = f"2026-02-{self.dice.randrange(16, 27)}"

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        if number != 3:
            return super().night(number)
        record = person(self._starter, effective_start="2026-03-02", hire_date="2026-02-27", last_update="2026-03-06")
        name, content = self.feed(3, [*self.quiet(3), record, assignment(self._starter)])
        return [(name, content.replace(b"20260227", b"20260231"))]  # which no writer of ours would write

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            f"A ward manager rings: the new starter with the person ID {self._starter} cannot log in to the learning "
            f"system. The personnel office reads from the contract: hired on {self._hired}. ESR will send nothing more "
            "of this person for weeks."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        letter = next(iter(seen.letters))
        verdict.need(letter.state == "resolved", "the case is closed because its record succeeded")
        verdict.need(letter.outcome == "applied", "the record was applied")
        verdict.need(_fields(letter).get("hire_date") == self._hired, "it has the hire date of the contract")
        verdict.need(str(self._starter) in seen.accounts, "the new starter has an account")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        verdict.need_reasons(seen.did("edit", "replay"))
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        (letter,) = shell.esrbridge("dead", "list", "FOLDER", *self.trust, "--json")
        shell.esrbridge("dead", "show", "FOLDER", letter["id"], *self.trust)
        mended = ("--set", f"hire_date={self._hired}", "--why", "date as in the contract", "--replay")
        shell.esrbridge("dead", "edit", "FOLDER", letter["id"], *mended, *self.trust, *self.now)
        shell.esrbridge("dead", "show", "FOLDER", letter["id"], *self.trust)


class Burst(Incident):
    """Records by the dozen that the trust's own profile refuses, wrongly."""

    kind: ClassVar[str] = "burst"

    def __init__(self, place: Place, seed: int) -> None:
        super().__init__(place, seed)
        self._concerned = self.people[10 : 10 + self.dice.randrange(16, 29)]
        self._profile = f"esr-{place.vpd}.yaml"

    def section(self) -> dict[str, Any]:
        """Return the trust's section of ``bridge.yaml``."""
        return super().section() | {"profile": self._profile}

    def prepare(self) -> None:
        """Lay out what has to be there before the first night."""
        super().prepare()
        whole = resources.files("shared.esr.profiles").joinpath("esr-cstf.yaml").read_text("utf-8")
        (self.place.folder / self._profile).write_text(whole.replace(RIGHT, WRONG), "utf-8")

    def night(self, number: int) -> Files:
        """Return the files that ESR sends in a night."""
        if number != 4:
            return super().night(number)
        return [
            self.feed(4, [person(one, user_person_type=LONG_TYPE, last_update="2026-03-07") for one in self._concerned])
        ]

    def task(self) -> str:
        """Return what the operator is told."""
        return (
            "Since Sunday there are dead letters by the dozen, where there never were any. ESR's service desk says "
            "that nothing is wrong with the files: since their last update a person's type "
            "(user_person_type) may have 80 characters, which they announced. This trust's profile is a file of its "
            f"own, {self._profile} in the drill's folder, and yours to change."
        )

    def check(self, seen: Seen) -> Verdict:
        """Tell whether it is cleared, and rightly."""
        verdict = Verdict()
        outcomes = [(letter.state, letter.outcome) for letter in seen.letters]
        wanted = [("resolved", "applied")] * len(self._concerned)
        verdict.need(outcomes == wanted, f"all {len(wanted)} records were applied, and their cases closed by that")
        as_sent = all(_fields(letter).get("user_person_type") == LONG_TYPE for letter in seen.letters)
        verdict.need(as_sent, "they say what ESR sent: what is right was not edited away")
        verdict.need(not seen.did("discard", "plan discard"), "nothing was discarded")
        verdict.need(seen.settled(), "every line of every file has its fate, and nothing waits")
        verdict.need_reasons(seen.did("plan replay", "replay"))
        return verdict

    def solve(self, shell: Shell) -> None:
        """Clear it by the runbook."""
        (group,) = shell.esrbridge("dead", "groups", "FOLDER", *self.trust, "--json")
        profile = shell.folder / self._profile
        profile.write_text(profile.read_text("utf-8").replace(WRONG, RIGHT), "utf-8")
        why = ("--why", "profile mended, as ESR announced")
        plan = shell.esrbridge("dead", "plan", "FOLDER", "--all", "--code", group["code"], *why, *self.trust)
        number = str(plan["operation"])
        shell.esrbridge("dead", "runs", "FOLDER", number, "--letters", *self.trust)
        shell.esrbridge("dead", "run", "FOLDER", number, *self.trust, *self.now)
        shell.esrbridge("dead", "runs", "FOLDER", number, *self.trust)


def _fields(letter: store.AnyRow) -> dict[str, str]:
    return msgspec.json.decode(store.message_of(letter).body, type=dict[str, str])
