"""Where ESR and the LMS would come to hold different dates, or an upload would do harm; each with code and sentence.

Sentences name dates, and no person. ``WITHHOLD`` are the codes for which a row is better not sent.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from services.competency.renewal.esr import Expiry
from services.competency.renewal.periods import instant, uk_day
from services.competency.renewal.predict import (
    Action,
    Effect,
    Held,
    Outcome,
    Step,
    Upload,
    after_upload,
    lost_anniversary,
    predict,
)
from services.competency.renewal.totara import Method, Renewal
from shared import codes


class Code(codes.Code):
    """What a warning is about; the codes stay as they are."""

    DATES_DIFFER = (
        "RW01",
        "ESR and the LMS would show different days",
        "Choose in the mapping whose date counts, or give both the same period.",
    )
    ONE_SIDE_EXPIRES = (
        "RW02",
        "it expires in the LMS and never in ESR",
        "Give the definition a renewal period, or map it to a certification that fits.",
    )
    PAST_EXPIRY = (
        "RW03",
        "past its expiry already: certified, and expired again within the hour",
        "Not sent. Keep it in the history.",
    )
    PAST_WINDOW = (
        "RW04",
        "past the opening of its window: the learner's progress is reset within the hour",
        "Nothing, if the learner is to renew now.",
    )
    OLDER_THAN_HELD = (
        "RW05",
        "older than what the LMS holds: history only",
        "Not sent.",
    )
    HELD_ALREADY = (
        "RW06",
        "the LMS holds that completion already",
        "Not sent.",
    )
    STALE_FOR_UNCERTIFIED = (
        "RW07",
        "older than the history of a person who is not certified now: the record would move back",
        "Not sent.",
    )
    ANNIVERSARY_LOST = (
        "RW08",
        "expired, and the row has no due date: the anniversary is lost",
        "Send the last known expiry as due date.",
    )
    NEVER_OPENS = (
        "RW09",
        "the window is longer than the active period: it never opens or ends",
        "Mend the certification in the LMS.",
    )
    IN_THE_FUTURE = (
        "RW10",
        "the date is in the future; Totara takes it",
        "Look at the record in ESR.",
    )
    NOT_CERTIFYING = (
        "RW11",
        "the upload saves to history: nobody is certified",
        "Use action 1, unless that is meant.",
    )
    EXTENSION_LOST = (
        "RW12",
        "the expiry was extended by hand: the upload counts without the extension",
        "Look at the person in the LMS.",
    )
    INCONSISTENT = (
        "RW13",
        "the record in the LMS is inconsistent",
        "Not sent. Mend it in the LMS.",
    )
    SUSPENDED = (
        "RW14",
        "the account is suspended: window and expiry wait",
        "Nothing.",
    )
    BEFORE_WINDOW = (
        "RW15",
        "completed before the window opened: the expiry stays",
        "Nothing, or renew in the window.",
    )
    TWICE_IN_FILE = (
        "RW16",
        "two rows for one person and certification in a file",
        "Not sent together.",
    )
    CURRENT_IN_FILE = (
        "RW17",
        "a row repeats the date that is current: beside a newer row it destroys completions of others in the file",
        "Not sent.",
    )


#: A row with one of these does nothing good in the LMS, or harm: keep it back, or put it in the history by itself.
WITHHOLD: Final = frozenset({
    Code.PAST_EXPIRY, Code.OLDER_THAN_HELD, Code.HELD_ALREADY, Code.STALE_FOR_UNCERTIFIED, Code.INCONSISTENT,
    Code.TWICE_IN_FILE, Code.CURRENT_IN_FILE,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning."""

    code: Code
    sentence: str


def warnings(
    held: Held, renewal: Renewal, upload: Upload, now: datetime, esr: Expiry | None = None
) -> tuple[Warned, ...]:
    """Return where an upload at ``now`` would lead ESR and the LMS apart, or harm the record; none is good news.

    ``esr``: the expiry ESR holds or works out for the same achievement, None where it is not asked.
    """
    after = after_upload(held, renewal, upload)
    found = [*_about_row(held, upload, now)]
    if after.effect in (Effect.CERTIFIED, Effect.ARCHIVED_AND_CERTIFIED):
        found += _about_dates(held, renewal, upload, after)
        found += _about_clock(predict(held, renewal, upload, now))
        found += _beside_esr(after, esr)
    return tuple(found)


def warn_file(
    rows: Sequence[tuple[str, str, date]], current: Mapping[tuple[str, str], date]
) -> tuple[tuple[int, Warned], ...]:
    """Return the warnings about rows of one file by their index.

    A row is person, certification and UK day of completion; ``current``: the day each is certified on now. A newer date
    and the current one of a person in one file break the upload off half-way, and lose completions of others in it.
    """
    counted = Counter(row[:2] for row in rows)
    found = []
    for index, (person, certification, day) in enumerate(rows):
        if counted[person, certification] > 1:
            found.append((index, Warned(Code.TWICE_IN_FILE, "The file has more than one row for this certification.")))
        if current.get((person, certification)) == day:
            text = f"The LMS is already certified on {day}; beside a newer row this destroys completions."
            found.append((index, Warned(Code.CURRENT_IN_FILE, text)))
    return tuple(found)


def _about_row(held: Held, upload: Upload, now: datetime) -> Iterator[Warned]:
    done, day = instant(upload.completed), uk_day(upload.completed)
    if upload.action is Action.HISTORY:
        yield Warned(Code.NOT_CERTIFYING, f"The upload saves {day} to the history and certifies nobody.")
    if done > instant(now):
        yield Warned(Code.IN_THE_FUTURE, f"The completion date {day} is in the future; the LMS takes it all the same.")
    if not held.sound:
        text = "The LMS's record is inconsistent; it would be replaced whatever the date. Mend it in the LMS first."
        yield Warned(Code.INCONSISTENT, text)
    elif held.completed and done < held.completed:
        held_day = uk_day(held.completed)
        yield Warned(Code.OLDER_THAN_HELD, f"{day} is older than {held_day} in the LMS; it becomes history only.")
    elif held.completed == done or done in {one for one, _ in held.history}:
        yield Warned(Code.HELD_ALREADY, f"The LMS holds a completion on {day} already; sending it again adds copies.")
    elif not held.certified and held.last and done < held.last:
        text = f"{day} is older than {uk_day(held.last)} in the history, yet would certify: the record moves back."
        yield Warned(Code.STALE_FOR_UNCERTIFIED, text)
    if held.suspended:
        yield Warned(Code.SUSPENDED, "The account is suspended: window and expiry wait until it is opened again.")


def _about_dates(held: Held, renewal: Renewal, upload: Upload, after: Outcome) -> Iterator[Warned]:
    became = after.held
    if lost_anniversary(held, renewal, upload):
        text = "The person's certification has expired; without the old expiry as due date the LMS counts anew."
        yield Warned(Code.ANNIVERSARY_LOST, text)
    if not became.sound:
        yield Warned(Code.NEVER_OPENS, "The window period is longer than the active period; it never opens or expires.")
    if held.sound and held.expires and held.baseline and held.expires > held.baseline:
        text = f"The expiry was extended to {uk_day(held.expires)}; the upload counts from {uk_day(held.baseline)}."
        yield Warned(Code.EXTENSION_LOST, text)
    before = held.sound and held.window_opens and instant(upload.completed) < held.window_opens
    if renewal.method is Method.EXPIRY and before and became.expires:
        text = f"It was completed before the window opened, so the expiry stays {uk_day(became.expires)}."
        yield Warned(Code.BEFORE_WINDOW, text)


def _about_clock(later: Outcome) -> Iterator[Warned]:
    if Step.EXPIRED in later.steps and later.held.due:
        text = f"It expired on {uk_day(later.held.due)} already: certified, and expired again within the hour."
        yield Warned(Code.PAST_EXPIRY, text)
    elif Step.WINDOW_OPENED in later.steps and later.held.window_opens:
        text = (
            f"Its window opened on {uk_day(later.held.window_opens)} already: the learner's progress is reset within "
            "the hour."
        )
        yield Warned(Code.PAST_WINDOW, text)


def _beside_esr(after: Outcome, esr: Expiry | None) -> Iterator[Warned]:
    if esr is None or not esr.known or after.held.expires is None:
        return
    shown = uk_day(after.held.expires)
    if esr.day is None:
        yield Warned(Code.ONE_SIDE_EXPIRES, f"The LMS would expire on {shown}; in ESR it {esr.reason}.")
    elif esr.day != shown:
        days = abs((shown - esr.day).days)
        apart = "1 day" if days == 1 else f"{days} days"
        text = f"{apart} apart: the LMS would expire on {shown} ({after.reason}), ESR on {esr.day} ({esr.reason})."
        yield Warned(Code.DATES_DIFFER, text)
