"""The header line of a file: who sent what, and which span of time it covers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.esr.faults import Fault, FaultList, FileCode
from shared.esr.layout import FileName, Kind
from shared.esr.profile import Profile

_SHORT_VPD = re.compile(r"[0-9]{1,6}")
_TIMES = ("created", "previous_run", "current_run", "as_at")


@dataclass(frozen=True, slots=True)
class Header:
    """The header line. Times are naive and local; ``previous_run`` is None in a full file.

    A request's short header has one time, which stands in ``created`` and ``current_run``; its VPD is the name's and
    its ``interface_version`` is empty.
    """

    file_name: str
    created: datetime
    vpd: str
    previous_run: datetime | None
    current_run: datetime
    interface_version: str


def read_header(
    profile: Profile, name: FileName, kind: Kind, body: bytes, line: int, faults: FaultList
) -> Header | None:
    """The header, with every fault in it added to ``faults`` (F002, F003, F004, F009); None if it is not readable.

    A full file that is named like the request it answers may name itself either way in its header.
    """
    layout = profile.records[kind.header]
    parts = body.decode(profile.encoding, "replace").split(profile.delimiter)
    if len(parts) != len(layout.columns):
        text = f"Header has {len(parts)} columns, {len(layout.columns)} expected"
        faults.add(Fault(FileCode.F002, line, None, text))
        return None
    values = {column.name: part for column, part in zip(layout.columns, parts, strict=True)}
    names = {name.name.upper(), profile.file_name(name.vpd, kind.code, name.date, name.seq).upper()}
    for code, column, text in _identity(profile, name, names, values):
        faults.add(Fault(code, line, column, text))
    times = {column: profile.syntax.timestamp_to_iso(values[column]) for column in _TIMES if column in values}
    bad = [column for column, iso in times.items() if iso is None or (iso == "" and column != "previous_run")]
    for column in bad:
        faults.add(Fault(FileCode.F002, line, column, f"{column} in the header is not a valid time"))
    if bad:
        return None
    moments = {column: datetime.fromisoformat(iso) for column, iso in times.items() if iso}
    as_at = moments.get("as_at")
    return Header(
        file_name=values["file_name"],
        created=as_at or moments["created"],
        vpd=values.get("vpd", name.vpd),
        previous_run=moments.get("previous_run"),
        current_run=as_at or moments["current_run"],
        interface_version=values.get("interface_version", ""),
    )


def _identity(
    profile: Profile, name: FileName, names: set[str], values: Mapping[str, str]
) -> list[tuple[FileCode, str, str]]:
    found = []
    if values["file_name"].upper() not in names:
        text = f"File name in the header differs from the file's name {name.name}"
        found.append((FileCode.F003, "file_name", text))
    vpd = values.get("vpd", name.vpd)
    if vpd != name.vpd:
        shown = f" {vpd}" if _SHORT_VPD.fullmatch(vpd) else ""
        text = f"VPD{shown} in the header differs from VPD {name.vpd} in the file's name"
        found.append((FileCode.F004, "vpd", text))
    versions = profile.interface_versions
    if "interface_version" in values and values["interface_version"] not in versions:
        text = f"Interface version is not supported; expected {' or '.join(versions)}"
        found.append((FileCode.F009, "interface_version", text))
    return found
