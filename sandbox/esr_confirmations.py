"""How the sandbox's ESR reads a confirmation (CTC) of one of its own feed files.

Strictly, and by its own code: a confirmation that does not add up, or speaks of a record that was never sent at that
place, is broken as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.esr_format import ENCODING, INTERFACE_VERSION, LAYOUTS, NEVER, FileName, is_moment, parse_name, split

Sent = Callable[[str], Sequence[tuple[str, str]] | None]
"""From a feed file's name to the (record type, key) of each record as it was sent; None for a file never sent."""

_COUNTS: Final = ("records_read", "records_success", "records_warning", "records_failed")
_LEVELS: Final = ("", "INFO", "WARNING", "ERROR")
_LONGEST_CODE: Final = 10
_LONGEST_TEXT: Final = 200


class BrokenReturnError(ValueError):
    """A file that came back breaks the format; the text says how and holds no more than names, counts and ids."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a confirmation says of one feed file as a whole."""

    confirmation: str
    file: str
    status: str
    records_read: int
    records_success: int
    records_warning: int
    records_failed: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that was not loaded: its place in the feed file, and why."""

    position: int
    code: str


def read_confirmation(name: str, content: bytes, vpd: str, sent: Sent) -> tuple[Confirmed, list[Refused]]:
    """Return what a confirmation says. Raises BrokenReturnError."""
    records = _open(name, content, vpd)
    confirmed = _read_summary(name, records[0])
    known = sent(confirmed.file)
    if known is None:
        raise BrokenReturnError(f"confirms {confirmed.file}, which was never sent")
    if confirmed.status in ("SUCCESS", "PARTIAL") and confirmed.records_read != len(known):
        raise BrokenReturnError(f"{confirmed.records_read} records read, {len(known)} were sent")
    return confirmed, _read_details(confirmed, records[1:], known)


def check_name(name: str, kind: str, vpd: str) -> FileName:
    """Return the parts of a name that is spelt as the format has it. Raises BrokenReturnError."""
    parts = parse_name(name)
    if parts is None or str(parts) != name or parts.kind != kind:
        raise BrokenReturnError("the name is not spelt as the format has it")
    if parts.vpd != vpd:
        raise BrokenReturnError(f"VPD {parts.vpd} is not this trust's")
    return parts


def strict_lines(content: bytes) -> list[str]:
    """Return the lines of a file each of which ends with CR LF. Raises BrokenReturnError."""
    *lines, rest = content.decode(ENCODING).split("\r\n")
    if rest or not all(lines) or any("\r" in one or "\n" in one for one in lines):
        raise BrokenReturnError("not every line ends with CR LF, or one is blank")
    return lines


def _open(name: str, content: bytes, vpd: str) -> list[dict[str, str]]:
    """Return the records between a sound header and a sound trailer: one CFH, then CFDs."""
    parts = check_name(name, "CTC", vpd)
    lines = [split(one) for one in strict_lines(content)]
    header = lines[0] if lines else []
    if len(header) != 7 or header[0] != "HDR" or header[6] != INTERFACE_VERSION:
        raise BrokenReturnError("the header is not HDR with seven columns and version 01")
    _, stated, created, of_trust, previous, current, _ = header
    if stated != name or of_trust != vpd:
        raise BrokenReturnError("the header names another file or trust")
    if not is_moment(created) or not is_moment(current) or not (previous == NEVER or is_moment(previous)):
        raise BrokenReturnError("the header holds something that is no time")
    if previous > current or current[:8] != f"{parts.day:%Y%m%d}":
        raise BrokenReturnError("the header's runs go backwards, or end on another day than the name's")
    body = lines[1:-1]
    if len(lines) < 2 or lines[-1] != ["TRL", str(len(body))]:
        raise BrokenReturnError(f"the trailer does not count {len(body)} records")
    if not body or [fields[0] for fields in body] != ["CFH", *["CFD"] * (len(body) - 1)]:
        raise BrokenReturnError("a confirmation is one CFH and then CFD only")
    return [_named(position, fields) for position, fields in enumerate(body, start=1)]


def _named(position: int, fields: list[str]) -> dict[str, str]:
    columns = LAYOUTS[fields[0]]
    if len(fields) != len(columns) + 1:
        raise BrokenReturnError(f"record {position}: {fields[0]} has {len(fields)} columns, not {len(columns) + 1}")
    said = dict(zip(columns, fields[1:], strict=True))
    if said["message_type"] not in _LEVELS or bool(said["message_type"]) != bool(said["message_code"]):
        raise BrokenReturnError(f"record {position}: message type and code do not go together")
    if len(said["message_code"]) > _LONGEST_CODE or len(said["message_text"]) > _LONGEST_TEXT:
        raise BrokenReturnError(f"record {position}: message code or text is too long")
    return said


def _read_summary(name: str, said: dict[str, str]) -> Confirmed:
    if not all(said[column].isascii() and said[column].isdigit() for column in _COUNTS):
        raise BrokenReturnError("CFH: a count is not a number")
    read, success, warning, failed = (int(said[column]) for column in _COUNTS)
    if read != success + failed or warning > success:
        raise BrokenReturnError(f"CFH: {read} read, {success} loaded ({warning} with a warning), {failed} failed")
    status = said["file_status"]
    fits = {
        "SUCCESS": not failed and said["message_type"] != "ERROR",
        "PARTIAL": bool(failed) and said["message_type"] == "WARNING",
        "FAIL": not read and said["message_type"] == "ERROR",
        "DUPLICATE": not read and said["message_type"] == "WARNING",
    }
    if not fits.get(status, False):
        raise BrokenReturnError(f"CFH: status {status or 'blank'} does not go with its counts and message")
    return Confirmed(name, said["confirmed_file"], status, read, success, warning, failed)


def _read_details(
    confirmed: Confirmed, details: Sequence[dict[str, str]], known: Sequence[tuple[str, str]]
) -> list[Refused]:
    """Return the records that were not loaded; each is told once, by the type and key it was sent with."""
    refused: list[Refused] = []
    last = warned = 0
    for said in details:
        position = int(said["record_position"]) if said["record_position"].isdecimal() else 0
        if not last < position <= len(known):
            raise BrokenReturnError(f"CFD: record {said['record_position']} is out of order or was never sent")
        last = position
        if (said["confirmed_record_type"], said["echoed_reference"]) != known[position - 1]:
            raise BrokenReturnError(f"CFD: another record than this was sent at place {position}")
        if said["load_status"] == "FAIL" and said["message_type"] == "ERROR" and not said["esr_record_id"]:
            refused.append(Refused(position, said["message_code"]))
        elif said["load_status"] == "SUCCESS" and said["message_type"] in ("WARNING", "INFO"):
            warned += said["message_type"] == "WARNING"
        else:
            raise BrokenReturnError(f"CFD: record {position} is neither refused with an error nor warned of")
    if len(refused) != confirmed.records_failed or warned > confirmed.records_warning:
        raise BrokenReturnError(f"CFH counts {confirmed.records_failed} failed, {len(refused)} are told")
    return refused
