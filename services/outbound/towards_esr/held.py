"""What of a completion stands with ESR, as far as its answers tell. No I/O here.

ESR's answers may be missing, late or doubled, so this is worked out anew from all items of a completion each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from services.outbound.towards_esr.content import Content
from shared.events import Change

ItemState = Literal["written", "sent", "confirmed", "rejected"]

SAME_HELD: Final = "B208"
NEWER_HELD: Final = "B209"
NOT_LOADED: Final = "B213"


@dataclass(frozen=True, slots=True)
class Item:
    """One record in one completion file, in the order in which the records of a completion left."""

    reference: str
    change: Change
    content: Content
    state: ItemState
    replaces: str = ""
    code: str = ""
    esr_record_id: str = ""
    overdue_since: date | None = None
    """Day on which its answer was due, once that has been told."""
    written_on: date = date.min
    person_revision: int = 0
    person: Mapping[str, str] = field(default_factory=dict)
    """The columns that named the person; empty when that was not kept."""

    @property
    def open(self) -> bool:
        """Whether ESR has not answered it."""
        return self.state in ("written", "sent")

    @property
    def loads(self) -> bool:
        """Whether it asks ESR to load something."""
        return self.change != "withdrawal"


def loaded(items: Sequence[Item]) -> dict[str, Content]:
    """Return what ESR holds of the completion under references of ours, oldest first.

    A correction takes the place of what it replaces only as such: ESR reads one that is marked as a resend as new where
    it never saw the first, so what that replaces may stand beside it until it is taken back. B208 says that the same is
    held already, in the record it names; B209 that a newer one is held, and nothing was loaded; B213 that ESR holds
    nothing under the reference that was to be replaced or taken back.
    """
    found: dict[str, Content] = {}
    records: dict[str, str] = {}
    gone: set[str] = set()
    for item in items:
        gone |= _gone(item)
        if item.state != "confirmed" or not item.loads or item.code == NEWER_HELD:
            continue
        owner = records.get(item.esr_record_id, item.reference) if item.code == SAME_HELD else item.reference
        found[owner] = item.content
        if item.esr_record_id:
            records.setdefault(item.esr_record_id, owner)
    return {reference: content for reference, content in found.items() if reference not in gone}


def doubtful(items: Sequence[Item]) -> dict[str, Item]:
    """Return what ESR may hold although it never said so, oldest first, as the newest item of each reference.

    One sending has no answer, and the next was refused for its file or form: of the first that says nothing. Refused
    by a rule it was not held, as ESR knows what it loaded under a reference before it looks at the rules.
    """
    found: dict[str, Item] = {}
    gone = {reference for item in items for reference in _gone(item)}
    for item in items:
        if not item.loads:
            continue
        if item.open or (item.reference in found and item.code[:1] != "B" and item.state == "rejected"):
            found[item.reference] = item
        else:
            found.pop(item.reference, None)
    return {one: item for one, item in found.items() if one not in gone}


def perhaps_gone(items: Sequence[Item]) -> set[str]:
    """Return references that ESR may hold no more: a correction or withdrawal of them has no answer, whatever was said
    of its repeat.
    """
    silent = [item for item in items if item.open]
    replaced = {item.replaces for item in silent if item.change == "correction"}
    return replaced | {item.reference for item in silent if not item.loads}


def is_its_own(reference: str, items: Sequence[Item]) -> bool:
    """Whether ESR said that it made a record for the reference. B208 may speak of the record of another one of ours."""
    return any(
        item.reference == reference and item.loads and item.state == "confirmed" and item.code != SAME_HELD
        for item in items
    )


def _gone(item: Item) -> set[str]:
    """Return the references that ESR's answer to an item says it does not hold, or holds no more."""
    unknown = item.state == "rejected" and item.code == NOT_LOADED
    if not item.loads:
        return {item.reference} if unknown or item.state == "confirmed" else set()
    replaced = item.change == "correction" and item.state == "confirmed"
    return {item.replaces} if item.replaces and (unknown or replaced) else set()


def unanswered(items: Sequence[Item]) -> int:
    """Return how often the newest item has been sent without an answer; 0 when there is one.

    An answer to an earlier sending of the same says as much as one to the newest, if it is that ESR did as asked.
    """
    if not items or not items[-1].open:
        return 0
    last = items[-1]
    same = [one for one in items if (one.reference, one.loads) == (last.reference, last.loads)]
    if any(one.state == "confirmed" for one in same):
        return 0
    times = 0
    for one in reversed(same):
        if not one.open:
            break
        times += 1
    return times
