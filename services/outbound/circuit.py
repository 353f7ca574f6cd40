"""Whether a trust's LMS may be spoken to just now. No I/O here.

A site that is away is left alone for a while, longer each time it stays away; one that does not let us work, until a
person has had time to mend it. Work waits meanwhile, and nothing is given up for it.
"""

from dataclasses import dataclass, replace
from typing import Final

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 300.0
MISCONFIGURED_WAIT: Final = 600.0
BUSY_WAIT: Final = 60.0
"""Sites count calls by the minute, and do not say when the minute is over."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Closed, or open until a moment, in seconds of whatever clock is used throughout.

    ``code`` says why it opened; ``checked``: the site was looked at since.
    """

    until: float | None = None
    failures: int = 0
    code: str = ""
    checked: bool = False

    def lets_through(self, now: float) -> bool:
        """Whether the site may be tried."""
        return self.until is None or now >= self.until

    def opened(self, now: float, code: str) -> "Circuit":
        """The site was away: wait, twice as long as the last time."""
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self.failures, 20))
        return Circuit(now + wait, self.failures + 1, code)

    def slowed(self, now: float, code: str) -> "Circuit":
        """The site asked for fewer calls, or is not ready for more: wait, but there is nothing to check again."""
        return replace(self, until=now + BUSY_WAIT, code=code)

    def barred(self, now: float, code: str) -> "Circuit":
        """The site does not let us work: look again later."""
        return Circuit(now + MISCONFIGURED_WAIT, self.failures + 1, code)

    def closed(self) -> "Circuit":
        """The site works."""
        return Circuit(checked=True)
