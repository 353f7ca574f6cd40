"""Writes files. What is written here, the reader reads back equal."""

import io
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import BinaryIO

from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.esr.lines import MAX_LINE_BYTES
from shared.esr.profile import Profile

#: Every request has the same number (GO: the request for a full file is always 00000001); ``counter: fixed_1``.
REQUEST_NUMBER = 1


def write_file(
    profile: Profile,
    kind: str,
    *,
    vpd: str,
    date: date,
    seq: int,
    created: datetime,
    previous_run: datetime | None,
    current_run: datetime,
    records: Iterable[tuple[str, Mapping[str, str]]],
    interface_version: str | None = None,
) -> bytes:
    """A whole file in memory; see ``write_records``."""
    target = io.BytesIO()
    write_records(
        target,
        profile,
        kind,
        vpd=vpd,
        date=date,
        seq=seq,
        created=created,
        previous_run=previous_run,
        current_run=current_run,
        records=records,
        interface_version=interface_version,
    )
    return target.getvalue()


def write_records(
    target: BinaryIO,
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
    interface_version: str | None = None,
) -> int:
    """Write header, records in the order given, and trailer; return how many records were written.

    Memory does not grow with the number of records. ``records`` are pairs of record type and fields in the form the
    reader gives. Times are naive and local; a None ``previous_run`` is written as the null timestamp. The short header
    of a request holds ``current_run`` only. Without ``interface_version`` the profile's first is written.

    Raises RecordError for a record that cannot be written (a field missing, too long, not a date, with a character
    no file can carry); ``target`` then holds a part of a file. Raises ValueError for what the caller got wrong: a kind,
    record type or field the profile does not have, an unsupported version, times with a zone, a numbered request.
    """
    if kind not in profile.kinds:
        raise ValueError(f"{kind} is not a kind of profile {profile.name}")
    version = profile.interface_versions[0] if interface_version is None else interface_version
    if version not in profile.interface_versions:
        raise ValueError(f"interface version {version} is not in profile {profile.name}")
    if profile.kinds[kind].mode == "request" and seq != REQUEST_NUMBER:
        raise ValueError(f"a {kind} file always has the number {REQUEST_NUMBER}")
    stamp = profile.syntax.timestamps.write
    header = {
        "file_name": profile.file_name(vpd, kind, date, seq),
        "created": stamp(created),
        "vpd": vpd,
        "previous_run": profile.syntax.null_timestamp if previous_run is None else stamp(previous_run),
        "current_run": stamp(current_run),
        "interface_version": version,
        "as_at": stamp(current_run),
    }
    end = profile.syntax.line_ending

    def put(line: str) -> None:
        target.write((line + end).encode(profile.encoding))

    put(_control_line(profile, profile.kinds[kind].header, header))
    count = 0
    for code, fields in records:
        count += 1
        put(_record_line(profile, kind, code, fields, count))
    trailer = profile.kinds[kind].trailer
    if trailer is not None:
        counted = count + 2 if profile.trailer_count == "all_lines" else count
        put(_control_line(profile, trailer, {"record_count": str(counted)}))
    return count


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
