"""Turns lists and records of a profile's YAML into layouts. Raises ConfigurationError for any mistake."""

import re
from collections.abc import Mapping

from shared.errors import ConfigurationError
from shared.esr.layout import Column, RecordLayout, ValueList
from shared.esr.yaml_source import Section

_COLUMN = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*) (?P<type>[A-Z]+)(?:\((?P<length>[0-9]+)(?:,(?P<scale>[0-9]+))?\))?"
    r" (?P<use>[A-Z])(?: @(?P<list>[a-z0-9_]+))?(?P<key> key)?"
)
_SIZED = frozenset({"X", "F", "N", "L"})
_DATED = frozenset({"D", "T", "DT"})
RECORD_TYPE = re.compile(r"[A-Z][A-Z0-9]*")
_ROUTING = re.compile(r"(?P<entity>[a-z][a-z_]*)\.(?P<action>upsert|delete)")
_NOT_ROUTED = "none"


def read_lists(section: Section) -> dict[str, ValueList]:
    """The lists of values that columns refer to with ``@name``."""
    lists = {}
    for name in section:
        entry = section.section(name)
        entry.only(("values", "closed"))
        values = frozenset(entry.texts("values"))
        lists[name] = ValueList(name, values, entry.flag("closed", default=False))
    return lists


def read_records(section: Section, routing: Section, lists: Mapping[str, ValueList]) -> dict[str, RecordLayout]:
    """The record layouts by name. Control lines may share a code: ``HDR_SHORT`` is another form of ``HDR``."""
    records = {}
    for name in section:
        place = f"{section.place}, {name}"
        columns = _columns(place, section.texts(name), lists)
        code = name.split("_", maxsplit=1)[0]
        if not RECORD_TYPE.fullmatch(code):
            raise ConfigurationError(f"{place}: a record type is written in capitals and digits.")
        first = columns[0]
        if (first.name, first.type, first.length) != ("record_type", "F", len(code)):
            raise ConfigurationError(f"{place}: the first column must be record_type F({len(code)}) M.")
        key = tuple(column.name for column in columns if column.key)
        records[name] = RecordLayout(code, columns, key, _routing(routing, name))
    for name in routing:
        if name not in records:
            raise ConfigurationError(f"{routing.place}: {name} is not a record of this profile.")
    _check_deletes(section.place, records)
    _refuse_unused(lists, records)
    return records


def _routing(routing: Section, name: str) -> str:
    if name not in routing:
        return ""
    words = routing.text(name)
    if words == _NOT_ROUTED:
        return ""
    if not _ROUTING.fullmatch(words):
        raise ConfigurationError(f"{routing.place}: {name} must read like person.upsert or person.delete, or none.")
    return words


def _check_deletes(place: str, records: Mapping[str, RecordLayout]) -> None:
    """A delete names one id and removes all its date slices; a profile that means otherwise is not understood."""
    keys = {layout.routing: layout.key for layout in records.values() if layout.routing}
    for routing, key in keys.items():
        entity, _, action = routing.partition(".")
        upsert = keys.get(f"{entity}.upsert", ())
        if action == "delete" and (len(key) != 1 or upsert[:1] != key):
            raise ConfigurationError(
                f"{place}: the record of {routing} must have one key column, the first key of {entity}.upsert:"
                " a delete names one id and removes all its date slices."
            )


def _refuse_unused(lists: Mapping[str, ValueList], records: Mapping[str, RecordLayout]) -> None:
    used = {column.list.name for layout in records.values() for column in layout.columns if column.list is not None}
    for name in lists:
        if name not in used:
            raise ConfigurationError(f"The list {name} stands at no column.")


def _columns(place: str, lines: tuple[str, ...], lists: Mapping[str, ValueList]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for number, line in enumerate(lines, start=1):
        column = _column(f"{place}, column {number}", line, lists)
        if any(other.name == column.name for other in columns):
            raise ConfigurationError(f"{place}, column {number}: {column.name} is given twice.")
        columns.append(column)
    if not columns:
        raise ConfigurationError(f"{place} has no columns.")
    return tuple(columns)


def _column(place: str, line: str, lists: Mapping[str, ValueList]) -> Column:
    match = _COLUMN.fullmatch(line)
    if match is None:
        raise ConfigurationError(f'{place}: {line!r} is not of the form "name TYPE USE [@list] [key]".')
    form, use, list_name = match["type"], match["use"], match["list"]
    length, scale = int(match["length"] or 0), int(match["scale"] or 0)
    if form not in _SIZED | _DATED:
        raise ConfigurationError(f"{place}: unknown type {form}; known are D, DT, F, L, N, T, X.")
    if (form in _SIZED) != (length > 0) or scale > length or (scale and form != "N"):
        raise ConfigurationError(f"{place}: {line!r} has a length that does not fit its type.")
    if use not in ("M", "C", "O", "I", "U"):
        raise ConfigurationError(f"{place}: unknown use {use}; known are M, C, O, I, U.")
    if match["key"] and use in ("I", "U"):
        raise ConfigurationError(f"{place}: a key column must be kept, so its use cannot be {use}.")
    if list_name is not None and (list_name not in lists or form in _DATED):
        raise ConfigurationError(f"{place}: @{list_name} is not a list of this profile, or stands at a date.")
    values = lists[list_name] if list_name is not None else None
    # The patterns above leave only the literals of Column.
    return Column(match["name"], form, length, scale, use, values, bool(match["key"]))  # type: ignore[arg-type]
