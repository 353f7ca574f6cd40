"""``docs/file-formats.md``, made from the built-in profiles, so that it cannot say other things than the code does."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib import resources
from textwrap import fill
from typing import Final

from shared.esr.framing import MAX_PARTS
from shared.esr.layout import Column, Kind, RecordLayout
from shared.esr.lines import MAX_LINE_BYTES
from shared.esr.profile import Profile, load_profile

PROFILES: Final = ("esr-cstf", "esr-go-gdw")

_DAY: Final = date(2026, 3, 3)
_NUMBERED: Final = re.compile(r"(.*?)([0-9]+)")
_FLOWS: Final = {"esr_to_lms": "ESR → LMS", "lms_to_esr": "LMS → ESR"}
_USES: Final = {
    "M": "mandatory",
    "C": "filled under conditions that the profile does not express; read like optional",
    "O": "optional",
    "I": "may be filled, but is dropped by the parser: it is not checked, kept, sent on or logged",
    "U": "not in use; dropped like I",
}
_TYPES: Final = {
    "X(n)": "text of at most n characters",
    "F(n)": "text of exactly n characters",
    "N(n,m)": "number of at most n digits, m of them after the point; a minus sign may lead",
    "L(n)": "number of exactly n digits, padded with zeros",
    "D": "date",
    "T": "timestamp",
    "DT": "either of these",
}


def as_document() -> str:
    """Return the document."""
    introduction = resources.files("esrbridge").joinpath("file_formats.md").read_text(encoding="utf-8")
    lines = [introduction.format(parts=MAX_PARTS, kilobytes=MAX_LINE_BYTES // 1024)]
    lines += ["## How to read the tables", "", *_table(("Type", "What it holds"), _coded(_TYPES))]
    lines += _table(("Use", "What it says"), _coded(_USES))
    for name in PROFILES:
        lines += _profile(load_profile(name))
    return "\n".join(lines).rstrip() + "\n"


def _prose(text: str) -> list[str]:
    return [fill(text, 120, break_long_words=False, break_on_hyphens=False), ""]


def _coded(meanings: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"`{code}`", meaning) for code, meaning in meanings.items()]


def _profile(profile: Profile) -> list[str]:
    origins = "; ".join(f"{what} from {origin}" for what, origin in profile.borrowed_from.items())
    lines = [f"## Profile `{profile.name}`", "", *_prose(_standing(profile))]
    lines += _prose(f"Borrowed: {origins}.") if origins else []
    lines += ["### Names", "", *_names(profile)]
    lines += ["### Text", "", *_text(profile)]
    lines += ["### Order and answers", "", *_control(profile)]
    lines += ["### Kinds of file", "", *_kinds(profile)]
    lines += ["### Header and trailer", "", *_control_lines(profile)]
    lines += ["### Records", "", *_records(profile)]
    lines += ["### Lists", "", *_lists(profile)]
    return [*lines, "### What is dropped by the parser", "", *_dropped(profile)]


def _standing(profile: Profile) -> str:
    return (
        f"Version {profile.version}. Standing: **{profile.standing}**. This is a reconstruction by this project from"
        " public material, not an official interface specification."
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [*lines, ""]


def _names(profile: Profile) -> list[str]:
    examples = ", ".join(f"`{_example(profile, kind)}`" for kind in profile.kinds.values())
    rule = (
        f"`{profile.names.form}`, in any case of letters; the date as YYYYMMDD, the number with"
        f" {profile.names.seq_digits} digits. Files of one counter are ordered by date and number, not by the name."
    )
    expression = f"    {profile.names.pattern.pattern}"
    return [*_prose(rule), *_prose(f"Examples: {examples}."), "As an expression:", "", expression, ""]


def _example(profile: Profile, kind: Kind) -> str:
    return profile.file_name("999", kind.code, _DAY, profile.names.lowest[kind.code])


def _text(profile: Profile) -> list[str]:
    syntax = profile.syntax
    ending = {"\r\n": "CR LF", "\n": "LF"}[syntax.line_ending]
    ends = " or ".join(f"`{value}`" if value else "empty" for value in syntax.open_end_dates)
    count = {"strict": "refuses the file (F010)", "record": "is a fault of that record only (R111)"}[
        syntax.column_count
    ]
    rows = [
        ("encoding", f"{syntax.encoding}; a character outside it is not written (R106)"),
        ("delimiter", f"`{syntax.delimiter}`; no quoting and no escaping: a value that holds it is not written (R106)"),
        (
            "line end",
            f"LF or CR LF when reading, {ending} when writing; the last may be missing; blank lines are ignored",
        ),
        ("column names", "no line of them"),
        ("wrong number of columns", count),
        ("dates", f"{syntax.dates.pattern}; an open end is {ends}"),
        ("timestamps", f"{syntax.timestamps.pattern}, local time of Europe/London; none is `{syntax.null_timestamp}`"),
    ]
    return _table(("Rule", "What it is"), rows)


def _control(profile: Profile) -> list[str]:
    control = profile.control
    details = ", ".join(f"{kind}: {detail}" for kind, detail in control.confirm_detail.items())
    rows = [
        ("`interface_versions`", ", ".join(control.interface_versions), "read; the first is written"),
        ("`trailer_count`", control.trailer_count, "what the trailer's number counts"),
        ("`sequence.start`", str(control.sequence.start), "number of the first file"),
        ("`sequence.gap`", control.sequence.gap, "whether a file waits for those missing before it"),
        (
            "`sequence.reset_on_full`",
            str(control.sequence.reset_on_full).lower(),
            "whether a full file restarts the count",
        ),
        ("`window.check`", control.window.check, "whether a changes file begins where the last one ended"),
        ("`window.on_break`", control.window.on_break, "what happens when it does not"),
        ("`confirm_detail`", details or "none", "which records a confirmation lists"),
    ]
    return _table(("Setting", "Value", "What it says"), rows)


def _kinds(profile: Profile) -> list[str]:
    rows = [
        (
            f"`{kind.code}`",
            _FLOWS[kind.flow],
            kind.mode,
            f"`{kind.counter}`",
            kind.confirmed_by or "",
            " ".join(name for name in profile.records if name in kind.records) or "none",
        )
        for kind in profile.kinds.values()
    ]
    lines = _table(("Kind", "Direction", "Mode", "Counter", "Answered by", "Records"), rows)
    for kind in profile.kinds.values():
        if kind.seed:
            lines += _prose(
                f"A `{kind.code}` is a single line. A file of that name with more lines, or with the header of a full"
                f" file, is read as a `{kind.seed}`."
            )
    ignored = ", ".join(f"`{code}`" for code in sorted(profile.ignored_types))
    return [*lines, f"Passed over without a word: {ignored}.", ""] if ignored else lines


def _control_lines(profile: Profile) -> list[str]:
    names = dict.fromkeys(name for kind in profile.kinds.values() for name in (kind.header, kind.trailer) if name)
    lines = []
    for name in names:
        users = ", ".join(f"`{kind.code}`" for kind in profile.kinds.values() if name in (kind.header, kind.trailer))
        lines += [f"**{name}**, of {users}", "", *_columns(profile.records[name])]
    return lines


def _records(profile: Profile) -> list[str]:
    data = frozenset[str]().union(*(kind.records for kind in profile.kinds.values()))
    layouts = {name: layout for name, layout in profile.records.items() if name in data}
    lines = []
    for name, layout in layouts.items():
        if len(layout.columns) > 2:
            said = f"`{layout.routing}`" if layout.routing else "read and checked; nothing uses it"
            lines += [f"**{name}**, {len(layout.columns)} columns: {said}", "", *_columns(layout)]
    short = [(f"`{name}`", f"`{one.columns[1].name}`", one.columns[1].form, one.routing or "not used")
             for name, one in layouts.items() if len(one.columns) == 2]  # fmt: skip
    return [*lines, "Records of two columns, the record type and an id:", "", *_table(
        ("Record", "Id", "Type", "What it is"), short)]  # fmt: skip


def _columns(layout: RecordLayout) -> list[str]:
    rows = []
    for first, columns in _runs(layout.columns):
        last = first + len(columns) - 1
        one = columns[0]
        name = _spanned(columns)
        where = str(first) if first == last else f"{first}–{last}"
        rows.append((where, name, one.form, one.use, one.list.name if one.list else "", "key" if one.key else ""))
    return _table(("No.", "Column", "Type", "Use", "List", "Key"), rows)


def _spanned(columns: Sequence[Column]) -> str:
    first, last = columns[0].name, columns[-1].name
    return f"`{first}`" if first == last else f"`{first}` … `{last}`"


def _runs(columns: Sequence[Column]) -> list[tuple[int, list[Column]]]:
    """Return columns with their number, those that are alike and counted through (``spare_1``, ``spare_2``) as one."""
    runs: list[tuple[int, list[Column]]] = []
    for number, column in enumerate(columns, start=1):
        if runs and _continues(runs[-1][1][-1], column):
            runs[-1][1].append(column)
        else:
            runs.append((number, [column]))
    return runs


def _continues(before: Column, column: Column) -> bool:
    one, two = _NUMBERED.fullmatch(before.name), _NUMBERED.fullmatch(column.name)
    if one is None or two is None or (one[1], int(one[2]) + 1) != (two[1], int(two[2])):
        return False
    return (before.form, before.use, before.list, before.key) == (column.form, column.use, column.list, column.key)


def _lists(profile: Profile) -> list[str]:
    rows = [
        (f"`{name}`", ", ".join(sorted(one.values)), "refused (R104)" if one.closed else "kept with a warning (R109)")
        for name, one in profile.lists.items()
    ]
    return _table(("List", "Values", "Another value is"), rows)


def _dropped(profile: Profile) -> list[str]:
    rows = []
    for name, layout in profile.records.items():
        spans = [_spanned(columns) for _, columns in _runs(layout.columns) if columns[0].use == "I"]
        if spans:
            rows.append((f"`{name}`", ", ".join(spans)))
    return _table(("Record", "Columns that may be filled and never leave the parser"), rows)
