"""From rows of a trust's own list to people who are not in ESR, with what is wrong with each."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

import msgspec

from shared.codes import Code, LmsCode
from shared.esr.faults import RecordCode
from shared.lms_csv.profile import ISO, LmsProfile
from shared.lms_csv.wrong import LONGEST_TEXT, Wrong

KINDS: Final = frozenset({"volunteer", "student", "bank", "honorary", "other"})
ACTIONS: Final = frozenset({"put", "remove"})

NEEDED: Final = ("reference", "kind", "first_name", "last_name", "start")
"""Fields of someone who is put on the list; of one who is removed the reference will do."""

_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
"""It becomes part of the account's id number, so it keeps to signs that every LMS takes."""


class NonStaffReading:
    """How the values of one profile are understood."""

    def __init__(self, profile: LmsProfile) -> None:
        self._profile = profile
        self._fixed = {field.name: field.fixed for field in profile.fields if field.fixed}
        self._headers = {field.name: field.header for field in profile.fields}

    def take(self, values: Mapping[str, str]) -> tuple[dict[str, str], list[Wrong]]:
        """Return a row's fields and everything that is wrong with them. Blank values count as missing.

        ``action`` is always there afterwards. Dates are ISO.
        """
        fields = {name: text for name, value in values.items() if (text := value.strip())} | self._fixed
        wrong = [self._wrong(RecordCode.R106, name) for name, value in fields.items() if "\0" in value]
        wrong += [self._wrong(LmsCode.L104, name) for name, value in fields.items() if len(value) > LONGEST_TEXT]
        for name in ("action", "kind"):
            fields[name] = fields.get(name, "").lower()
        fields["action"] = fields["action"] or "put"
        if not fields["kind"]:
            del fields["kind"]
        wrong += self._words(fields)
        wrong += self._days(fields)
        needed = NEEDED if fields["action"] == "put" else NEEDED[:1]
        wrong += [self._wrong(LmsCode.L101, name) for name in needed if name not in fields]
        return fields, wrong

    def _words(self, fields: Mapping[str, str]) -> list[Wrong]:
        """Check what has to be one of a few words, or of a certain form."""
        wrong = []
        if fields["action"] not in ACTIONS:
            wrong.append(self._wrong(RecordCode.R104, "action"))
        if fields.get("kind", "other") not in KINDS:
            wrong.append(self._wrong(RecordCode.R104, "kind"))
        if "reference" in fields and not _REFERENCE.fullmatch(fields["reference"]):
            wrong.append(self._wrong(RecordCode.R107, "reference"))
        return wrong

    def _days(self, fields: dict[str, str]) -> list[Wrong]:
        """Bring dates into ISO form."""
        wrong = []
        for name, formats in self._profile.formats.items():
            if name in fields:
                told = next((day for form in formats if (day := _day(fields[name], form))), "")
                if not told:
                    wrong.append(self._wrong(LmsCode.L103, name))
                fields[name] = told or fields[name]
        if not wrong and fields.get("end", "9") < fields.get("start", ""):
            wrong.append(Wrong(LmsCode.L103, self._header("end"), f"{self._header('end')}: is before the start"))
        return wrong

    def _header(self, name: str) -> str:
        return self._headers.get(name) or name

    def _wrong(self, code: Code, name: str) -> Wrong:
        return Wrong(code, self._header(name), f"{self._header(name)}: {code.meaning}")


def _day(said: str, form: str) -> str:
    """Return the day in ISO form, empty when it is none in this form."""
    try:
        if form == ISO:
            return msgspec.convert(said, date).isoformat()
        return datetime.strptime(said, form).date().isoformat() if said.isascii() else ""  # noqa: DTZ007 - a day only
    except (msgspec.ValidationError, ValueError):
        return ""
