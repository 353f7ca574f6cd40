"""Where a requirement stands on a day. No I/O here.

Only dates are stored; what they come to is worked out when somebody asks, so no night has to pass and any day will do.
``figures.py`` says the same in SQL, and a test holds the two together.
"""

from datetime import date
from typing import Final, Literal

Status = Literal["compliant", "due_30", "due_60", "due_90", "expired", "never"]
"""``compliant``: valid for more than 90 days, or for ever. ``due_30``, ``due_60``, ``due_90``: valid, and runs out in 0
to 30, 31 to 60, 61 to 90 days. ``expired``: ran out. ``never``: nothing was ever achieved. Each excludes the others."""

STATUSES: Final[tuple[Status, ...]] = ("compliant", "due_30", "due_60", "due_90", "expired", "never")

Chosen = Literal["compliant", "due_30", "due_60", "due_90", "expired", "never", "valid", "due", "lacking", "all"]
"""A status, or several: ``valid`` are the first four, ``lacking`` the last two."""

CHOICES: Final[dict[str, tuple[Status, ...]]] = {
    **{one: (one,) for one in STATUSES},
    "valid": ("compliant", "due_30", "due_60", "due_90"),
    "due": ("due_30", "due_60", "due_90"),
    "lacking": ("expired", "never"),
    "all": STATUSES,
}

FOR_EVER: Final = date.max
"""The expiry of what does not expire."""


def status_on(day: date, expires: date | None) -> Status:
    """Return where a requirement stands on ``day``; ``expires`` is the best expiry held, None when nothing is.

    The expiry day itself is the last valid day, as the *Date To* of an achievement in ESR is.
    """
    if expires is None:
        return "never"
    left = (expires - day).days
    if left < 0:
        return "expired"
    if expires == FOR_EVER or left > 90:
        return "compliant"
    return "due_30" if left <= 30 else "due_60" if left <= 60 else "due_90"
