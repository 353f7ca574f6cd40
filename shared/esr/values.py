"""Dates and numbers: from the text of a file to the ISO form the services use, and back."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time

# Bounds the memory of a table whatever a file holds; a real file has a few thousand different dates.
_TABLE_LIMIT = 65_536
_TOKEN = re.compile(r"YYYY|MM|DD|HH|SS")
_ISO_DATE_LENGTH = 10
_ISO_TIMESTAMP_LENGTH = 19


class TimeFormat:
    """One written form of a date or timestamp, for example ``YYYYMMDD`` or ``YYYYMMDD HHMMSS``.

    ``MM`` is the month before ``HH`` and the minute after it. Raises ValueError for a pattern that is neither a whole
    date nor a whole date and time.
    """

    def __init__(self, pattern: str) -> None:
        tokens = []
        expression, template, last = "", "", 0
        for match in _TOKEN.finditer(pattern):
            token = "MI" if match[0] == "MM" and "HH" in tokens else match[0]
            tokens.append(token)
            literal = pattern[last : match.start()]
            width = len(match[0])
            expression += f"{re.escape(literal)}(?P<{token}>[0-9]{{{width}}})"
            template += f"{_escape_braces(literal)}{{{token}:0{width}d}}"
            last = match.end()
        if sorted(tokens) not in (["DD", "MM", "YYYY"], ["DD", "HH", "MI", "MM", "SS", "YYYY"]):
            raise ValueError(f"{pattern!r} is not made of YYYY, MM, DD (and HH, MM, SS), each once")
        self.pattern = pattern
        self.has_time = "HH" in tokens
        self._expression = re.compile(expression + re.escape(pattern[last:]))
        self._template = template + _escape_braces(pattern[last:])

    def to_iso(self, text: str) -> str | None:
        """``YYYY-MM-DD`` or ``YYYY-MM-DDTHH:MM:SS``; None if the text is not a real date of this form."""
        match = self._expression.fullmatch(text)
        if match is None:
            return None
        part = {name: int(digits) for name, digits in match.groupdict().items()}
        try:
            if self.has_time:
                clock = time(part["HH"], part["MI"], part["SS"])
                return datetime.combine(date(part["YYYY"], part["MM"], part["DD"]), clock).isoformat()
            return date(part["YYYY"], part["MM"], part["DD"]).isoformat()
        except ValueError:
            return None

    def from_iso(self, iso: str) -> str | None:
        """The text for a file; None if ``iso`` is not a strict ISO value of this format's kind."""
        if len(iso) != (_ISO_TIMESTAMP_LENGTH if self.has_time else _ISO_DATE_LENGTH):
            return None
        try:
            moment = datetime.fromisoformat(iso)
        except ValueError:
            return None
        # fromisoformat is lenient (2026-W10-2); only the one spelling the reader gives is accepted.
        if moment.tzinfo is not None or not moment.isoformat().startswith(iso):
            return None
        return self.write(moment)

    def write(self, moment: datetime | date) -> str:
        """A date or a naive local datetime as text; fractions of a second are cut off."""
        clock = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
        if clock.tzinfo is not None:
            raise ValueError("times in files are naive local times")
        return self._template.format(
            YYYY=clock.year, MM=clock.month, DD=clock.day, HH=clock.hour, MI=clock.minute, SS=clock.second
        )


def _escape_braces(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


class IsoTable(dict[str, str | None]):
    """Remembers what each date text means: its ISO form, ``""`` for as good as empty; None for not a date."""

    __slots__ = ("_empties", "_formats", "_texts")

    def __init__(self, formats: Sequence[TimeFormat], empties: Iterable[str]) -> None:
        self._formats = tuple(formats)
        self._empties = frozenset(empties)
        self._texts: dict[str, str] = {}
        super().__init__()

    def __missing__(self, text: str) -> str | None:
        if text in self._empties:
            return ""
        for time_format in self._formats:
            iso = time_format.to_iso(text)
            if iso is not None:
                if len(self) >= _TABLE_LIMIT:
                    self.clear()
                self[text] = iso
                return iso
        return None  # not remembered: nonsense has no bound

    def text_of(self, iso: str) -> str | None:
        """The text for a file that reads back as ``iso``; None if there is none."""
        known = self._texts.get(iso)
        if known is not None:
            return known
        for time_format in self._formats:
            text = time_format.from_iso(iso)
            if text is not None and self[text] == iso:
                if len(self._texts) >= _TABLE_LIMIT:
                    self._texts.clear()
                self._texts[iso] = text
                return text
        return None


def number_pattern(length: int, scale: int) -> re.Pattern[str]:
    """``N(length, scale)``: at most ``length`` digits, ``scale`` of them after the point.

    A missing zero before the point is accepted, since Oracle writes ``.5``.
    """
    whole = length - scale
    if scale == 0:
        return re.compile(rf"-?[0-9]{{1,{whole}}}")
    if whole == 0:
        return re.compile(rf"-?0?\.[0-9]{{1,{scale}}}")
    return re.compile(rf"-?(?:[0-9]{{1,{whole}}}(?:\.[0-9]{{1,{scale}}})?|\.[0-9]{{1,{scale}}})")


def fixed_number_pattern(length: int) -> re.Pattern[str]:
    """``L(length)``: exactly ``length`` digits, padded with zeros."""
    return re.compile(rf"[0-9]{{{length}}}")
