"""One record layout made ready for speed: from a row to fields and faults, and back to a line.

The common case (nothing wrong) is one match of an expression made from the columns. Only a row that does not match is
gone through column by column to say what is wrong.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import itemgetter

from shared.esr.faults import Fault, RecordCode
from shared.esr.layout import Column, RecordLayout
from shared.esr.row_pattern import FORBIDDEN, form_pattern, row_pattern
from shared.esr.syntax import Syntax

#: Stands for a character that must not be kept (NUL, a line end, bytes the encoding cannot decode).
REPLACEMENT = "\ufffd"
_FORBIDDEN = re.compile(f"[{FORBIDDEN}]")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


class RowFormat:
    """Reads and writes the rows of one record layout. Safe to share between threads and tasks."""

    def __init__(self, layout: RecordLayout, syntax: Syntax) -> None:
        self.layout = layout
        self.width = len(layout.columns)
        self._delimiter = syntax.delimiter
        self._encoding = syntax.encoding
        self._match = row_pattern(layout, syntax.delimiter).fullmatch
        kept = [(index, column) for index, column in enumerate(layout.columns) if column.kept]
        self._kept = kept
        self._names = tuple(column.name for _, column in kept)
        self._kept_values = _values_at([index for index, _ in kept])
        tables = {index: syntax.table_of(column) for index, column in kept if column.type in ("D", "T", "DT")}
        self._dates = tuple(tables.items())
        self._kept_dates = tuple((place, tables[index]) for place, (index, _) in enumerate(kept) if index in tables)
        self._index_of = {column.name: index for index, column in kept}
        self._patterns = {index: pattern for index, column in kept if (pattern := form_pattern(column)) is not None}

    def read(self, row: str, line: int) -> tuple[dict[str, str], tuple[Fault, ...]]:
        """The kept, non-empty fields of a row and what is wrong with them.

        A faulty column keeps its raw text, so that a person can mend it. A line break inside the row is a fault of
        the column it stands in, kept or not. A row with a wrong number of columns has one fault, R111, and of its
        fields only those that cannot be anything else, see ``_aligned``.
        """
        match = self._match(row)
        if match is not None:
            values = list(match.groups())
            for place, table in self._kept_dates:
                if raw := values[place]:
                    iso = table[raw]
                    if iso is None:
                        break
                    values[place] = iso
            else:
                return dict(compress(zip(self._names, values), values)), ()  # noqa: B905 - of one length, and hot
        return self._read_closely(row.split(self._delimiter), line)

    def _read_closely(self, parts: list[str], line: int) -> tuple[dict[str, str], tuple[Fault, ...]]:
        if len(parts) != self.width:
            text = f"{self.layout.code} has {len(parts)} columns, {self.width} expected"
            return self._aligned(parts), (Fault(RecordCode.R111, line, None, text),)
        bad_dates = []
        for index, table in self._dates:
            if parts[index]:
                iso = table[parts[index]]
                if iso is None:
                    bad_dates.append(index)
                else:
                    parts[index] = iso
        faults = self._explain(parts, bad_dates, line)
        return self._filled(self._kept_values(parts)), faults

    def _filled(self, values: Sequence[str]) -> dict[str, str]:
        return dict(compress(zip(self._names, values, strict=True), values))

    def _aligned(self, parts: Sequence[str]) -> dict[str, str]:
        """What of a row with a wrong number of columns may be shown to a person who is to mend it.

        Nobody knows where a column is missing or too many, so a value may belong to any of the columns around it. It is
        kept only where all of these are kept: what must not leave the parser may not leave it under another name.
        """
        surplus = len(parts) - self.width
        columns = self.layout.columns
        values = [""] * self.width
        for index, _ in self._kept:
            around = columns[max(1, index - max(0, surplus)) : index + max(0, -surplus) + 1]
            if index < len(parts) and all(other.kept for other in around):
                values[index] = _FORBIDDEN.sub(REPLACEMENT, parts[index])
        for index, table in self._dates:
            if values[index] and (iso := table[values[index]]) is not None:
                values[index] = iso
        return self._filled(self._kept_values(values))

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

    def _explain(self, parts: list[str], bad_dates: Iterable[int], line: int) -> tuple[Fault, ...]:
        """Every fault, in the order of the columns; replaces characters that cannot be stored."""
        faults: list[Fault] = []
        bad = frozenset(bad_dates)
        for index, column in enumerate(self.layout.columns):
            value = parts[index]
            if not column.kept:
                if "\n" in value:
                    faults.append(_fault(RecordCode.R106, line, column, "holds a line break"))
            elif _FORBIDDEN.search(value):
                faults.append(_fault(RecordCode.R106, line, column, "holds a character that is not allowed"))
                parts[index] = _FORBIDDEN.sub(REPLACEMENT, value)
                faults.extend(self._explain_form(index, column, value, line, bad))
            elif column.required and not value.strip():
                faults.append(_fault(RecordCode.R101, line, column, "is mandatory"))
            elif value:
                faults.extend(self._explain_form(index, column, value, line, bad))
        return tuple(faults)

    def _explain_form(
        self, index: int, column: Column, value: str, line: int, bad_dates: frozenset[int]
    ) -> Iterable[Fault]:
        if index in bad_dates:
            yield _fault(RecordCode.R103, line, column, "is not a valid date")
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


def _fault(code: RecordCode, line: int, column: Column, text: str) -> Fault:
    return Fault(code, line, column.name, f"{column.name} {text}")


def _values_at(indexes: Sequence[int]) -> Callable[[list[str]], Sequence[str]]:
    """A fast way to take several items; ``itemgetter`` itself answers one index with a bare item."""
    if not indexes:
        return lambda parts: ()
    if len(indexes) == 1:
        only = indexes[0]
        return lambda parts: (parts[only],)
    return itemgetter(*indexes)
