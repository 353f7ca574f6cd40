"""How ESR's answers settle what was sent. No I/O here; nothing depends on the order in which things are heard.

An *item* is one record of one completion file. ESR answers a record (``CFD``: reference, place, type, outcome) and a
file as a whole (``CFH``). An answer to the record itself stands above one to its file; of several, the one in the
newest confirmation file counts. All rules are told in ``docs/confirmations.md``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import msgspec

from shared.accounting import Fate
from shared.codes import ConfirmationCode as C
from shared.facts import Version

State = Literal["open", "confirmed", "rejected"]
Detail = Literal["every_record", "exceptions_only", "file_only"]
"""Which records a confirmation lists, by the profile (``control.confirm_detail``)."""

Key = tuple[str, str, int]
"""An item: (trust, completion file, position)."""

WITHDRAWAL: Final = "withdrawal"

NOTHING: Final = Version("", 0, 0)
"""The version of what no line has said."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``CFD`` has to have to be of use."""

    echoed_reference: str
    load_status: str
    record_position: str = ""
    confirmed_record_type: str = ""
    message_type: str = ""
    message_code: str = ""
    esr_record_id: str = ""


class SaidOfFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``CFH`` has to have to be of use."""

    confirmed_file: str
    file_status: str
    message_code: str = ""
    records_success: str = ""
    records_warning: str = ""
    records_failed: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an item stands. ``code`` and ``esr_record_id`` are ESR's; ``warning``: loaded, with a remark."""

    state: State = "open"
    code: str = ""
    warning: bool = False
    esr_record_id: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a completion file, with where it stands and the line that said so."""

    position: int
    change: str = "new"
    outcome: Outcome = Outcome()
    version: Version = NOTHING
    own: bool = False
    """Whether an answer to the record itself settled it."""

    @property
    def record_type(self) -> str:
        """ESR's type of the record."""
        return "TCD" if self.change == WITHDRAWAL else "TCA"


@dataclass(frozen=True, slots=True)
class Answer:
    """A ``CFD``. ``void``: it stands under a ``CFH`` that says nothing of records."""

    version: Version
    outcome: Outcome
    position: int = 0
    record_type: str = ""
    void: bool = False


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """A ``CFH``, and what stands below it. Counts are (loaded, of these with a warning, refused)."""

    version: Version
    status: str
    code: str = ""
    counts: tuple[int, int, int] = (0, 0, 0)
    seen: tuple[int, int, int] = (0, 0, 0)
    complete: bool = False
    """Whether every record of its confirmation file has been handled."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What ESR's answers to a file say of each record that has no answer of its own."""

    outcome: Outcome
    version: Version


@dataclass(slots=True)
class Settled:
    """What the answers to one reference in one file come to."""

    items: list[Item] = field(default_factory=list)
    fates: dict[Version, Fate] = field(default_factory=dict)
    findings: set[tuple[Version, str]] = field(default_factory=set)


def outcome_of(said: Said) -> Outcome:
    """Return what an answer says of its record. Anything but success is a refusal; only a success has an ID."""
    if said.load_status == "SUCCESS":
        return Outcome("confirmed", said.message_code, said.message_type == "WARNING", said.esr_record_id)
    return Outcome("rejected", said.message_code)


def settle(items: Sequence[Item], answers: Sequence[Answer], whole: Whole | None) -> Settled:
    """Return where the items of one reference in one file stand; ``answers`` are all that repeat it for that file."""
    result = Settled()
    matched: dict[int, list[Answer]] = {item.position: [] for item in items}
    for answer in answers:
        if not items:
            result.fates[answer.version] = Fate.PARKED_NOTHING_SENT
        elif answer.void:
            result.fates[answer.version] = Fate.UNCHANGED
        else:
            _match(items, answer, matched, result)
    result.items = [_settled(item, matched[item.position], whole, result) for item in items]
    return result


def _match(items: Sequence[Item], answer: Answer, matched: Mapping[int, list[Answer]], result: Settled) -> None:
    typed = [item for item in items if answer.record_type in ("", item.record_type)]
    if not typed:
        result.findings.add((answer.version, C.C105))
        result.fates[answer.version] = Fate.PARKED_NOTHING_SENT
        return
    at_place = [item for item in typed if item.position == answer.position]
    if not at_place:
        result.findings.add((answer.version, C.C104))
    item = at_place[0] if at_place else min(typed, key=lambda one: one.position)
    matched[item.position].append(answer)


def _settled(item: Item, answers: Sequence[Answer], whole: Whole | None, result: Settled) -> Item:
    if not answers:
        # What was settled is never open again, even if the profile says otherwise by now.
        return replace(item, outcome=whole.outcome, version=whole.version, own=False) if whole else item
    ordered = sorted(answers, key=lambda one: (one.version.order, one.version.file))
    first = ordered[0]
    for before, answer in zip([None, *ordered], ordered, strict=False):
        same = before is not None and before.outcome == answer.outcome
        result.fates[answer.version] = Fate.UNCHANGED if same else Fate.SUPERSEDED
        if not same:
            first = answer
        if before is not None and (before.outcome.state, answer.outcome.state) == ("confirmed", "rejected"):
            result.findings.add((answer.version, C.C106))
    result.fates[first.version] = Fate.APPLIED
    return replace(item, outcome=first.outcome, version=first.version, own=True)
