"""What the sandbox's ESR holds and was told, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import database
from sandbox.esr_confirmations import Confirmed
from sandbox.esr_format import END_OF_TIME
from sandbox.esr_ledger import Ledger, Values
from sandbox.esr_mail import Answer, Mail
from sandbox.esr_returns import Returns


class Truth:
    """What the sandbox's ESR really holds. Reads only; every call sees the latest state."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def people(self, state: str | None = None) -> list[str]:
        """Return person ids in a state: interviewed, applicant, employee, withdrawn, left; without one, all."""
        with self._ledger() as ledger:
            states = [state] if state else ["interviewed", "applicant", "employee", "withdrawn", "left"]
            return sorted(person_id for one in states for person_id in ledger.people(one))

    def person(self, person_id: str) -> Values:
        """Return the columns of a person's latest slice; raises KeyError for an unknown person."""
        with self._ledger() as ledger:
            found = ledger.latest("PRA", person_id)
        if found is None:
            raise KeyError(person_id)
        return found

    def assignments(self, person_id: str) -> list[Values]:
        """Return all slices of a person's assignments, in key and date order."""
        with self._ledger() as ledger:
            return ledger.of_person("ASA", person_id)

    def current_assignments(self, person_id: str) -> list[Values]:
        """Return the open-ended slice of each assignment of a person."""
        return [one for one in self.assignments(person_id) if one["effective_end"] == END_OF_TIME]

    def achievements(self, person_id: str) -> list[Values]:
        """Return the competences a person holds, in the order they were entered."""
        with self._ledger() as ledger:
            return ledger.of_person("CMA", person_id)

    def competences(self) -> dict[str, str]:
        """Return competence names by id."""
        with self._ledger() as ledger:
            return {one["competence_id"]: one["competence_name"] for one in ledger.all("CDA")}

    def answers(self, lms_reference: str) -> list[Answer]:
        """Return everything ESR ever said of a completion reference, oldest first."""
        with database.transaction(self._state) as connection:
            return Mail(connection).answers(lms_reference)

    def loaded(self, lms_reference: str) -> str | None:
        """Return the element id under which a completion is held because of this reference, None when it is not."""
        with self._ledger() as ledger:
            reference = ledger.reference(lms_reference)
        return reference.element_id if reference and reference.loaded else None

    def confirmed(self, file_name: str) -> Confirmed | None:
        """Return what was said of a feed file, status and counts; None while nothing was said."""
        with database.transaction(self._state) as connection:
            return Returns(connection).confirmed(file_name)

    def refused_records(self, file_name: str) -> list[tuple[int, str]]:
        """Return (position, code) of each record of a feed file that was not loaded, in file order."""
        with database.transaction(self._state) as connection:
            return [(one.position, one.code) for one in Returns(connection).refused(file_name)]

    def complaints(self) -> list[str]:
        """Return what was wrong with confirmations and requests, oldest first: file name and sentence."""
        with database.transaction(self._state) as connection:
            return Returns(connection).complaints()

    @contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        with database.transaction(self._state) as connection:
            yield Ledger(connection)
