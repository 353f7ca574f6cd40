"""Dates and numbers: from the text of a file to the ISO form the services use, and back."""

import re
from collections.abc import Iterable, MutableMapping, Sequence
from datetime import date, datetime, time

# Bounds the memory of a table whatever a file holds; the days of ninety years have room, and a real file has no more.
_TABLE_LIMIT = 32_768
_TOKEN = re.compile(r"YYYY|MM|DD|HH|SS")
_ISO_ORDER = ("YYYY", "MM", "DD", "HH", "MI", "SS")
_ISO_DATE_LENGTH = 10
_ISO_MINUTE_LENGTH = len("2026-03-02T03:15")
_ISO_TIMESTAMP_LENGTH = 19


class TimeFormat:
    """One written form of a date or timestamp, for example ``YYYYMMDD`` or ``YYYYMMDD HHMMSS``.

    ``MM`` is the month before ``HH`` and the minute after it. Raises ValueError for a pattern that is neither a whole
    date nor a whole date and time.
    """

    def __init__(self, pattern: str) -> None:
        tokens = []
        expression, template, last = "", "", 0
        begins: dict[str, int] = {}
        for match in _TOKEN.finditer(pattern):
            token = "MI" if match[0] == "MM" and "HH" in tokens else match[0]
            tokens.append(token)
            literal = pattern[last : match.start()]
            width = len(match[0])
            begins[token] = last
            expression += f"{re.escape(literal)}(?P<{token}>[0-9]{{{width}}})"
            template += f"{_escape_braces(literal)}{{{token}:0{width}d}}"
            last = match.end()
        if sorted(tokens) not in (["DD", "MM", "YYYY"], ["DD", "HH", "MI", "MM", "SS", "YYYY"]):
            raise ValueError(f"{pattern!r} is not made of YYYY, MM, DD (and HH, MM, SS), each once")
        self.pattern = pattern
        self.has_time = "HH" in tokens
        self.cuts = (begins["HH"], begins["SS"]) if tokens[3:] == ["HH", "MI", "SS"] else None
        """Where, with what stands before them, hour and minute begin, and where the second does, if in that order."""
        self._expression = re.compile(expression + re.escape(pattern[last:]))
        self._template = template + _escape_braces(pattern[last:])
        self._iso_order = tuple(token for token in _ISO_ORDER if token in tokens)
        self._iso = "{}-{}-{}T{}:{}:{}" if self.has_time else "{}-{}-{}"

    def to_iso(self, text: str) -> str | None:
        """``YYYY-MM-DD`` or ``YYYY-MM-DDTHH:MM:SS``; None if the text is not a real date of this form."""
        match = self._expression.fullmatch(text)
        if match is None:
            return None
        iso = self._iso.format(*match.group(*self._iso_order))
        try:
            moment = datetime.fromisoformat(iso)
        except ValueError:
            return None
        return iso if moment.isoformat().startswith(iso) else None  # no 24:00, which a later Python reads as tomorrow

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


def _remember(table: MutableMapping[str, str] | MutableMapping[str, str | None], key: str, value: str) -> None:
    if len(table) >= _TABLE_LIMIT:
        table.clear()
    table[key] = value


def _escape_braces(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")


class IsoTable(dict[str, str | None]):
    """Remembers what each date text means: its ISO form, ``""`` for as good as empty; None for not a date.

    Timestamps hardly repeat, but their days do, the minutes of a day and the seconds of a minute: of those the parts
    are remembered. (Not the seconds of a day: so large a table does not stay in the processor's cache.)
    """

    __slots__ = ("_cuts", "_days", "_empties", "_formats", "_minutes", "_seconds", "_texts")

    def __init__(self, formats: Sequence[TimeFormat], empties: Iterable[str]) -> None:
        self._formats = tuple(formats)
        self._empties = frozenset(empties)
        self._cuts = self._formats[0].cuts or (0, 0)
        self._days: dict[str, str] = {}
        self._minutes: dict[str, str] = {}
        self._seconds: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        super().__init__()

    def __missing__(self, text: str) -> str | None:
        minute, second = self._cuts
        try:
            return self._days[text[:minute]] + self._minutes[text[minute:second]] + self._seconds[text[second:]]
        except KeyError:
            return self._look_up(text)

    def _look_up(self, text: str) -> str | None:
        if text in self._empties:
            _remember(self, text, "")
            return ""
        for time_format in self._formats:
            iso = time_format.to_iso(text)
            if iso is not None:
                self._keep(time_format, text, iso)
                return iso
        return None  # not remembered: nonsense has no bound

    def _keep(self, time_format: TimeFormat, text: str, iso: str) -> None:
        if not time_format.has_time:
            _remember(self, text, iso)
        elif time_format.cuts == self._cuts:
            minute, second = self._cuts
            _remember(self._days, text[:minute], iso[:_ISO_DATE_LENGTH])
            self._minutes[text[minute:second]] = iso[_ISO_DATE_LENGTH:_ISO_MINUTE_LENGTH]
            self._seconds[text[second:]] = iso[_ISO_MINUTE_LENGTH:]

    def text_of(self, iso: str) -> str | None:
        """The text for a file that reads back as ``iso``; None if there is none."""
        known = self._texts.get(iso)
        if known is not None:
            return known
        for time_format in self._formats:
            text = time_format.from_iso(iso)
            if text is not None and self[text] == iso:
                _remember(self._texts, iso, text)
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
