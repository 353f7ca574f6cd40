"""The contract of what leaves: a file is read by our own reader, as strictly as any that comes in, before it is sent.

A specification and its implementation once disagreed about the digits of a VPD, and a trust's data lead noticed first
(HEE's TIS-ESR). Here a trust's VPD is proved against its profile before anything is written, and each file after it.
"""

from datetime import date
from pathlib import Path

from shared.errors import ConfigurationError, FileRefusedError
from shared.esr.faults import Fault, RecordCode
from shared.esr.profile import Profile
from shared.esr.reader import read_records
from shared.esr.structure import check_structure

#: Any day will do to see whether a name can be spelt.
_SOME_DAY = date(2026, 3, 2)


def prove_file(profile: Profile, name: str, content: Path | bytes, *, vpd: str) -> None:
    """Read a file that is about to go to ESR, in bounded memory; return if ESR will find nothing wrong with its form.

    Raises FileRefusedError with the first fault: of the file (``F...``), or of a record (``R...``, warnings apart). A
    record type that files of its kind do not have is a fault here. The sentence holds no value from the file.
    """
    found = check_structure(content, profile, name=name, vpd=vpd, flow="lms_to_esr", max_faults=1)
    if found.faults:
        raise _refusal(found.faults[0])
    for record in read_records(content, profile, name=name):
        if record.ignored:
            text = f"Record type {record.code} does not belong into this kind of file"
            raise _refusal(Fault(RecordCode.R105, record.line, None, text))
        for fault in record.faults:
            if not fault.warning:
                raise _refusal(fault)


def _refusal(fault: Fault) -> FileRefusedError:
    return FileRefusedError(fault.code, f"Line {fault.line}: {fault.text}." if fault.line else f"{fault.text}.")


def check_vpd(profile: Profile, vpd: str) -> None:
    """Prove that a trust's VPD fits its profile: every kind of file can be named, and every column for it filled.

    Raises ConfigurationError with a sentence that names what does not fit.
    """
    for code in sorted(profile.kinds):
        try:
            profile.file_name(vpd, code, _SOME_DAY, profile.names.lowest[code])
        except ValueError as error:
            raise ConfigurationError(
                f"VPD {vpd!r} does not fit profile {profile.name}: {code} files are named {profile.names.form}"
                f" by {profile.names.pattern.pattern}."
            ) from error
    for name, layout in profile.records.items():
        for column in layout.columns:
            too_long = column.type == "X" and len(vpd) > column.length
            not_exact = column.type in ("F", "L") and len(vpd) != column.length
            if column.name in ("vpd", "vpd_code") and (too_long or not_exact):
                raise ConfigurationError(
                    f"VPD {vpd!r} does not fit profile {profile.name}: {column.name} of {name} is {column.form}."
                )
