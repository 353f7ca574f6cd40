"""What the conformance suite of LMS drivers needs of each site: the driver, and the truth on the other side."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from services.outbound.lms.port import Accounts, Candidate, JobAssignment, Jobs


@dataclass(frozen=True, slots=True)
class Rig:
    """A driver and the site it speaks to. The callables look at, or disturb, the site behind the driver's back."""

    accounts: Accounts
    jobs: Jobs | None
    """None where the LMS has no job assignments, or this driver does not send them."""
    settle: Callable[[], Awaitable[Any]]
    """Let the site do what it does by itself: run imports, age past the settling time of lost replies."""
    seen: Callable[[str], Candidate | None]
    """The account with this idnumber as the site holds it."""
    seen_jobs: Callable[[str], list[JobAssignment]]
    """The job assignments of the account with this idnumber."""
    number_of_accounts: Callable[[], int]
    """All accounts of the site, the site's own (administrator, service account) left out."""
    outage: Callable[[bool], None]
    """The site is away, or back."""
    lose_next_reply: Callable[[], None] | None
    """The next writing call is done, but its reply does not arrive. None where a channel has no replies."""
    answers_at_once: bool = True
    """Whether answers tell the outcome; else they are "accepted", and ``news`` tells after ``settle``."""
