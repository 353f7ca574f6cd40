"""The invented trust: how it is founded, and what happens in it on one day."""

from datetime import date, timedelta
from math import ceil
from random import Random
from typing import Final

from sandbox.catalogue import COMPETENCES, LOCAL, Competence
from sandbox.esr_format import add_months, day_text, midnight
from sandbox.esr_hr import APPLICANT_STATUSES, HumanResources, held_from
from sandbox.esr_ledger import FILE_AFTER_NEXT, NEXT_FILE, Ledger
from sandbox.invented import dice_for

_FOUNDED: Final = "20200401"
_WARDS: Final = ("Ward 7", "Ward 9", "Outpatients", "Theatres", "Pharmacy", "Estates")
_POSTS: Final = ("Staff Nurse", "Health Care Assistant", "Administrator")
_LOCATION: Final = "700001"
_HOSPITAL: Final = "500001"
_LOCAL_IDS: Final = frozenset(one.competence_id for one in LOCAL)

#: In every hundred people of a new trust these places are applicants, with these statuses; the places are spread out
#: so that a small trust has some too.
_APPLICANTS: Final = {
    5: "Offer Accepted",
    21: "Offered Post Conditional",
    37: "Offered Post Unconditional",
    53: "Interview",
    69: "Offer Accepted",
    85: "Offered Post Conditional",
}

#: And these have left; everybody else is an employee.
_LEAVERS: Final = frozenset({9, 25, 41, 57, 73, 89})


def found(ledger: Ledger, vpd: str, seed: int, people: int, day: date) -> None:
    """Invent the trust as it stands at 00:00 of ``day``: places, posts, competences and ``people`` people."""
    dice = dice_for(seed, vpd, "found")
    _places(ledger, vpd)
    _competences(ledger, vpd)
    teams = HumanResources(ledger, vpd, dice)
    for place in range(people):
        _person(teams, place % 100, dice, day)


def _places(ledger: Ledger, vpd: str) -> None:
    updated = f"{_FOUNDED} 091200"
    hospital = {"organisation_type": "NHS_TM", "effective_from": _FOUNDED, "location_id": _LOCATION}
    ledger.put(
        "ORA",
        {
            **hospital,
            "organisation_id": _HOSPITAL,
            "organisation_name": f"{vpd} Example Hospital",
            "last_update": updated,
        },
    )
    ledger.put(
        "LCA",
        {
            "location_id": _LOCATION,
            "location_code": f"{vpd} Example Hospital Site",
            "location_description": "Example Hospital",
            "address_1": "1 Example Road",
            "town": "Exampleton",
            "country": "GB",
            "last_update": updated,
        },
    )
    number = 0
    for place, ward in enumerate(_WARDS, start=2):
        organisation = {"organisation_id": f"50000{place}", "organisation_name": f"{vpd} {ward}"}
        parent = {"parent_organisation_id": _HOSPITAL, "last_update": updated}
        ledger.put("ORA", {**hospital, **organisation, **parent})
        for post in _POSTS:
            number += 1
            _post(ledger, number, post, organisation["organisation_id"], updated)


def _post(ledger: Ledger, number: int, title: str, organisation_id: str, updated: str) -> None:
    """Create a post and say that it needs fire safety: requirements travel beside achievements in CMA records."""
    fire = COMPETENCES[0]
    position = {
        "position_id": str(610000 + number),
        "effective_from": _FOUNDED,
        "position_number": str(4400000 + number),
        "position_name": f"{4400000 + number}|{title}|001|",
        "job_staff_group": "Nursing and Midwifery Registered",
        "job_role": title,
        "organisation_id": organisation_id,
        "hiring_status": "Active",
        "position_type": "NONE",
        "last_update": updated,
    }
    requirement = {
        "competency_element_id": str(ledger.number("requirement")),
        "competency_type": "REQUIREMENT",
        "competency_name": fire.name,
        "date_from": _FOUNDED,
        "competence_id": fire.competence_id,
        "position_id": position["position_id"],
        "essential_flag": "Y",
        "last_update": updated,
    }
    ledger.put("POA", position)
    ledger.put("CMA", requirement)


def _competences(ledger: Ledger, vpd: str) -> None:
    for one in COMPETENCES:
        ledger.put(
            "CDA",
            {
                "competence_id": one.competence_id,
                "competence_name": one.name.format(vpd=vpd),
                "date_from": "20200101",
                "certification_required": "No",
                "evaluation_method": "Course Attendance",
                "renewal_period_frequency": str(one.months // 12),
                "renewal_period_units": "Year",
                "vpd_code": vpd if one.competence_id in _LOCAL_IDS else "",
                "last_update": f"{_FOUNDED} 091200",
            },
        )


def _person(teams: HumanResources, place: int, dice: Random, day: date) -> None:
    """Invent one person; ``place`` in a hundred decides between applicant, leaver and employee."""
    if status := _APPLICANTS.get(place):
        person_id = teams.apply(_days_before(day, dice, 5, 40), status)
        _history(teams, person_id, dice, day, fullness=0.3)
        return
    start = _days_before(day, dice, 30, 8 * 365)
    person_id = teams.engage(start)
    _history(teams, person_id, dice, day, fullness=1.0)
    if place in _LEAVERS:
        teams.leave(person_id, _days_before(day, dice, 1, 29))
        return
    if dice.random() < 0.08:
        teams.add_bank_assignment(person_id, _days_before(day, dice, 1, 29))
    if dice.random() < 0.04:
        teams.pause_or_return(person_id, _days_before(day, dice, 1, 29))


def _history(teams: HumanResources, person_id: str, dice: Random, day: date, fullness: float) -> None:
    """Enter what somebody has learnt: mostly current, some expired, a few with the cycle before as well."""
    for competence in COMPETENCES:
        if dice.random() >= competence.held_by * fullness:
            continue
        longest = min(int(competence.months * 30.4 * 1.1), 3 * 365)
        achieved = _days_before(day, dice, 1, longest)
        if dice.random() < 0.05:
            teams.train(person_id, competence, add_months(achieved, -competence.months))
        teams.train(person_id, competence, achieved)


def _days_before(day: date, dice: Random, least: int, most: int) -> date:
    return day - timedelta(days=dice.randint(least, most))


class TrustDay:
    """One day of trust life. Nobody is touched twice, so each change of the day can be told from the others."""

    def __init__(self, ledger: Ledger, vpd: str, seed: int, today: date) -> None:
        self._ledger = ledger
        self._dice = dice_for(seed, vpd, "day", today)
        self._teams = HumanResources(ledger, vpd, self._dice)
        self._today = today
        self._touched: set[str] = set()

    def live(self) -> None:
        """Let the day happen; every change waits for the next changes file, one newcomer for the file after it."""
        self._recruit()
        self._part()
        self._change()
        self._learn()
        self._apply()

    def _recruit(self) -> None:
        accepted = [one for one in self._ledger.people("applicant") if self._teams.has_accepted(one)]
        for person_id in self._some(accepted, 0.25):
            self._teams.hire(person_id, self._today)
        applicants = self._ledger.people("applicant")
        known = set(self._ledger.keys("PRA", sent=True))  # an applicant not sent yet cannot be taken back
        for person_id in self._some(
            [one for one in applicants if one in known], 0.04, at_least=1 if len(applicants) > 3 else 0
        ):
            self._teams.withdraw(person_id)
        for person_id in self._some(applicants + self._ledger.people("interviewed"), 0.25):
            self._teams.advance(person_id, self._today)

    def _part(self) -> None:
        left = self._ledger.people("left")
        if self._dice.random() < 0.3:
            for person_id in self._some(left, 0.0):
                self._teams.rehire(person_id, self._today)
        for person_id in self._some(self._ledger.people("employee"), 0.001):
            self._teams.leave(person_id, self._today)

    def _change(self) -> None:
        for person_id in self._some(self._ledger.people("employee"), 0.001):
            self._teams.rename(person_id, self._today)
        for person_id in self._some(self._ledger.people("employee"), 0.001):
            self._teams.pause_or_return(person_id, self._today)

    def _learn(self) -> None:
        for person_id in self._some(self._ledger.people("employee"), 0.02):
            competence = self._due(person_id)
            if competence is not None:
                self._teams.train(person_id, competence, self._today)
        elements = self._ledger.deletable_achievements()
        if elements:
            self._ledger.remove("CMA", self._dice.choice(elements))

    def _due(self, person_id: str) -> Competence | None:
        """Choose what somebody learns today: the competence held longest ago, or never."""
        newest: dict[str, date] = {}
        for one in self._ledger.of_person("CMA", person_id):
            newest[one["competence_id"]] = max(held_from(one), newest.get(one["competence_id"], date.min))
        free = [one for one in COMPETENCES if newest.get(one.competence_id, date.min) < self._today]
        return min(free, key=lambda one: newest.get(one.competence_id, date.min), default=None)

    def _apply(self) -> None:
        """Take on new applicants; one of them ESR sends a day late, after a competence of theirs."""
        size = len(self._ledger.keys("PRA", sent=False))
        for _ in range(ceil(size * 0.002)):
            self._teams.apply(self._today, self._dice.choice(list(APPLICANT_STATUSES)[:2]), NEXT_FILE)
        late = self._teams.apply(self._today, "Offered Post Conditional", FILE_AFTER_NEXT)
        self._teams.train(late, self._dice.choice(COMPETENCES), self._today - timedelta(days=200), self._today)

    def _some(self, people: list[str], share: float, at_least: int = 1) -> list[str]:
        """Choose a share of the people nobody has touched today."""
        free = [one for one in people if one not in self._touched]
        chosen = self._dice.sample(free, min(len(free), max(at_least, round(len(free) * share))))
        self._touched.update(chosen)
        return chosen


def impossible_record(ledger: Ledger, vpd: str, today: date) -> dict[str, str]:
    """Return a competence that can never be loaded: it was achieved on 31 February."""
    fire = COMPETENCES[0]
    person_id = ledger.people("employee")[0] if ledger.people("employee") else "9000000"
    return {
        "person_id": person_id,
        "competency_element_id": str(ledger.number("element")),
        "competency_type": "PERSONAL",
        "competency_status": "ACHIEVED",
        "competency_name": fire.name,
        "date_from": f"{today.year}0231",
        "date_to": day_text(add_months(today, fire.months)),
        "vpd_code": vpd,
        "competence_id": fire.competence_id,
        "last_update": midnight(today),
    }
