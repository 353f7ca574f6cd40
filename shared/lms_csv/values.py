"""How the values of a row are understood: texts, people, moments; and the rows of completion files."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from shared.clock import LONDON
from shared.codes import Code, LmsCode
from shared.esr.faults import RecordCode
from shared.lms_csv.profile import ISO, LmsProfile
from shared.lms_csv.subjects import MANDATORY, WITHDRAWN
from shared.lms_csv.wrong import LONGEST_TEXT, Wrong

_MOST_TIMES: Final = 20_000
"""Times that are remembered as they were read: the same few days stand in most rows, and reading one costs most."""

_TAKEN_BACK: Final = {"yes": "yes", "true": "yes", "1": "yes", "no": "", "false": "", "0": ""}
"""What the field ``withdrawn`` may say, in any capitals; what is not withdrawn has no such field."""

_DERIVED_FROM: Final = ("user_idnumber", "certification_idnumber", "completed_at")


class Reading:
    """How the values of one profile, for one trust, are understood. ``vpd`` empty: of any trust."""

    def __init__(self, profile: LmsProfile, vpd: str) -> None:
        self._profile = profile
        self._vpd = vpd
        self._fixed = {field.name: field.fixed for field in profile.fields if field.fixed}
        self._derives = any(field.derived for field in profile.fields)
        self._times: dict[tuple[str, str], str] = {}
        self._headers = {field.name: field.header for field in profile.fields}

    def take(self, values: Mapping[str, str]) -> tuple[dict[str, str], list[Wrong]]:
        """Return a completion's fields and everything that is wrong with them. Blank values count as missing."""
        fields, wrong = self._understood(values)
        if self._derives:
            fields["reference"] = derived_reference(fields)
        wrong += [self._wrong(LmsCode.L101, name) for name in MANDATORY if name not in fields]
        return fields, wrong

    def _understood(self, values: Mapping[str, str]) -> tuple[dict[str, str], list[Wrong]]:
        """Return texts without outer blanks, the person and the times in our own form."""
        fields: dict[str, str] = {}
        wrong: list[Wrong] = []
        for name, value in values.items():
            if text := value.strip():
                fields[name] = text
                if "\0" in text:
                    wrong.append(self._wrong(RecordCode.R106, name))
                if len(text) > LONGEST_TEXT:
                    wrong.append(self._wrong(LmsCode.L104, name))
        fields |= self._fixed
        self._identify(fields, wrong)
        for name in self._profile.subject.times:
            self._tell_time(name, fields, wrong)
        if WITHDRAWN in fields:
            self._tell_withdrawn(fields, wrong)
        return fields, wrong

    def _tell_withdrawn(self, fields: dict[str, str], wrong: list[Wrong]) -> None:
        said = fields.pop(WITHDRAWN)
        told = _TAKEN_BACK.get(said.casefold())
        if told is None:
            fields[WITHDRAWN] = said
            wrong.append(self._wrong(LmsCode.L108, WITHDRAWN))
        elif told:
            fields[WITHDRAWN] = told

    def _identify(self, fields: dict[str, str], wrong: list[Wrong]) -> None:
        """Bring the person into the form ``<vpd>-<person id>``."""
        said = fields.get("user_idnumber")
        if said is None:
            return
        if self._profile.person == "person_id":
            fields["user_idnumber"] = f"{self._vpd}-{said}" if self._vpd else said
            return
        vpd, _, person_id = said.partition("-")
        if not person_id or (vpd != self._vpd if self._vpd else not vpd):
            wrong.append(self._wrong(LmsCode.L102, "user_idnumber"))

    def _tell_time(self, name: str, fields: dict[str, str], wrong: list[Wrong]) -> None:
        said = fields.get(name)
        if said is None:
            return
        if (name, said) not in self._times:
            if len(self._times) >= _MOST_TIMES:
                self._times.clear()
            self._times[name, said] = self._told(name, said)
        if told := self._times[name, said]:
            fields[name] = told
        else:
            wrong.append(self._wrong(LmsCode.L103, name))

    def _told(self, name: str, said: str) -> str:
        """Return a time in our own form, empty when it has none of the profile's."""
        kind = datetime if name == "completed_at" else date
        for form in self._profile.formats[name]:
            if told := self._iso(said, kind) if form == ISO else self._by_pattern(said, form, kind):
                return told
        return ""

    def _iso(self, said: str, kind: type[date]) -> str:
        """Return the text, empty when it is not what the service that owns the record will accept."""
        try:
            told = msgspec.convert(said, kind)
            if not isinstance(told, datetime):
                return said
            if told.tzinfo is None:
                return said if self._profile.zone == LONDON else self._placed(told)
            told.astimezone(LONDON)  # its day is asked for later, and the first and last days of all have none
        except (msgspec.ValidationError, OverflowError):
            return ""
        return said

    def _by_pattern(self, said: str, pattern: str, kind: type[date]) -> str:
        try:
            told = datetime.strptime(said, pattern)  # noqa: DTZ007 - the zone is the profile's
            if not said.isascii():  # strptime takes digits of any script
                return ""
            if kind is date:
                return told.date().isoformat()
            return told.isoformat() if self._profile.zone == LONDON else self._placed(told)
        except (ValueError, OverflowError):
            return ""

    def _placed(self, told: datetime) -> str:
        """Say a time of the profile's zone with its offset. Without one a time is taken for UK time, and may stay."""
        return told.replace(tzinfo=self._profile.zone).astimezone(UTC).astimezone(LONDON).isoformat()

    def _wrong(self, code: Code, name: str) -> Wrong:
        header = self._headers.get(name, "")
        shown = f"{name} (column '{header}')" if header not in ("", name) else name
        return Wrong(code, name, f"{shown}: {code.meaning}")


def derived_reference(fields: Mapping[str, str]) -> str:
    """Return the reference of a completion that has none: the same for the same person, certification and time."""
    said = "|".join(fields.get(name, "") for name in _DERIVED_FROM)
    return f"D{hashlib.sha256(said.encode()).hexdigest()[:31]}"
