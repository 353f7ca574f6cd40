"""What the LMS would show of an achievement, where a trust has said how that renews. No I/O here."""

from dataclasses import dataclass
from datetime import date

from services.competency.renewal.esr import Expiry
from services.competency.renewal.periods import midnight, uk_day
from services.competency.renewal.predict import Action, Held, Step, Upload, predict
from services.competency.renewal.totara import Renewal
from services.competency.renewal.warn import Code, warnings
from services.competency.standing import Standing


@dataclass(frozen=True, slots=True)
class Foretold:
    """Why it would be lost in the LMS, as a code with a sentence, empty when it would not; and what to warn of."""

    lost: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()


def foretell(achieved: date, esr: Expiry, stands: Standing, renewal: Renewal | None, day: date) -> Foretold:
    """Say what would become of an achievement that is certified in the LMS on the business ``day``.

    What has run out by then is lost: the LMS certifies and expires it within the hour (Totara; and a rating in Moodle
    would say *competent* of somebody who is not). What is past the opening of its window resets the progress of a
    learner who is certified now, so that it is lost only where somebody stands certified. An expiry day is the last
    day of validity.
    """
    if renewal is None:
        if esr.day is not None and esr.day < day:
            return Foretold("run_out", f"it ran out on {esr.day}")
        return Foretold()
    held = stands.held or Held()
    due = midnight(stands.due_on) if stands.due_on else None
    upload, now = Upload(Action.CERTIFY_IF_NEWER, midnight(achieved), due), midnight(day)
    outcome = predict(held, renewal, upload, now)
    if Step.EXPIRED in outcome.steps and outcome.held.due:
        return Foretold("run_out", f"the LMS would show that it ran out on {uk_day(outcome.held.due)}")
    if Step.WINDOW_OPENED in outcome.steps and stands.certified:
        return Foretold("window_open", "its window has opened: the LMS would reset the learner's progress")
    found = warnings(held, renewal, upload, now, esr)
    return Foretold(warnings=tuple(f"{one.code} {one.sentence}" for one in found))


def apart_now(esr: Expiry, shown: date | None) -> tuple[str, ...]:
    """Warn where both sides hold the same learning and show different expiries of it."""
    if not esr.known or esr.day is None or shown is None or esr.day == shown:
        return ()
    days = abs((shown - esr.day).days)
    apart = "1 day" if days == 1 else f"{days} days"
    return (f"{Code.DATES_DIFFER} {apart} apart: the LMS shows {shown}, ESR {esr.day} ({esr.reason}).",)
