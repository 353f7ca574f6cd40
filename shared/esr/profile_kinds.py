"""Turns the kinds of a profile's YAML into kinds of file. Raises ConfigurationError for any mistake."""

from collections.abc import Mapping
from typing import cast, get_args

from shared.errors import ConfigurationError
from shared.esr.layout import Flow, Kind, Mode, RecordLayout
from shared.esr.profile_parts import RECORD_TYPE
from shared.esr.yaml_source import Section

#: What a header line holds: the long form, or the short one of a request.
_LONG_HEADER = {"file_name", "created", "vpd", "previous_run", "current_run", "interface_version"}
_SHORT_HEADER = {"file_name", "as_at"}
_TRAILER = ["record_type", "record_count"]
#: The counter of requests: they all have the number 1.
_REQUESTS = "fixed_1"
_KIND_SETTINGS = ("flow", "mode", "counter", "confirmed_by", "confirms", "header", "trailer", "seed")


def read_kinds(
    section: Section, holds: Section, routing: Section, records: Mapping[str, RecordLayout]
) -> tuple[dict[str, Kind], frozenset[str]]:
    """The kinds of file by code, and the record types that are passed over without a word."""
    kinds = {code: _kind(section.section(code), code, holds, routing, records) for code in section}
    for kind in kinds.values():
        _check_relations(f"{section.place}, {kind.code}", kind, kinds, records)
    for code in holds:
        if code not in kinds and code != "ignore_silently":
            raise ConfigurationError(f"{holds.place}: {code} is not a kind of this profile.")
    ignored = frozenset(holds.texts("ignore_silently", ()))
    for code in ignored:
        if not RECORD_TYPE.fullmatch(code):
            raise ConfigurationError(f"{holds.place}: {code!r} is not a record type.")
    for code in ignored & records.keys():
        raise ConfigurationError(f"{holds.place}: {code} has a layout, so it cannot be ignored silently.")
    return kinds, ignored


def _kind(entry: Section, code: str, holds: Section, routing: Section, records: Mapping[str, RecordLayout]) -> Kind:
    entry.only(_KIND_SETTINGS)
    types = holds.texts(code, ())
    for name in types:
        if name not in records:
            raise ConfigurationError(f"{holds.place}, {code}: unknown record {name}.")
        if records[name].code != name or name not in routing:
            raise ConfigurationError(f"{holds.place}, {code}: {name} has no entry in routing (none if it is not used).")
    header, trailer = entry.text("header"), entry.text("trailer")
    _check_control_lines(entry.place, header, trailer, records)
    mode = cast("Mode", entry.one_of("mode", get_args(Mode)))
    return Kind(
        code=code,
        flow=cast("Flow", entry.one_of("flow", get_args(Flow))),
        mode=mode,
        counter=entry.one_of("counter", (_REQUESTS,)) if mode == "request" else entry.text("counter"),
        header=header,
        trailer=None if trailer == "none" else trailer,
        records=frozenset(types),
        confirmed_by=entry.text("confirmed_by") if "confirmed_by" in entry else None,
        confirms=entry.texts("confirms", ()),
        seed=entry.text("seed") if "seed" in entry else None,
    )


def _check_relations(place: str, kind: Kind, kinds: Mapping[str, Kind], records: Mapping[str, RecordLayout]) -> None:
    for other in (*kind.confirms, *filter(None, [kind.confirmed_by, kind.seed])):
        if other not in kinds:
            raise ConfigurationError(f"{place}: {other} is not a kind of this profile.")
    if any(kinds[other].confirmed_by != kind.code for other in kind.confirms) or (
        kind.confirmed_by is not None and kind.code not in kinds[kind.confirmed_by].confirms
    ):
        raise ConfigurationError(f"{place}: confirms and confirmed_by do not fit each other.")
    if kind.seed is not None:
        full = kinds[kind.seed]
        if kind.mode != "request" or full.mode != "full" or _width(records, kind) == _width(records, full):
            raise ConfigurationError(f"{place}: seed stands at a request and names a full kind with another header.")


def _width(records: Mapping[str, RecordLayout], kind: Kind) -> int:
    return len(records[kind.header].columns)


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
