"""How text stands in the files of a profile: encoding, delimiter, line ends, dates."""

from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from shared.errors import ConfigurationError
from shared.esr.layout import Column
from shared.esr.values import IsoTable, TimeFormat
from shared.esr.yaml_source import Section

ColumnCount = Literal["strict", "record"]

#: Encodings in which delimiter, digits and line ends are single ASCII bytes.
_ENCODINGS = ("iso-8859-1", "iso-8859-15", "windows-1252", "utf-8", "us-ascii")
#: Settings that exist to say how the files are; the code knows this one way.
_FIXED = {"quoting": "none", "escaping": "none", "timezone": "Europe/London"}
_SETTINGS = (
    *_FIXED, "encoding", "delimiter", "header_row", "column_count", "line_ending", "blank_lines", "date", "timestamp",
    "null_timestamp", "open_end_dates",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Syntax:
    """The physical rules of a file. ``line_ending`` is what gets written; any line end is read.

    ``column_count``: whether a record with a wrong number of columns is a fault of the file, or of that record only.
    """

    encoding: str
    delimiter: str
    column_count: ColumnCount
    line_ending: str
    dates: TimeFormat
    timestamps: TimeFormat
    null_timestamp: str
    open_end_dates: tuple[str, ...]
    _tables: dict[tuple[str, bool], IsoTable] = field(default_factory=dict, repr=False, compare=False)

    def table_of(self, column: Column) -> IsoTable:
        """What the texts of a date column mean; one table for all columns alike, so that it stays small.

        Where a date may be missing, an open end means that it is.
        """
        place = (column.type, column.required)
        if place not in self._tables:
            formats = {"D": (self.dates,), "T": (self.timestamps,), "DT": (self.timestamps, self.dates)}
            empties = () if column.required else (*filter(None, self.open_end_dates), self.null_timestamp)
            self._tables[place] = IsoTable(formats[column.type], empties)
        return self._tables[place]

    def timestamp_to_iso(self, text: str) -> str | None:
        """ISO form of a timestamp, ``""`` for the null timestamp, None for neither."""
        return "" if text == self.null_timestamp else self.timestamps.to_iso(text)


def read_syntax(section: Section) -> Syntax:
    """Read the ``physical`` section. Raises ConfigurationError for a mistake or for what is not supported."""
    section.only(_SETTINGS)
    for setting, supported in _FIXED.items():
        section.one_of(setting, (supported,))
    if section.flag("header_row", default=False):
        raise ConfigurationError(f"{section.place}: header_row true is not supported.")
    section.section("blank_lines").one_of("read", ("ignore",))
    endings = section.section("line_ending")
    endings.one_of("read", ("any",))
    delimiter = section.text("delimiter")
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter.isalnum() or delimiter in "\r\n\0":
        raise ConfigurationError(f"{section.place}: delimiter must be one ASCII sign, no letter, digit or line end.")
    return Syntax(
        encoding=section.one_of("encoding", _ENCODINGS),
        delimiter=delimiter,
        column_count=cast("ColumnCount", section.one_of("column_count", get_args(ColumnCount))),
        line_ending={"crlf": "\r\n", "lf": "\n"}[endings.one_of("write", ("crlf", "lf"))],
        dates=_time_format(section, "date", has_time=False),
        timestamps=_time_format(section, "timestamp", has_time=True),
        null_timestamp=section.text("null_timestamp"),
        open_end_dates=section.texts("open_end_dates"),
    )


def _time_format(section: Section, key: str, *, has_time: bool) -> TimeFormat:
    try:
        time_format = TimeFormat(section.text(key))
    except ValueError as error:
        raise ConfigurationError(f"{section.place}: {key} {error}.") from error
    if time_format.has_time != has_time:
        raise ConfigurationError(f"{section.place}: {key} has a time of day where it must not, or lacks one.")
    return time_format
