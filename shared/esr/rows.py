"""One record layout made ready for speed: from columns to fields and faults, and back to a line.

The common case (nothing wrong) is answered by a few passes that run in C over precomputed column numbers. Only a
record that fails one of them is gone through column by column to say what is wrong.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import gt, itemgetter

from shared.esr.faults import Fault, RecordCode
from shared.esr.layout import Column, RecordLayout
from shared.esr.syntax import Syntax
from shared.esr.values import IsoTable, fixed_number_pattern, number_pattern

#: Stands for a character that must not be kept (NUL, a carriage return, bytes the encoding cannot decode).
REPLACEMENT = "\ufffd"
_FORBIDDEN = re.compile("[\0\r\n\ufffd]")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


class RowFormat:
    """Reads and writes the rows of one record layout. Safe to share between threads and tasks."""

    def __init__(self, layout: RecordLayout, syntax: Syntax) -> None:
        self.layout = layout
        self.width = len(layout.columns)
        self._delimiter = syntax.delimiter
        self._encoding = syntax.encoding
        kept = [(index, column) for index, column in enumerate(layout.columns) if column.kept]
        self._kept = kept
        self._names = tuple(column.name for _, column in kept)
        self._kept_values = _values_at([index for index, _ in kept])
        self._required_values = _values_at([index for index, column in kept if column.required])
        texts = [(index, column.length) for index, column in kept if column.type in ("X", "F")]
        self._text_values = _values_at([index for index, _ in texts])
        self._limits = tuple(length for _, length in texts)
        empties = (*filter(None, syntax.open_end_dates), syntax.null_timestamp)
        formats = {"D": (syntax.dates,), "T": (syntax.timestamps,), "DT": (syntax.timestamps, syntax.dates)}
        self._dates = tuple(
            (index, IsoTable(formats[column.type], () if column.required else empties))
            for index, column in kept
            if column.type in formats
        )
        self._index_of = {column.name: index for index, column in kept}
        self._patterns = {index: pattern for index, column in kept if (pattern := _pattern(column)) is not None}
        self._lists = tuple((index, column.list.values | {""}) for index, column in kept if column.list is not None)

    def parse(self, parts: list[str], line: int, *, suspect: bool = False) -> tuple[dict[str, str], tuple[Fault, ...]]:
        """The kept, non-empty fields of a row and what is wrong with them. ``parts`` must have ``width`` items.

        A faulty column keeps its raw text, so that a person can mend it. ``parts`` is used up. ``suspect``: the row
        holds a forbidden character somewhere (``forbidden`` says so), perhaps in a column that is not kept.
        """
        bad_dates: list[int] | None = None
        for index, table in self._dates:
            raw = parts[index]
            if raw:
                iso = table[raw]
                if iso is not None:
                    parts[index] = iso
                elif bad_dates is None:
                    bad_dates = [index]
                else:
                    bad_dates.append(index)
        if bad_dates is None and not suspect and self._sound(parts):
            faults: tuple[Fault, ...] = ()
        else:
            faults = self._explain(parts, bad_dates or (), line)
        values = self._kept_values(parts)
        return dict(compress(zip(self._names, values, strict=True), values)), faults

    def check(self, fields: Mapping[str, str]) -> tuple[Fault, ...]:
        """What is wrong with fields in ISO form, as if they had come from a file. Line numbers are 0."""
        parts = [""] * self.width
        undeclared = []
        for name, value in fields.items():
            if name in self._index_of:
                parts[self._index_of[name]] = value
            else:
                undeclared.append(self._undeclared(name))
        bad_dates = [index for index, table in self._dates if parts[index] and table.text_of(parts[index]) is None]
        joined = "".join(parts)
        writable = self._writable(joined) and not forbidden(joined)
        if writable and not undeclared and not bad_dates and self._sound(parts):
            return ()
        unwritable = [
            _fault(RecordCode.R106, 0, column, "holds a character that no file can carry")
            for index, column in self._kept
            if not self._writable(parts[index])
        ]
        return (*undeclared, *unwritable, *self._explain(parts, bad_dates, 0))

    def line(self, fields: Mapping[str, str]) -> str:
        """The row without a line ending. ``fields`` must have passed ``check`` without errors."""
        parts = [""] * self.width
        parts[0] = self.layout.code
        for name, value in fields.items():
            parts[self._index_of[name]] = value
        for index, table in self._dates:
            if parts[index]:
                parts[index] = table.text_of(parts[index]) or ""
        return self._delimiter.join(parts)

    def _sound(self, parts: list[str]) -> bool:
        """Whether nothing is wrong, dates apart. Every pass over many columns runs in C."""
        if not all(map(str.strip, self._required_values(parts))):
            return False
        if any(map(gt, map(len, self._text_values(parts)), self._limits)):
            return False
        for index, allowed in self._lists:
            if parts[index] not in allowed:
                return False
        for index, pattern in self._patterns.items():
            if parts[index] and not pattern.fullmatch(parts[index]):
                return False
        return True

    def _explain(self, parts: list[str], bad_dates: Iterable[int], line: int) -> tuple[Fault, ...]:
        """Every fault of the kept columns; replaces characters that cannot be stored."""
        faults: list[Fault] = []
        bad = frozenset(bad_dates)
        for index, column in self._kept:
            value = parts[index]
            if not value or (column.required and not value.strip()):
                if column.required:
                    faults.append(_fault(RecordCode.R101, line, column, "is mandatory"))
                continue
            if _FORBIDDEN.search(value):
                faults.append(_fault(RecordCode.R106, line, column, "holds a character that is not allowed"))
                parts[index] = _FORBIDDEN.sub(REPLACEMENT, value)
            if index in bad:
                faults.append(_fault(RecordCode.R103, line, column, "is not a valid date"))
            faults.extend(self._explain_form(index, column, value, line))
        return tuple(faults)

    def _explain_form(self, index: int, column: Column, value: str, line: int) -> Iterable[Fault]:
        if column.type in ("X", "F") and len(value) > column.length:
            yield _fault(RecordCode.R102, line, column, f"is longer than {column.length}")
        elif index in self._patterns and not self._patterns[index].fullmatch(value):
            yield _fault(RecordCode.R107, line, column, f"is not of the form {column.form}")
        if column.list is not None and value not in column.list.values:
            code = RecordCode.R104 if column.list.closed else RecordCode.R109
            yield _fault(code, line, column, f"value is not in the list {column.list.name}")

    def _writable(self, value: str) -> bool:
        if self._delimiter in value:
            return False
        try:
            value.encode(self._encoding)
        except UnicodeEncodeError:
            return REPLACEMENT in value  # reported once, as forbidden, by _explain
        return True

    def _undeclared(self, name: str) -> Fault:
        # The name came with an edited record, so it is only repeated when it has the shape of a field name.
        shown = name if _FIELD_NAME.fullmatch(name) else None
        return Fault(RecordCode.R108, 0, shown, f"{shown or 'A field'} is not a field of {self.layout.code} records")


def forbidden(text: str) -> bool:
    """Whether a line holds a character that must not be kept: NUL, a lone carriage return, or undecodable bytes."""
    return "\0" in text or "\r" in text or "\n" in text or REPLACEMENT in text


def _fault(code: RecordCode, line: int, column: Column, text: str) -> Fault:
    return Fault(code, line, column.name, f"{column.name} {text}")


def _pattern(column: Column) -> re.Pattern[str] | None:
    if column.type == "N":
        return number_pattern(column.length, column.scale)
    if column.type == "L":
        return fixed_number_pattern(column.length)
    if column.type == "F":
        return re.compile(f".{{{column.length}}}", re.DOTALL)
    return None


def _values_at(indexes: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    """A fast way to take several items; ``itemgetter`` itself answers one index with a bare item."""
    if not indexes:
        return lambda parts: ()
    if len(indexes) == 1:
        only = indexes[0]
        return lambda parts: (parts[only],)
    return itemgetter(*indexes)
