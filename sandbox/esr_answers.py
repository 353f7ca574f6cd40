"""How the sandbox's ESR judges one completion record: field rules (R1xx) first, then business rules (B2xx).

The rules are restated here from the file format, not shared with the product. Texts hold column names and ids only.
Not modelled: B210 (rating scales) and B212 (organisations without a declaration of alignment).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sandbox.esr_format import add_months, day_text, is_moment, moment_text, parse_day, values_of
from sandbox.esr_hr import add_achievement
from sandbox.esr_ledger import Ledger, Reference, Values

#: Longest text each completion column may hold; dates are checked as dates.
_LENGTHS: Final = {
    "lms_reference": 50,
    "vpd_code": 3,
    "person_id": 30,
    "employee_number": 30,
    "applicant_number": 30,
    "assignment_number": 30,
    "last_name": 150,
    "competence_id": 30,
    "competence_name": 700,
    "proficiency_level": 80,
    "certification_method": 80,
    "source_course": 100,
    "change_reason": 12,
    "replaces_reference": 50,
    "unused_1": 240,
    "unused_2": 240,
    "unused_3": 240,
}
_MANDATORY: Final = (
    "lms_reference",
    "vpd_code",
    "person_id",
    "last_name",
    "competence_id",
    "competence_name",
    "date_from",
    "change_reason",
    "last_update",
)
_DATES: Final = ("date_of_birth", "date_from", "date_to", "certification_date", "next_certification_date")
_COPIED: Final = ("proficiency_level", "certification_date", "certification_method", "next_certification_date")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one record; ``code`` is blank when there is nothing to remark."""

    status: str = "SUCCESS"
    kind: str = ""
    code: str = ""
    text: str = ""
    person_id: str = ""
    element_id: str = ""


def _fail(code: str, text: str) -> Verdict:
    return Verdict("FAIL", "ERROR", code, text)


def _warn(code: str, text: str, element_id: str) -> Verdict:
    return Verdict("SUCCESS", "WARNING", code, text, element_id=element_id)


class Judge:
    """Judges and loads the records of one completion file, within one transaction on the ledger."""

    def __init__(self, ledger: Ledger, vpd: str, now: datetime) -> None:
        self._ledger = ledger
        self._vpd = vpd
        self._now = now

    def judge(self, fields: list[str]) -> Verdict:
        """Return the verdict on one record, and store what it achieved when it is good."""
        if fields[0] == "TCA":
            return self._completion(values_of(fields))
        if fields[0] == "TCD":
            return self._withdrawal(fields[1])
        # Strict on purpose: a sender that invents record types should see it, although ESR may only warn.
        return _fail("R105", "Record type not known")

    def _completion(self, given: Values) -> Verdict:
        before = self._ledger.reference(given["lms_reference"])
        verdict = _field_fault(given, self._vpd)
        if verdict is None:
            verdict = self._first_time(given) if before is None else _again(given, before)
        return replace(verdict, person_id=given["person_id"])

    def _first_time(self, given: Values) -> Verdict:
        rules: tuple[Callable[[Values], Verdict | None], ...] = (
            self._wrong_person,
            self._wrong_competence,
            self._wrong_dates,
            self._unknown_original,
            self._held_already,
            self._out_of_scope,
        )
        for rule in rules:
            if verdict := rule(given):
                return verdict
        return self._load(given)

    def _wrong_person(self, given: Values) -> Verdict | None:
        person = self._ledger.latest("PRA", given["person_id"])
        if person is None:
            return _fail("B201", f"Person ID {given['person_id']} is not known to the receiver")
        if person["last_name"].casefold() != given["last_name"].casefold():
            return _fail("B202", "Last name does not match the name held for this person")
        return None

    def _wrong_competence(self, given: Values) -> Verdict | None:
        competence = self._ledger.latest("CDA", given["competence_id"])
        if competence is None:
            return _fail("B204", "Competence ID not known in this VPD")
        ended = bool(competence.get("date_to")) and competence["date_to"] < given["date_from"]
        if ended or competence["competence_name"] != given["competence_name"]:
            return _fail("B205", "Competence name does not match the ID, or the competence has ended")
        return None

    def _wrong_dates(self, given: Values) -> Verdict | None:
        if given["date_from"] > day_text(self._now.date()):
            return _fail("B206", "Date achieved is in the future")
        if given["date_to"] and given["date_to"] < given["date_from"]:
            return _fail("B207", "Expiry is before the date achieved")
        return None

    def _unknown_original(self, given: Values) -> Verdict | None:
        if given["change_reason"] != "CORRECTION":
            return None
        original = self._ledger.reference(given["replaces_reference"])
        if original is None or not original.loaded:
            return _fail("B213", "No completion with this reference has been loaded")
        return None

    def _held_already(self, given: Values) -> Verdict | None:
        if given["change_reason"] == "CORRECTION":
            return None
        until = self._expiry(given)
        for held in self._held(given):
            if held["date_from"] == given["date_from"] and held.get("date_to", "") == until:
                return _already(held["competency_element_id"])
        newer = [one for one in self._held(given) if one["date_from"] > given["date_from"]]
        if newer:
            newest = max(newer, key=lambda one: one["date_from"])
            text = "A newer achievement is held; not overwritten"
            return _warn("B209", text, newest["competency_element_id"])
        return None

    def _out_of_scope(self, given: Values) -> Verdict | None:
        if self._has_left(given["person_id"]):
            return None
        for slice_ in self._ledger.of_person("ASA", given["person_id"]):
            in_scope = slice_["system_assignment_status"] not in {"ACTIVE_APL", "TERM_ASSIGN"}
            if in_scope and slice_["effective_start"] <= given["date_from"] <= slice_["effective_end"]:
                return None
        return _fail("B203", f"No assignment or application in scope on {given['date_from']}")

    def _load(self, given: Values) -> Verdict:
        """Store the achievement under a new element id; a correction takes the place of what it corrects."""
        if given["change_reason"] == "CORRECTION":
            self._take_back(given["replaces_reference"])
        values = {
            "competency_name": given["competence_name"],
            "competence_id": given["competence_id"],
            "date_from": given["date_from"],
            "date_to": self._expiry(given),
            "last_update": moment_text(self._now),
            **{name: given[name] for name in _COPIED},
        }
        element_id = add_achievement(self._ledger, self._vpd, given["person_id"], values)
        self._ledger.remember(
            Reference(given["lms_reference"], given["person_id"], element_id, _claim(given), loaded=True)
        )
        if self._has_left(given["person_id"]):
            return _warn("B211", "Person has left", element_id)
        return Verdict(element_id=element_id)

    def _withdrawal(self, lms_reference: str) -> Verdict:
        before = self._ledger.reference(lms_reference)
        if before is None or not before.loaded:
            return _fail("B213", "No completion with this reference has been loaded")
        self._take_back(lms_reference)
        return Verdict(person_id=before.person_id, element_id=before.element_id)

    def _take_back(self, lms_reference: str) -> None:
        before = self._ledger.reference(lms_reference)
        if before is not None:
            self._ledger.remove("CMA", before.element_id)
            self._ledger.remember(replace(before, loaded=False))

    def _held(self, given: Values) -> list[Values]:
        mine = self._ledger.of_person("CMA", given["person_id"])
        return [one for one in mine if one.get("competence_id") == given["competence_id"]]

    def _has_left(self, person_id: str) -> bool:
        person = self._ledger.latest("PRA", person_id) or {}
        return person.get("system_person_type", "").startswith("EX_")

    def _expiry(self, given: Mapping[str, str]) -> str:
        """Return the expiry: the sender's, else the renewal period counted from the day achieved, same day."""
        competence = self._ledger.latest("CDA", given["competence_id"]) or {}
        achieved, years = parse_day(given["date_from"]), competence.get("renewal_period_frequency", "")
        if given["date_to"] or achieved is None or not years:
            return given["date_to"]
        return day_text(add_months(achieved, 12 * int(years)))


def _claim(given: Mapping[str, str]) -> str:
    return "|".join((given["person_id"], given["competence_id"], given["date_from"]))


def _again(given: Mapping[str, str], before: Reference) -> Verdict:
    """Answer a reference that was loaded before: a faithful repeat is confirmed, anything else is refused."""
    if before.loaded and before.claim == _claim(given) and given["change_reason"] != "CORRECTION":
        return _already(before.element_id)
    return _fail("R104", "change_reason value is not in the list for a reference that was used before")


def _already(element_id: str) -> Verdict:
    return _warn("B208", "Already held with the same dates; no change made", element_id)


def _field_fault(given: Mapping[str, str], vpd: str) -> Verdict | None:
    """Return the first field that breaks the layout: missing, too long, not a date, or not in its list."""
    for name in _missing(given):
        return _fail("R101", f"{name} is mandatory")
    for name, longest in _LENGTHS.items():
        if len(given[name]) > longest:
            return _fail("R102", f"{name} is longer than {longest}")
    for name in _DATES:
        if given[name] and parse_day(given[name]) is None:
            return _fail("R103", f"{name} is not a valid date")
    if not is_moment(given["last_update"]):
        return _fail("R103", "last_update is not a valid date")
    return _list_fault(given, vpd)


def _missing(given: Mapping[str, str]) -> list[str]:
    missing = [name for name in _MANDATORY if not given[name]]
    if not given["employee_number"] and not given["applicant_number"]:
        missing.append("employee_number")
    if given["change_reason"] == "CORRECTION" and not given["replaces_reference"]:
        missing.append("replaces_reference")
    return missing


def _list_fault(given: Mapping[str, str], vpd: str) -> Verdict | None:
    if given["vpd_code"] != vpd:
        return _fail("R104", "vpd_code value is not in the list")
    if given["change_reason"] not in {"NEW", "CORRECTION", "RESEND"}:
        return _fail("R104", "change_reason value is not in the list")
    return None
