"""What has to be done to bring an account to where it should be. No I/O here.

Outbound keeps desired state, not a to-do list: the operation for an account follows from the person as last told and
the account as last accepted, so that retries, reordering and a rebuilt LMS are the same case. What is wanted stands in
``services.outbound.wanted``.
"""

from dataclasses import dataclass, replace
from typing import Literal

from services.outbound.lms.port import Account

Operation = Literal["ensure_account", "update_account", "suspend", "reactivate"]


@dataclass(frozen=True, slots=True)
class Step:
    """The next operation for one account, and the account as it is once that is done."""

    operation: Operation
    account: Account

    @property
    def last(self) -> bool:
        """Whether the account is then as wanted. A reactivated one may still need its details."""
        return self.operation != "reactivate"


def next_step(wanted: Account, seen: Account | None, *, reactivates: bool = True) -> Step | None:
    """Return what to do next, or None when the LMS holds what it should.

    ``reactivates``: whether the trust lets us open closed accounts; where not, an operator does it in the LMS.
    An account is never made only to be suspended. Of a suspended account nothing else is changed: the details of a
    person who was removed are not known any more.
    """
    if seen is None:
        return None if wanted.suspended else Step("ensure_account", wanted)
    if wanted.suspended:
        return None if seen.suspended else Step("suspend", replace(seen, suspended=True))
    if seen.suspended:
        return Step("reactivate", replace(seen, suspended=False)) if reactivates else None
    return None if wanted == seen else Step("update_account", wanted)
