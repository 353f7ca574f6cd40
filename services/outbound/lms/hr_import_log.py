"""Reads the HR Import log, the only place where HR Import says what it did.

The report has to have the columns id, element, log type, action, info and run ID. Whether a run went well as a whole
tells nothing: a run "with problems" has applied the good rows, and one without has skipped rows too.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from services.outbound.lms.hr_import_memory import Sent
from services.outbound.lms.port import Answer
from shared.errors import LmsMisconfiguredError

COLUMNS: Final = ("id", "element", "logtype", "action", "info", "runid")

REFUSED: Final = "file-refused"
ABORTED: Final = "hierarchy-aborted"
NOT_IMPORTED: Final = "not-imported"

_USER: Final = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"^created user (?P<key>.+)$", ""),
        (r"^updated user (?P<key>.+)$", ""),
        (r"^suspended (?P<key>.+)$", ""),
        (r"^deleted user (?P<key>.+)$", "account-deleted"),
        (r"^Duplicate users with idnumber .*\. Skipped user (?P<key>.+)$", "idnumber-taken"),
        (r"^(Duplicate users with username .*|Username .* is already registered)\. Skipped user (?P<key>.+)$",
         "username-taken"),
        (r"^(Duplicate users with email .*|Email .* is already registered)\. Skipped user (?P<key>.+)$", "email-taken"),
        (r"^User (?P<key>.+) has a username, '.*', containing invalid characters", "username-invalid"),
        (r"(cannot be empty|^Empty email address)\. Skipped user (?P<key>.+)$", "value-missing"),
        (r"^Invalid email address\. Skipped user (?P<key>.+)$", "email-invalid"),
        (r"^invalid authentication plugin .* for user (?P<key>.+)$", "auth-unknown"),
        (r"^Option '.*' does not exist for customfield_\S+ field\. Please check user (?P<key>.+)$",
         "menu-value-unknown"),
        (r"^The value '.*' for customfield_.* must be unique\. Skipped user (?P<key>.+)$", "field-taken"),
        (r"^value \".*\" is too long for .* Skipped user (?P<key>.+)$", "value-too-long"),
        (r"^Skipped user (?P<key>.+) as their HR Import setting is disabled", "not-owned-by-import"),
    )
)  # fmt: skip
_JOB_KEY: Final = re.compile(r"job assignment '(?P<key>[^']*)'")
"""A manager's job assignment is named with a capital letter, or before the row's own."""

_JOB: Final = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"^(Created|Updated|Deleted) job assignment ", ""),
        (r"^Organisation '.*' does not exist\.", "organisation-unknown"),
        (r"^Position '.*' does not exist\.", "position-unknown"),
        (r"^User '.*' does not exist and was set to be assigned as manager\.", "manager-unknown"),
        (r"^Job assignment '.*' for manager '.*' does not exist\.", "manager-unknown"),
        (r"^Missing manager's job assignment id number", "manager-job-missing"),
        (r"cannot be their own manager\.", "own-manager"),
        (r"^Start date cannot be later than end date\.", "dates-reversed"),
        (r"^Invalid date format for field ", "date-invalid"),
        (r"^Unable to match useridnumber ", "unknown-account"),
        (r"^Multiple entries found for job assignment ", "job-taken"),
        (r" as the HR Import setting for that job assignment is disabled", "not-owned-by-import"),
    )
)
_ITEM: Final = re.compile(r"^(created|updated) (org|pos) (?P<key>.+)$")
_ABORTED: Final = re.compile(r"^(sanity check failed, aborting|could not import all records)")
_SKIPPED: Final = re.compile(r"Skipped (user|job assignment) '?(?P<key>[^' ]+)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log."""

    id: int
    element: str
    kind: str
    action: str
    info: str
    run: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one run said of one element."""

    element: str
    lines: Sequence[Line]

    @property
    def ended(self) -> bool:
        """Whether it came to its end, or could not begin."""
        return any(line.info.startswith("HR Import finished") or line.action == "unknown" for line in self.lines)

    @property
    def idle(self) -> bool:
        """Whether there was no file: an error line in the log, and nothing of ours."""
        return any(line.action == "unknown" and line.info.startswith("No file to import") for line in self.lines)


def read_log(content: bytes) -> list[Line]:
    """Return the lines of a report in order. Raises LmsMisconfiguredError when it is not the report we need."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        header = [re.sub(r"[^a-z]", "", name.lower()) for name in rows[0]] if rows else []
        places = [header.index(name) for name in COLUMNS]
        found = [[row[place] for place in places] for row in rows[1:] if row]
        lines = [Line(int(one[0]), one[1], one[2], one[3], one[4], one[5]) for one in found]
    except (ValueError, IndexError, csv.Error):
        raise LmsMisconfiguredError(
            "the HR Import log report must be CSV in UTF-8 with the columns id, element, log type, action, info and "
            "run ID"
        ) from None
    return sorted(lines, key=lambda line: line.id)


def runs(lines: Sequence[Line], after: int) -> Iterator[Run]:
    """Yield the runs that have ended, in order, of the lines after an id; none behind one that still goes on."""
    new = [line for line in lines if line.id > after]
    grouped = [Run(key[1], list(group)) for key, group in groupby(new, key=lambda line: (line.run, line.element))]
    for place, run in enumerate(grouped):
        broken = any(other.element == run.element for other in grouped[place + 1 :])  # a later one began anew
        if not (run.ended or broken):
            return
        yield run


def outcomes(run: Run, sent: Sequence[Sent]) -> dict[str, Answer] | None:
    """Return what became of each row of a file, by its key; None when the run was of another file.

    Of rows that change nothing there is no line, and of some that are refused neither.
    """
    whole = _whole_file(run)
    if whole:
        return {one.key: Answer("rejected", whole) for one in sent}
    said = _said(run)
    if said and not any(one.key in said for one in sent):
        return None
    silent = {True: Answer("applied"), False: Answer("rejected", NOT_IMPORTED)}
    return {one.key: said.get(one.key, silent[one.quiet]) for one in sent}


def _whole_file(run: Run) -> str:
    for line in run.lines:
        if line.action == "unknown":
            return REFUSED
        if _ABORTED.search(line.info):
            return ABORTED
    return ""


def _said(run: Run) -> dict[str, Answer]:
    """A refusal or a lost value outweighs "created": both can be said of one row."""
    answers: dict[str, Answer] = {}
    for line in run.lines:
        key, code = _read(run.element, line)
        if key and (code or key not in answers):
            answers[key] = Answer("rejected", code) if code else Answer("applied")
    return answers


def _read(element: str, line: Line) -> tuple[str, str]:
    """Return whom a line is about and the code of what went wrong; no key when it is about nobody we can tell."""
    if element in ("org", "pos"):
        found = _ITEM.search(line.info)
        return (found["key"], "") if found else ("", "")
    for pattern, code in _JOB if element == "jobassignment" else _USER:
        found = pattern.search(line.info)
        if found and element == "user":
            return found["key"], code
        if found and (named := list(_JOB_KEY.finditer(line.info))):
            return named[-1]["key"], code
    found = _SKIPPED.search(line.info) if line.kind == "error" else None
    return (found["key"], "refused") if found else ("", "")
