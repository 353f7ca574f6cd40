"""One expression for a whole sound row: the quick way to see that nothing is wrong with a record.

Most records of a real file are sound. One match in C both proves that and takes the kept values out. A row that does
not match is not yet faulty (a name may begin with a blank); it is gone through column by column (see ``rows``).
"""

import re

from shared.esr.layout import Column, RecordLayout
from shared.esr.values import fixed_number_pattern, number_pattern

#: Characters that must not be kept: NUL, a carriage return or line feed, and what stands for undecodable bytes.
FORBIDDEN = "\0\r\n\ufffd"


def row_pattern(layout: RecordLayout, delimiter: str) -> re.Pattern[str]:
    """An expression that matches only rows without any fault, dates apart. Its groups are the kept columns in order."""
    dropped = rf"[^{re.escape(delimiter)}\n]*+"
    cells = [f"({_kept_cell(column, delimiter)})" if column.kept else dropped for column in layout.columns[1:]]
    cells.insert(0, re.escape(layout.code))
    return re.compile(re.escape(delimiter).join(cells))


def form_pattern(column: Column) -> re.Pattern[str] | None:
    """What a filled value of a column must look like, where that is more than a length; None where it is not."""
    if column.type == "N":
        return number_pattern(column.length, column.scale)
    if column.type == "L":
        return fixed_number_pattern(column.length)
    if column.type == "F":
        return re.compile(f".{{{column.length}}}", re.DOTALL)
    return None


def _kept_cell(column: Column, delimiter: str) -> str:
    letter = f"[^{re.escape(delimiter)}{FORBIDDEN}]"
    # A required value may begin with a blank but not be blank; one that begins so is looked at more closely.
    ahead, least = (r"(?!\s)", 1) if column.required else ("", 0)
    if column.list is None and column.type == "X":
        return f"{ahead}{letter}{{{least},{column.length}}}+"
    if column.type in ("D", "T", "DT"):  # a table of dates has the last word
        return f"{ahead}{letter}{{{least},}}+"
    filled = _filled(column, letter)
    return f"{ahead}(?:{filled})" if column.required else f"(?:{filled})?"


def _filled(column: Column, letter: str) -> str:
    form = form_pattern(column)
    filled = form.pattern if form is not None else f"{letter}{{1,{column.length}}}"
    if column.type == "F":
        filled = f"{letter}{{{column.length}}}"
    if column.list is None:
        return filled
    values = sorted((value for value in column.list.values if re.fullmatch(filled, value)), key=len, reverse=True)
    return "|".join(map(re.escape, values)) or "(?!)"
