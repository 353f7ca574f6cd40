"""Where a person stands with the LMS's certifications, by everything it has told. No I/O here.

A report shows the completion that stands for somebody now, a history those that did, a completion file one at a time.
When a certification expires Totara forgets its dates; they are remembered here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from services.competency.learning import Completion, ReportRow
from services.competency.renewal.periods import instant, midnight, uk_day
from services.competency.renewal.predict import Held, State
from shared.facts import Version

_STATES: Final = {
    "assigned": State.ASSIGNED,
    "certified": State.CERTIFIED,
    "window-open": State.WINDOW_OPEN,
    "expired": State.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands with one certification.

    ``row``: the newest of the report, None where there is no report. ``days``: UK days of every completion known.
    ``last_expiry``: the latest expiry the LMS ever showed. ``moments``: completions with their expiries, as told.
    """

    row: ReportRow | None = None
    days: frozenset[date] = frozenset()
    last_expiry: date | None = None
    moments: frozenset[tuple[datetime, date | None]] = field(default=frozenset())
    taken_back: frozenset[date] = field(default=frozenset())
    """UK days of completions that the LMS has taken back."""

    @property
    def newest(self) -> date | None:
        """The day of the newest completion known."""
        return max(self.days, default=None)

    @property
    def certified(self) -> bool:
        """Whether the LMS shows a completion that stands."""
        return self.row is not None and self.row.status in ("certified", "window-open")

    @property
    def due_on(self) -> date | None:
        """The expiry that a next one counts from, of somebody whose certification has expired (Totara)."""
        return self.last_expiry if self.row is not None and self.row.status == "expired" else None

    def expiry_of(self, day: date) -> date | None:
        """Return the expiry the LMS shows of the completion of a day, None where it shows none."""
        shown = [ends for at, ends in self.moments if ends is not None and uk_day(at) == day]
        return max(shown, default=None)

    @property
    def held(self) -> Held | None:
        """What Totara holds, as far as it is known; None where no report has told."""
        row = self.row
        if row is None or row.status not in _STATES:
            return None
        history = frozenset((instant(at), midnight(ends)) for at, ends in self.moments if ends is not None)
        if not self.certified or row.completed_at is None or row.expires_on is None:
            due = midnight(self.last_expiry) if self.last_expiry else None
            state = _STATES[row.status] if not self.certified else State.ASSIGNED
            return Held(state, due=due, history=history)
        done, ends = instant(row.completed_at), midnight(row.expires_on)
        opens = midnight(row.window_opens_on) if row.window_opens_on else done
        return Held(
            _STATES[row.status],
            completed=done,
            expires=ends,
            window_opens=opens,
            baseline=ends,
            due=ends,
            history=history - {(done, ends)},
        )


NOWHERE: Final = Standing()


def standings(
    completions: Iterable[Completion],
    rows: Iterable[tuple[Version, ReportRow]],
    taken_back: Iterable[Completion] = (),
) -> Mapping[str, Standing]:
    """Return where a person stands with each certification that anything was told of."""
    withdrawn: dict[str, set[date]] = defaultdict(set)
    for completion in taken_back:
        withdrawn[completion.certification_idnumber].add(completion.day)
    newest: dict[str, tuple[Version, ReportRow]] = {}
    for version, row in rows:
        before = newest.get(row.certification_idnumber)
        if row.status != "history" and (before is None or before[0].order < version.order):
            newest[row.certification_idnumber] = (version, row)
    told: dict[str, list[Completion]] = defaultdict(list)
    for completion in completions:
        told[completion.certification_idnumber].append(completion)
    return {
        one: Standing(
            newest[one][1] if one in newest else None,
            frozenset(completion.day for completion in told[one]),
            max((completion.expires_on for completion in told[one] if completion.expires_on), default=None),
            frozenset((completion.completed_at, completion.expires_on) for completion in told[one]),
            frozenset(withdrawn[one]),
        )
        for one in {*newest, *told, *withdrawn}
    }
