"""Whether a letter's record has the form that its consumers ask for: checked before it is sent, and shown beside it.

ESR's records are checked against the trust's profile, rows of the LMS's files against what this bridge knows of them,
events and outcomes against their own types. It is a check of form: what the owner of a record knows besides (a person
whom nobody has heard of, a newer record) only the owner can say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import msgspec

from shared import events, outcomes
from shared.codes import Code, LmsCode, MessageCode
from shared.config import BridgeConfig
from shared.esr.faults import RecordCode
from shared.esr.profile import Profile, load_profile
from shared.lms_csv.subjects import SUBJECTS, Subject
from shared.lms_csv.wrong import LONGEST_TEXT
from shared.messaging.message import Message

_SUBJECTS = {subject.record: subject for subject in SUBJECTS.values()}
_CODES: Mapping[str, Code] = {str(one): one for kind in (RecordCode, LmsCode, MessageCode) for one in kind}
_EVENTS = frozenset(events.NAMES.values())


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``text`` names columns, never values; ``column`` is empty for the record as a whole."""

    code: str
    column: str
    text: str

    @property
    def told(self) -> dict[str, str]:
        """As JSON, with what to do."""
        return {"code": self.code, "column": self.column, "text": self.text, "advice": advice(self.code)}


def meaning(code: str) -> str:
    """Return what a code means in plain words; empty for a code nobody here knows."""
    return _CODES[code].meaning if code in _CODES else ""


def advice(code: str) -> str:
    """Return what an operator can do about a code; empty for a code nobody here knows."""
    return _CODES[code].advice if code in _CODES else ""


class Schemas:
    """What is known of the form of records, for each trust by its profile."""

    def __init__(self, config: BridgeConfig | None = None) -> None:
        self._profiles = {trust.vpd: trust.profile for trust in config.trusts} if config else {}

    def own_key(self, message: Message) -> tuple[str, ...]:
        """Return the columns that make the key of an ESR record; empty for anything else."""
        profile = self._profile(message.vpd)
        code = _record_code(profile, message.type) if profile else ""
        return profile.records[code].key if profile and code else ()

    def check(self, message: Message) -> tuple[Finding, ...]:
        """Return what is wrong with the form of a letter's body; nothing when it may be sent."""
        if message.type in _EVENTS:
            return _decoded(lambda: events.decode(message.type, message.body))
        if message.type.endswith(".outcomes"):
            return _decoded(lambda: outcomes.decode(message.body))
        try:
            fields = msgspec.json.decode(message.body, type=dict[str, str])
        except msgspec.DecodeError:
            return (Finding(MessageCode.R901, "", "the body is not a flat object of texts"),)
        if any("\0" in value for value in fields.values()):
            return (Finding(RecordCode.R106, "", "a column holds a NUL character, which cannot be stored"),)
        entity = message.type.partition(".")[0]
        if entity in _SUBJECTS and message.stream not in ("feed", "cmc"):
            return tuple(_row(_SUBJECTS[entity], fields))
        return self._record(message, fields)

    def _record(self, message: Message, fields: Mapping[str, str]) -> tuple[Finding, ...]:
        profile = self._profile(message.vpd)
        if profile is None:
            return ()
        code = _record_code(profile, message.type)
        if not code:
            return (Finding(MessageCode.R903, "", "no record of the trust's profile has this type"),)
        return tuple(
            Finding(str(fault.code), fault.column or "", fault.text)
            for fault in profile.rows[code].check(fields)
            if not fault.warning
        )

    def _profile(self, vpd: str) -> Profile | None:
        return _loaded(self._profiles[vpd]) if vpd in self._profiles else None


def worse(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return what an edit would make wrong that was not wrong before."""
    known = {(one.code, one.column) for one in before}
    return tuple(one for one in after if (one.code, one.column) not in known)


def forget_profiles() -> None:
    """Read profiles anew at their next use: what one process does for several commands, each of which would."""
    _loaded.cache_clear()


def _record_code(profile: Profile, type_: str) -> str:
    return next((code for code, routing in profile.routing.items() if routing == type_), "")


def _row(subject: Subject, fields: Mapping[str, str]) -> list[Finding]:
    found = [
        Finding(RecordCode.R108, "", f"there is a column that no {subject.record} has")
        for name in fields
        if name not in subject.fields
    ][:1]
    found += [Finding(LmsCode.L101, name, f"{name} is mandatory") for name in subject.mandatory if not fields.get(name)]
    for name, value in fields.items():
        if name in subject.times and not _is_time(value):
            found.append(Finding(LmsCode.L103, name, f"{name} is not a valid date or time"))
        if len(value) > LONGEST_TEXT:
            found.append(Finding(LmsCode.L104, name, f"{name} is too long"))
    return found


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _decoded(decode: Callable[[], object]) -> tuple[Finding, ...]:
    try:
        decode()
    except (msgspec.DecodeError, KeyError, ValueError):
        return (Finding(MessageCode.R901, "", "the body is not one of this type"),)
    return ()


@lru_cache(maxsize=64)
def _loaded(profile: str) -> Profile:
    return load_profile(profile)
