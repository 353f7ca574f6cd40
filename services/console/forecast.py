"""What a replay of a letter would do, as far as ``console`` can honestly know. No I/O here.

Known here are: the record and its edits, the trust's profile, what became of other letters about the same record, and
the fates that owners announced of lines that once failed. Not known is what the owner of the record holds besides. So
``apply`` is said of a record whose form is sound and of which nothing newer is known, and ``unknown`` where the cause
lay outside of the record.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.console.checking import Finding
from services.console.domain import State
from shared.accounting import Fate
from shared.codes import LmsCode
from shared.esr.faults import RecordCode

Expected = Literal["apply", "superseded", "unchanged", "fail_again", "unknown", "left_out", "close"]

OF_FORM: Final = frozenset({str(code) for code in RecordCode if code.startswith("R1")} | {str(one) for one in LmsCode})
"""Codes of faults that the check of form finds by itself: where it finds none, the fault is mended."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one letter. ``newer``: a newer line about the same record was applied after having failed."""

    state: State
    code: str
    queue: str
    edited_since: bool
    hold_until: datetime | None
    fate: Fate
    newer: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a replay would do, and why that is to be expected."""

    expected: Expected
    because: str


def forecast(known: Known, now: datetime) -> Forecast:
    """Return what a replay of a letter would do."""
    if left_out := _left_out(known, now):
        return Forecast("left_out", left_out)
    if known.fate.settled:
        return Forecast("unchanged", f"its line has been settled meanwhile: {known.fate.reason}")
    if known.newer:
        return Forecast("superseded", "a newer line about the same record was applied; versions keep it")
    return _by_its_form(known)


def forecast_discard(known: Known, now: datetime) -> Forecast:
    """Return what a discard of a letter would do."""
    del now
    if known.state != "open":
        return Forecast("left_out", f"it is {known.state}")
    return Forecast("close", "its line stays accounted for as dead-lettered")


def _by_its_form(known: Known) -> Forecast:
    if known.findings:
        return Forecast("fail_again", f"{known.findings[0].code}: {known.findings[0].text}")
    if known.edited_since:
        return Forecast("apply", "it was edited, and its form is sound; what the owner holds besides is not known here")
    if known.code in OF_FORM:
        return Forecast("apply", f"it failed with {known.code}, which today's profile no longer finds")
    if known.code.startswith(("R9", "B2")):
        return Forecast("fail_again", f"nothing about it has changed since it failed with {known.code}")
    return Forecast("unknown", "its cause lay outside of the record; only trying tells whether it is mended")


def _left_out(known: Known, now: datetime) -> str:
    if known.state != "open":
        return f"it is {known.state}"
    if known.hold_until and now < known.hold_until:
        return f"it is held until {known.hold_until.isoformat(timespec='minutes')}"
    if not known.queue:
        return "it does not say which queue it came from"
    return ""
