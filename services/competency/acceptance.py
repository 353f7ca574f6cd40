"""Where learning comes from, and how old it was when it came: what a trust's acceptance looks at. No I/O here.

ESR marks nothing as brought by Inter Authority Transfer. What was achieved before the day of hire was learnt
elsewhere; when ESR wrote it (``last_update`` of the record) tells whether the transfer ran before the hire or after.
All of it rests on facts alone, so the passing of time takes nothing back.
"""

from datetime import date

import msgspec

from shared.mapping_settings import Acceptance, Source


class Learning(msgspec.Struct, frozen=True, gc=False):
    """Where an achievement comes from."""

    source: Source
    age_months: int = 0
    """Whole months from achievement to hire; 0 for a trust's own learning, and for an applicant not hired yet."""

    def meets(self, accepted: Acceptance) -> bool:
        """Whether a trust accepts it."""
        if self.source not in accepted.sources:
            return False
        return accepted.max_age_months is None or self.age_months <= accepted.max_age_months


def learning_of(achieved: date, last_update: str, state: str, hire_date: str) -> Learning:
    """Return where an achievement comes from; a record without ``last_update`` counts as brought before the hire."""
    if not hire_date:
        return Learning("brought_before_hire" if state == "applicant" else "own")
    hired = date.fromisoformat(hire_date)
    if achieved >= hired:
        return Learning("own")
    written = last_update[:10]
    source: Source = "brought_after_hire" if written >= hire_date else "brought_before_hire"
    return Learning(source, _months(achieved, hired))


def _months(start: date, end: date) -> int:
    """Whole months from one day to another: a month is whole on the same day of the next one."""
    return (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)
