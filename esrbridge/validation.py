"""``esrbridge validate``: checks files offline, changes nothing, and never shows a value."""

from pathlib import Path
from typing import Any

from rich.progress import Progress

from esrbridge.codes import advice
from shared.errors import ConfigurationError
from shared.esr.faults import Fault
from shared.esr.profile import Profile, load_profile
from shared.esr.validate import validate_file


def validate_path(path: Path, profile: str, vpd: str | None, bars: Progress) -> list[dict[str, Any]]:
    """Check one file, or every file of a folder in the order of their names; return one result a file.

    Raises ConfigurationError for an unknown profile, an empty folder or a file that cannot be read.
    """
    loaded = load_profile(profile)
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    if not files:
        raise ConfigurationError(f"{path} holds no files")
    return [_validate(file, loaded, vpd, bars) for file in files]


def _validate(file: Path, profile: Profile, vpd: str | None, bars: Progress) -> dict[str, Any]:
    task = bars.add_task(file.name, total=None)
    try:
        found = validate_file(file, profile, vpd=vpd, progress=lambda done: bars.update(task, completed=done))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
    bars.update(task, total=1, completed=1)
    return {
        "file": file.name,
        "profile": profile.name,
        "status": found.status,
        "records_by_type": dict(found.records_by_type),
        "records": found.structure.data_records,
        "faulty_records": found.faulty_records,
        "ignored_records": found.ignored,
        "faults_by_code": dict(found.fault_counts),
        "faults": [_fault(fault) for fault in found.faults],
        "sha256": found.structure.sha256,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "line": fault.line,
        "column": fault.column,
        "code": fault.code,
        "text": fault.text,
        "advice": advice(fault.code),
        "warning": fault.warning,
    }
