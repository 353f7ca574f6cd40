"""How the sandbox's ESR reads a completion file (CMP) and words its confirmation (CMC)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sandbox.esr_answers import Judge, Verdict
from sandbox.esr_format import (
    INTERFACE_VERSION,
    LAYOUTS,
    NEVER,
    FileName,
    is_moment,
    line,
    lines_of,
    parse_name,
    split,
)
from sandbox.esr_ledger import Ledger
from sandbox.esr_mail import Answer, Mail
from shared.errors import FileRefusedError

EXPECTED: Final = "next CMP"


@dataclass(frozen=True, slots=True)
class Line:
    """The verdict on one record, with what the confirmation repeats of it."""

    position: int
    kind: str
    reference: str
    verdict: Verdict

    def answer(self, confirmation: str) -> Answer:
        """Return the same for the post book."""
        said = self.verdict
        return Answer(
            confirmation, self.position, self.reference, said.status, said.code, said.person_id, said.element_id
        )

    def record(self) -> str:
        """Return the CFD record; only a success has an id of ESR's own."""
        said = self.verdict
        return line(
            "CFD",
            {
                "record_position": str(self.position),
                "confirmed_record_type": self.kind,
                "echoed_reference": self.reference,
                "load_status": said.status,
                "message_type": said.kind,
                "message_code": said.code,
                "message_text": said.text,
                "person_id": said.person_id,
                "esr_record_id": said.element_id,
            },
        )


def check_repeat(name: str, mail: Mail) -> None:
    """Raise FileRefusedError when a file of this name was answered before, whatever this one holds."""
    if mail.is_name_known(name):
        raise FileRefusedError("F007", "File already loaded; ignored")


def open_file(name: str, content: bytes, vpd: str, ledger: Ledger) -> list[list[str]]:
    """Return the fields of each record of a completion file; raises FileRefusedError when the file breaks the format.

    The sequence counter starts at 1. A refused file uses its number up, and after a gap the count goes on from the
    number received: what was in a refused or missing file has to come again in a new one.
    """
    parts = parse_name(name)
    if parts is None or parts.kind != "CMP":
        raise FileRefusedError("F001", "File name does not follow the profile")
    if parts.vpd != vpd:
        raise FileRefusedError("F004", f"VPD {parts.vpd} is not configured for this connection")
    _check_sequence(parts, ledger)
    lines = [split(one) for one in lines_of(content)]
    _check_header(lines[:1], name, vpd)
    records = lines[1:-1]
    if len(lines) < 2 or lines[-1] != ["TRL", str(len(records))]:
        raise _bad_trailer(lines[1:])
    for position, fields in enumerate(records, start=1):
        expected = len(LAYOUTS.get(fields[0], fields[1:])) + 1
        if len(fields) != expected:
            text = f"Line {position + 1}: {fields[0]} has {len(fields)} columns, {expected} expected"
            raise FileRefusedError("F010", text)
    return records


def _check_sequence(parts: FileName, ledger: Ledger) -> None:
    expected = int(ledger.setting(EXPECTED) or 1)
    ledger.set(EXPECTED, str(max(expected, parts.sequence + 1)))
    if parts.sequence != expected:
        raise FileRefusedError("F006", f"Sequence gap: expected {expected}, received {parts.sequence}; file held")


def _check_header(first: list[list[str]], name: str, vpd: str) -> None:
    header = first[0] if first else []
    # The first file of a sender follows no other: its previous run is the null timestamp, as in a full file.
    times = [*header[2:3], *header[5:6], *(one for one in header[4:5] if one != NEVER)]
    if len(header) != 7 or header[0] != "HDR" or not all(map(is_moment, times)):
        raise FileRefusedError("F002", "Header missing or has the wrong number of columns")
    if header[1].upper() != name.upper():
        raise FileRefusedError("F003", "File name in the header differs from the file's name")
    if header[3] != vpd:
        raise FileRefusedError("F004", f"VPD {header[3]} is not configured for this connection")
    if header[6] != INTERFACE_VERSION:
        raise FileRefusedError("F009", f"Interface version {header[6]} not supported")


def _bad_trailer(after_header: list[list[str]]) -> FileRefusedError:
    found = [one for one in after_header if one[0] != "TRL"]
    trailers = [one for one in after_header if one[0] == "TRL"]
    stated = trailers[0][1] if trailers and len(trailers[0]) == 2 else "none"
    return FileRefusedError("F005", f"Trailer missing or count {stated} differs from {len(found)} records")


def judge_all(records: list[list[str]], ledger: Ledger, vpd: str, now: datetime) -> list[Line]:
    """Return the verdict on every record of a sound file, in file order."""
    judge = Judge(ledger, vpd, now)
    return [
        Line(position, fields[0], fields[1] if len(fields) > 1 else "", judge.judge(fields))
        for position, fields in enumerate(records, start=1)
    ]


def summary(name: str, lines: list[Line]) -> str:
    """Return the CFH record of a file that was read: what became of its records, added up."""
    failed = sum(one.verdict.status == "FAIL" for one in lines)
    warned = sum(one.verdict.status == "SUCCESS" and one.verdict.kind == "WARNING" for one in lines)
    values = {
        "confirmed_file": name,
        "file_status": "PARTIAL" if failed else "SUCCESS",
        "records_read": str(len(lines)),
        "records_success": str(len(lines) - failed),
        "records_warning": str(warned),
        "records_failed": str(failed),
    }
    if failed:
        text = f"{failed} of {len(lines)} records {'was' if failed == 1 else 'were'} not loaded"
        values |= {"message_type": "WARNING", "message_code": "F000", "message_text": text}
    return line("CFH", values)


def refused(name: str, refusal: FileRefusedError) -> str:
    """Return the CFH record of a file of which nothing was loaded."""
    repeat = refusal.file_code == "F007"
    return line(
        "CFH",
        {
            "confirmed_file": name,
            "file_status": "DUPLICATE" if repeat else "FAIL",
            "records_read": "0",
            "records_success": "0",
            "records_warning": "0",
            "records_failed": "0",
            "message_type": "WARNING" if repeat else "ERROR",
            "message_code": refusal.file_code,
            "message_text": refusal.sentence,
        },
    )
