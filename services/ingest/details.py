"""What a confirmation says of the records of a file: which failed, which were taken with a warning, and why.

No I/O here: records come from whoever reads the archived file, fates and codes from whoever keeps them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from shared.accounting import Fate
from shared.codes import Code, LmsCode, MessageCode
from shared.esr.faults import Fault, RecordCode
from shared.esr.profile import Profile
from shared.esr.reader import Record

Detail = Literal["exceptions_only", "every_record", "file_only"]

TEXT_LENGTH: Final = 200
CODE_LENGTH: Final = 10
REFERENCE_LENGTH: Final = 50

_PARKED: Final = {
    Fate.PARKED_PERSON_UNKNOWN: RecordCode.B201,
    Fate.PARKED_COMPETENCE_UNKNOWN: RecordCode.B204,
    Fate.PARKED_NOTHING_SENT: RecordCode.B213,
}

_MEANINGS: Final = {str(code): code.meaning for kind in (RecordCode, MessageCode, LmsCode) for code in kind}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one record. ``kind`` is ERROR, WARNING or empty."""

    failed: bool
    kind: str = ""
    code: str = ""
    text: str = ""


def verdict(record: Record, fate: Fate, code: str) -> Verdict:
    """Return what became of a record. ``code``: why its owner gave it up, empty when it did not say."""
    errors = [fault for fault in record.faults if not fault.warning]
    if fate is Fate.DEAD_LETTERED:
        return _failed(errors[0]) if errors and not code else _given_up(code)
    if fate in _PARKED:
        reason: Code = _PARKED[fate]
        return Verdict(True, "ERROR", reason, reason.meaning)
    if record.faults:
        first = record.faults[0]
        return Verdict(False, "WARNING", first.code, first.text)
    return Verdict(False)


def _failed(fault: Fault) -> Verdict:
    return Verdict(True, "ERROR", fault.code, fault.text)


def _given_up(code: str) -> Verdict:
    known = code if len(code) <= CODE_LENGTH and code in _MEANINGS else str(MessageCode.UNEXPECTED)
    return Verdict(True, "ERROR", known, _MEANINGS[known])


def details(
    profile: Profile,
    records: Iterable[Record],
    fate_of: Callable[[int], Fate],
    codes: Mapping[int, str],
    detail: Detail,
) -> Iterator[tuple[Verdict, dict[str, str]]]:
    """Yield the verdict and the CFD record of each record that is to be told of, in file order.

    ``fate_of`` takes a line number. Failures are told always, warnings unless ``file_only``, the rest only with
    ``every_record``.
    """
    if detail == "file_only":
        return
    for record in records:
        said = verdict(record, fate_of(record.line), codes.get(record.line, ""))
        if said.kind or detail == "every_record":
            yield said, _columns(profile, record, said)


def _columns(profile: Profile, record: Record, said: Verdict) -> dict[str, str]:
    layout = profile.records.get(record.code)
    key = record.fields.get(layout.key[0], "") if layout and layout.key else ""
    columns = {
        "record_position": str(record.position),
        "confirmed_record_type": record.code,
        "echoed_reference": writable(profile, key)[:REFERENCE_LENGTH] or f"line {record.line}",
        "load_status": "FAIL" if said.failed else "SUCCESS",
        "message_type": said.kind,
        "message_code": said.code,
        "message_text": writable(profile, said.text)[:TEXT_LENGTH],
        "person_id": writable(profile, record.fields.get("person_id", ""))[:30],
    }
    return {name: value for name, value in columns.items() if value.strip()}


def writable(profile: Profile, value: str) -> str:
    """Return a text with every character replaced that no file of the profile could carry."""
    kept = "".join("?" if one in "\0\r\n\ufffd" or one == profile.delimiter else one for one in value)
    return kept.encode(profile.encoding, "replace").decode(profile.encoding).strip()
