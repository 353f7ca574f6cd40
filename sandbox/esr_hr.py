"""What the invented trust's recruitment, workforce and learning teams do to its records in ESR.

Each action takes the day it happens on and leaves the records as ESR would send them: a change of state ends the
current date slice and begins another; a hire keeps the person id and the assignment id.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final

from sandbox.catalogue import COMPETENCES, Competence
from sandbox.esr_format import END_OF_TIME, add_months, day_text, moment_text, parse_day
from sandbox.esr_ledger import NEXT_FILE, Ledger, Values
from sandbox.invented import Identity, ascii_slug, identity, last_name

#: User status of an application → Oracle's system status.
APPLICANT_STATUSES: Final = {
    "Interview": "ACTIVE_APL",
    "Offered Post Conditional": "OFFER",
    "Offered Post Unconditional": "OFFER",
    "Offer Accepted": "ACCEPTED",
}
_NEXT_STATUS: Final = {
    "Interview": "Offered Post Conditional",
    "Offered Post Conditional": "Offered Post Unconditional",
    "Offered Post Unconditional": "Offer Accepted",
}
PAUSED_STATUSES: Final = ("Maternity", "Career Break")
_IAT_STATUSES: Final = ("NONE", "REQUESTED", "RECEIVED", "REFUSED")
_IN_A_LATER_SLICE: Final = {"projected_hire_date": "", "vacancy_id": ""}


class HumanResources:
    """The teams of one trust, working within one transaction on its ledger."""

    def __init__(self, ledger: Ledger, vpd: str, dice: Random) -> None:
        self.ledger = ledger
        self.vpd = vpd
        self.dice = dice
        self._positions = ledger.all("POA")
        self._names = {one.competence_id: one.name.format(vpd=vpd) for one in COMPETENCES}

    def apply(self, start: date, status: str, pending: int = NEXT_FILE) -> str:
        """Register an application; returns the person id."""
        who, person_id = self._newcomer()
        self.ledger.put(
            "PRA",
            {
                **self._person_columns(who, person_id, start),
                "applicant_number": f"A{self.ledger.number('applicant')}",
                "contact_email": f"{who.slug}@mail.example",
                "iat_status": self.dice.choice(_IAT_STATUSES),
                "system_person_type": "APL",
                "user_person_type": "Applicant",
            },
            pending,
        )
        self.ledger.put(
            "ASA",
            {
                **self._assignment_columns(person_id, start),
                "assignment_type": "A",
                "system_assignment_status": APPLICANT_STATUSES[status],
                "user_assignment_status": status,
                "projected_hire_date": day_text(start + timedelta(days=self.dice.randrange(10, 60))),
                "vacancy_id": str(self.ledger.number("vacancy")),
            },
            pending,
        )
        self.ledger.move(person_id, "interviewed" if status == "Interview" else "applicant")
        return person_id

    def engage(self, start: date) -> str:
        """Register somebody who is already an employee since ``start``; returns the person id."""
        who, person_id = self._newcomer()
        number = str(self.ledger.number("employee"))
        self.ledger.put(
            "PRA",
            {
                **self._person_columns(who, person_id, start),
                **self._employee_columns(number, who.slug, start),
                "preferred_name": who.first_name,
                "user_person_type": "Employee",
            },
        )
        self.ledger.put("ASA", {**self._assignment_columns(person_id, start), **_employed(number, start)})
        self.ledger.move(person_id, "employee")
        return person_id

    def add_bank_assignment(self, person_id: str, start: date) -> None:
        """Give an employee a second assignment: employee number plus suffix, not primary."""
        number = self._person(person_id)["employee_number"]
        columns = self._assignment_columns(person_id, start)
        self.ledger.put("ASA", {**columns, **_employed(f"{number}-2", start), "primary_assignment": "N", "fte": "0"})

    def advance(self, person_id: str, today: date) -> None:
        """Move an application one status on, as far as Offer Accepted."""
        application = self._assignments(person_id)[-1]
        status = _NEXT_STATUS.get(application["user_assignment_status"])
        if status is None:
            return
        changes = {"user_assignment_status": status, "system_assignment_status": APPLICANT_STATUSES[status]}
        self.ledger.new_slice("ASA", application, today, {**changes, "last_update": self._now(today)})
        self.ledger.move(person_id, "applicant")

    def has_accepted(self, person_id: str) -> bool:
        """Tell whether an applicant has accepted the offer."""
        return self._assignments(person_id)[-1]["user_assignment_status"] == "Offer Accepted"

    def hire(self, person_id: str, today: date) -> None:
        """Make an applicant an employee from today: same person id, same assignment id, new slices."""
        number = str(self.ledger.number("employee"))
        person, application = self._person(person_id), self._assignments(person_id)[-1]
        slug = person["contact_email"].partition("@")[0]
        changes = {
            **self._employee_columns(number, slug, today),
            "iat_status": "RECEIVED" if person["iat_status"] == "REQUESTED" else person["iat_status"],
            "user_person_type": "Employee.Ex-Applicant",
            "last_update": day_text(today),
        }
        self.ledger.new_slice("PRA", person, today, changes)
        employed = {**_employed(number, today), **_IN_A_LATER_SLICE, "last_update": self._now(today)}
        self.ledger.new_slice("ASA", application, today, employed)
        self.ledger.move(person_id, "employee")

    def withdraw(self, person_id: str) -> None:
        """Take an application back: its assignment is deleted, the person stays."""
        for key in sorted({one["assignment_id"] for one in self._assignments(person_id)}):
            self.ledger.remove("ASA", key)
        self.ledger.move(person_id, "withdrawn")

    def leave(self, person_id: str, last_day: date) -> None:
        """End somebody's employment: every assignment is terminated from the day after the last one."""
        after, last = last_day + timedelta(days=1), day_text(last_day)
        changes = {
            "actual_termination_date": last,
            "employee_status_flag": "",
            "system_person_type": "EX_EMP",
            "user_person_type": "Ex-employee",
            "office_email": "",
            "last_update": last,
        }
        self.ledger.new_slice("PRA", self._person(person_id), after, changes)
        ended = {
            "system_assignment_status": "TERM_ASSIGN",
            "user_assignment_status": "Terminated",
            "fte": "",
            "last_working_day": last,
            "assignment_end_date": last,
            "last_update": self._now(last_day),
        }
        for assignment in self._open_assignments(person_id):
            self.ledger.new_slice("ASA", assignment, after, ended)
        self.ledger.move(person_id, "left")

    def rehire(self, person_id: str, today: date) -> None:
        """Bring a leaver back: same person id and employee number, a new hire date and a new assignment."""
        person = self._person(person_id)
        number = person["employee_number"]
        slug = f"{ascii_slug(person['first_name'], person['last_name'])}.{person_id}"
        changes = {
            **self._employee_columns(number, slug, today),
            "nhs_start_date": person.get("nhs_start_date", ""),
            "actual_termination_date": "",
            "user_person_type": "Employee",
            "last_update": day_text(today),
        }
        self.ledger.new_slice("PRA", person, today, changes)
        taken = len({one["assignment_id"] for one in self._assignments(person_id)})
        columns = self._assignment_columns(person_id, today)
        self.ledger.put("ASA", {**columns, **_employed(f"{number}-{taken + 1}", today)})
        self.ledger.move(person_id, "employee")

    def rename(self, person_id: str, today: date) -> None:
        """Give somebody another last name from today on."""
        person = self._person(person_id)
        name = last_name(self.dice)
        while name == person["last_name"]:
            name = last_name(self.dice)
        changes = {"last_name": name, "previous_last_name": person["last_name"], "last_update": day_text(today)}
        self.ledger.new_slice("PRA", person, today, changes)

    def pause_or_return(self, person_id: str, today: date) -> None:
        """Send somebody at work on leave, or bring somebody on leave back to work."""
        current = self._open_assignments(person_id)[0]
        back = current["user_assignment_status"] in PAUSED_STATUSES
        changes = {
            "user_assignment_status": "Active Assignment" if back else self.dice.choice(PAUSED_STATUSES),
            "system_assignment_status": "ACTIVE_ASSIGN" if back else "SUSP_ASSIGN",
            "last_update": self._now(today),
        }
        self.ledger.new_slice("ASA", current, today, changes)

    def train(self, person_id: str, competence: Competence, on: date, entered: date | None = None) -> str:
        """Enter a competence achieved on a day, with the expiry its period gives; returns the element id."""
        values = {
            "competency_name": self._names[competence.competence_id],
            "date_from": day_text(on),
            "date_to": day_text(add_months(on, competence.months)),
            "competence_id": competence.competence_id,
            "last_update": self._now(entered or on),
        }
        return add_achievement(self.ledger, self.vpd, person_id, values)

    def _newcomer(self) -> tuple[Identity, str]:
        number = self.ledger.number("person")
        return identity(self.dice, number), str(number)

    def _person(self, person_id: str) -> Values:
        found = self.ledger.latest("PRA", person_id)
        if found is None:
            raise ValueError(f"person {person_id} is not in this trust")
        return found

    def _assignments(self, person_id: str) -> list[Values]:
        return self.ledger.of_person("ASA", person_id)

    def _open_assignments(self, person_id: str) -> list[Values]:
        latest = {one["assignment_id"]: one for one in self._assignments(person_id)}
        return [one for one in latest.values() if one["system_assignment_status"] != "TERM_ASSIGN"]

    def _now(self, today: date) -> str:
        """Return an office-hours time of a day, to the second."""
        return moment_text(datetime.combine(today, time(9)) + timedelta(seconds=self.dice.randrange(8 * 3600)))

    def _person_columns(self, who: Identity, person_id: str, start: date) -> Values:
        return {
            "person_id": person_id,
            "effective_start": day_text(start),
            "effective_end": END_OF_TIME,
            "title": who.title,
            "last_name": who.last_name,
            "first_name": who.first_name,
            "date_of_birth": day_text(who.date_of_birth),
            "ni_number": who.ni_number,
            "last_update": day_text(start),
        }

    def _employee_columns(self, number: str, slug: str, hired: date) -> Values:
        return {
            "employee_number": number,
            "hire_date": day_text(hired),
            "employee_status_flag": "E",
            "system_person_type": "EMP",
            "office_email": f"{slug}@trust{self.vpd}.example",
            "nhs_start_date": day_text(hired - timedelta(days=self.dice.randrange(10 * 365))),
        }

    def _assignment_columns(self, person_id: str, start: date) -> Values:
        position = self.dice.choice(self._positions)
        return {
            "person_id": person_id,
            "assignment_id": str(self.ledger.number("assignment")),
            "effective_start": day_text(start),
            "effective_end": END_OF_TIME,
            "organisation_id": position["organisation_id"],
            "position_id": position["position_id"],
            "position_name": position["position_name"],
            "last_update": self._now(start),
        }


def _employed(number: str, start: date) -> Values:
    return {
        "earliest_assignment_start": day_text(start),
        "assignment_type": "E",
        "assignment_number": number,
        "system_assignment_status": "ACTIVE_ASSIGN",
        "user_assignment_status": "Active Assignment",
        "primary_assignment": "Y",
        "fte": "1",
        "job_name": "Nursing and Midwifery Registered|Staff Nurse",
    }


def add_achievement(ledger: Ledger, vpd: str, person_id: str, values: Mapping[str, str]) -> str:
    """Store an achieved competence under a new element id; ``values`` hold name, id and dates. Returns the id."""
    element_id = str(ledger.number("element"))
    fixed = {"competency_type": "PERSONAL", "competency_status": "ACHIEVED", "vpd_code": vpd}
    ledger.put("CMA", {**values, **fixed, "person_id": person_id, "competency_element_id": element_id})
    return element_id


def held_from(achievement: Mapping[str, str]) -> date:
    """Return the day a stored competence was achieved."""
    found = parse_day(achievement["date_from"])
    if found is None:
        raise ValueError(f"element {achievement['competency_element_id']} holds an impossible date")
    return found
