"""Writes files. What is written here, the reader reads back equal."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.esr.lines import MAX_LINE_BYTES
from shared.esr.profile import Profile


def write_file(
    profile: Profile,
    kind: str,
    *,
    vpd: str,
    date: date,  # the day in the file's name
    seq: int,
    created: datetime,
    previous_run: datetime | None,
    current_run: datetime,
    records: Iterable[tuple[str, Mapping[str, str]]],
    interface_version: str = "01",
) -> bytes:
    """A whole file: header, records in the order given, trailer.

    ``records`` are pairs of record type and fields in the form the reader gives. Times are naive and local; a None
    ``previous_run`` is written as the null timestamp. The short header of a request holds ``current_run`` only.

    Raises RecordError for a record that cannot be written (a field missing, too long, not a date, with a character
    no file can carry), and ValueError for what the caller got wrong: a kind, record type or field the profile does
    not have, an unsupported version, times with a zone.
    """
    if kind not in profile.kinds:
        raise ValueError(f"{kind} is not a kind of profile {profile.name}")
    if interface_version not in profile.interface_versions:
        raise ValueError(f"interface version {interface_version} is not in profile {profile.name}")
    name = profile.file_name(vpd, kind, date, seq)
    stamp = profile.syntax.timestamps.write
    header = {
        "file_name": name,
        "created": stamp(created),
        "vpd": vpd,
        "previous_run": profile.syntax.null_timestamp if previous_run is None else stamp(previous_run),
        "current_run": stamp(current_run),
        "interface_version": interface_version,
        "as_at": stamp(current_run),
    }
    lines = [_control_line(profile, profile.kinds[kind].header, header)]
    lines.extend(
        _record_line(profile, kind, code, fields, position) for position, (code, fields) in enumerate(records, start=1)
    )
    trailer = profile.kinds[kind].trailer
    if trailer is not None:
        count = len(lines) + 1 if profile.trailer_count == "all_lines" else len(lines) - 1
        lines.append(_control_line(profile, trailer, {"record_count": str(count)}))
    end = profile.syntax.line_ending
    return (end.join(lines) + end).encode(profile.encoding)


def _control_line(profile: Profile, name: str, values: Mapping[str, str]) -> str:
    layout = profile.records[name]
    return profile.delimiter.join((layout.code, *(values.get(column.name, "") for column in layout.columns[1:])))


def _record_line(profile: Profile, kind: str, code: str, fields: Mapping[str, str], position: int) -> str:
    if code not in profile.kinds[kind].records:
        raise ValueError(f"{code} is not a record of {kind} files")
    row = profile.rows[code]
    for fault in row.check(fields):
        if fault.code == RecordCode.R108:
            raise ValueError(fault.text)
        if not fault.warning:
            raise RecordError(fault.code, f"Record {position} ({code}): {fault.text}.")
    line = row.line(fields)
    if len(line.encode(profile.encoding)) + len(profile.syntax.line_ending) > MAX_LINE_BYTES:
        raise RecordError(RecordCode.R102, f"Record {position} ({code}) is too long for a line.")
    return line
