"""Turns the sections of a profile's YAML into the parts of a profile. Raises ConfigurationError for any mistake."""

import re
from collections.abc import Mapping
from typing import cast, get_args

from shared.errors import ConfigurationError
from shared.esr.layout import Column, Flow, Kind, Mode, RecordLayout, ValueList
from shared.esr.yaml_source import Section

#: What a header line holds: the long form, or the short one of a request.
_LONG_HEADER = {"file_name", "created", "vpd", "previous_run", "current_run", "interface_version"}
_SHORT_HEADER = {"file_name", "as_at"}
_TRAILER = ["record_type", "record_count"]
_COLUMN = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*) (?P<type>[A-Z]+)(?:\((?P<length>[0-9]+)(?:,(?P<scale>[0-9]+))?\))?"
    r" (?P<use>[A-Z])(?: @(?P<list>[a-z0-9_]+))?(?P<key> key)?"
)
_SIZED = frozenset({"X", "F", "N", "L"})
_DATED = frozenset({"D", "T", "DT"})
_ROUTING = re.compile(r"[a-z][a-z_]*\.(upsert|delete)")
_KIND_SETTINGS = ("flow", "mode", "counter", "confirmed_by", "confirms", "header", "trailer")


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
        first = columns[0]
        if (first.name, first.type, first.length) != ("record_type", "F", len(code)):
            raise ConfigurationError(f"{place}: the first column must be record_type F({len(code)}) M.")
        key = tuple(column.name for column in columns if column.key)
        records[name] = RecordLayout(code, columns, key, _routing(routing, name))
    for name in routing:
        if name not in records:
            raise ConfigurationError(f"{routing.place}: {name} is not a record of this profile.")
    return records


def _routing(routing: Section, name: str) -> str:
    if name not in routing:
        return ""
    words = routing.text(name)
    if not _ROUTING.fullmatch(words):
        raise ConfigurationError(f"{routing.place}: {name} must read like person.upsert or person.delete.")
    return words


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


def read_kinds(
    section: Section, holds: Section, records: Mapping[str, RecordLayout]
) -> tuple[dict[str, Kind], frozenset[str]]:
    """The kinds of file by code, and the record types that are passed over without a word."""
    kinds = {code: _kind(section.section(code), code, holds, records) for code in section}
    for kind in kinds.values():
        for other in (*kind.confirms, *filter(None, [kind.confirmed_by])):
            if other not in kinds:
                raise ConfigurationError(f"{section.place}, {kind.code}: {other} is not a kind of this profile.")
    for code in holds:
        if code not in kinds and code != "ignore_silently":
            raise ConfigurationError(f"{holds.place}: {code} is not a kind of this profile.")
    ignored = frozenset(holds.texts("ignore_silently", ()))
    for code in ignored & records.keys():
        raise ConfigurationError(f"{holds.place}: {code} has a layout, so it cannot be ignored silently.")
    return kinds, ignored


def _kind(entry: Section, code: str, holds: Section, records: Mapping[str, RecordLayout]) -> Kind:
    entry.only(_KIND_SETTINGS)
    types = holds.texts(code, ())
    for name in types:
        if name not in records:
            raise ConfigurationError(f"{holds.place}, {code}: unknown record {name}.")
        if records[name].code != name or not records[name].routing:
            raise ConfigurationError(f"{holds.place}, {code}: {name} has no entry in routing.")
    header, trailer = entry.text("header"), entry.text("trailer")
    _check_control_lines(entry.place, header, trailer, records)
    return Kind(
        code=code,
        flow=cast("Flow", entry.one_of("flow", get_args(Flow))),
        mode=cast("Mode", entry.one_of("mode", get_args(Mode))),
        counter=entry.text("counter"),
        header=header,
        trailer=None if trailer == "none" else trailer,
        records=frozenset(types),
        confirmed_by=entry.text("confirmed_by") if "confirmed_by" in entry else None,
        confirms=entry.texts("confirms", ()),
    )


def _check_control_lines(place: str, header: str, trailer: str, records: Mapping[str, RecordLayout]) -> None:
    if header not in records or (trailer != "none" and trailer not in records):
        raise ConfigurationError(f"{place}: header {header} or trailer {trailer} is not a record of this profile.")
    names = {column.name for column in records[header].columns if column.kept}
    if names not in (_LONG_HEADER, _SHORT_HEADER):
        raise ConfigurationError(
            f"{place}: header {header} must hold {', '.join(sorted(_LONG_HEADER))}, or only file_name and as_at."
        )
    if trailer != "none" and [column.name for column in records[trailer].columns] != _TRAILER:
        raise ConfigurationError(f"{place}: trailer {trailer} must hold record_type and record_count.")
