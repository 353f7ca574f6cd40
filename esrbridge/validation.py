"""``esrbridge validate``: checks files offline, changes nothing, and never shows a value.

Faults are handed on as they are found, so that a file with a million of them needs no more memory than a sound one.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import typer
from rich.markup import escape
from rich.progress import Progress

from esrbridge.codes import advice
from shared.errors import ConfigurationError
from shared.esr.faults import Fault
from shared.esr.profile import Profile, load_profile
from shared.esr.validate import Validation, validate_file
from shared.lms_csv import LmsProfile, LmsValidation, is_lms_profile, load_lms_profile, validate_lms_file

PASSED_OVER: Final = "passed over"
"""Status of what is not checked, because the bridge would not take it either; it does not make the result bad."""

MAX_FAULTS: Final = 10_000
"""How many faults of a file ``--json`` lists unless told otherwise."""


class Outlet(Protocol):
    """Where results go."""

    def begin(self, name: str) -> None:
        """A file is about to be checked."""
        ...

    def fault(self, fault: Fault) -> None:
        """Something is wrong with it."""
        ...

    def end(self, result: dict[str, Any]) -> None:
        """It was checked."""
        ...


def validate_path(path: Path, profile: str, vpd: str | None, bars: Progress, outlet: Outlet) -> bool:
    """Check one file, or everything in a folder in the order of names; return whether all of it is valid.

    Raises ConfigurationError for an unknown profile and for a folder without files, OSError for one file that cannot
    be read; in a folder such a file is a result like others.
    """
    check = _checker(profile, vpd, bars)
    if not path.is_dir():
        if not path.is_file():  # a pipe would be waited for
            raise ConfigurationError(f"{path} is not a file")
        return check(path, outlet)
    fine, checked = True, 0
    for entry in sorted(path.iterdir()):
        reason = _passed_over(entry)
        if reason:
            outlet.begin(entry.name)
            outlet.end({"file": entry.name, "profile": profile, "status": PASSED_OVER, "reason": reason})
            continue
        checked += 1
        try:
            fine = check(entry, outlet) and fine
        except OSError as error:
            outlet.end({"file": entry.name, "profile": profile, "status": "unreadable", "reason": error.strerror or ""})
            fine = False
    if not checked:
        raise ConfigurationError(f"{path} holds no files")
    return fine


def _passed_over(entry: Path) -> str:
    """Return why the bridge would not take this from a folder; empty if it would."""
    if entry.is_dir():
        return "a folder; name it to check what is in it"
    if not entry.is_file():
        return "not a file"
    if entry.name.startswith(".") or entry.name.endswith((".part", ".tmp")):
        return "its name says that it is not whole yet"
    return ""


def _checker(name: str, vpd: str | None, bars: Progress) -> Callable[[Path, Outlet], bool]:
    """Return what checks a file by a profile, of ESR files or of an LMS's completion files."""
    if is_lms_profile(name):
        lms = load_lms_profile(name)
        return lambda file, outlet: _check_lms(file, lms, vpd, bars, outlet)
    esr = load_profile(name)
    return lambda file, outlet: _check_esr(file, esr, vpd, bars, outlet)


def _check_esr(file: Path, profile: Profile, vpd: str | None, bars: Progress, outlet: Outlet) -> bool:
    outlet.begin(file.name)
    task = bars.add_task(escape(file.name), total=None)

    def progress(done: int, work: int) -> None:
        bars.update(task, completed=done, total=work)

    try:
        found = validate_file(file, profile, on_fault=outlet.fault, vpd=vpd, progress=progress)
    finally:
        bars.remove_task(task)
    outlet.end(_result(file, profile.name, found))
    return found.status == "valid"


def _check_lms(file: Path, profile: LmsProfile, vpd: str | None, bars: Progress, outlet: Outlet) -> bool:
    outlet.begin(file.name)
    task = bars.add_task(escape(file.name), total=None)
    try:
        found = validate_lms_file(file, profile, vpd=vpd, progress=lambda rows: bars.update(task, completed=rows))
    finally:
        bars.remove_task(task)
    for fault in found.faults:
        outlet.fault(fault)
    outlet.end(_result(file, profile.name, found))
    return found.status == "valid"


def _result(file: Path, profile: str, found: Validation | LmsValidation) -> dict[str, Any]:
    return {
        "file": file.name,
        "profile": profile,
        "status": found.status,
        "records_by_type": dict(found.records_by_type),
        "records": found.structure.data_records,
        "faulty_records": found.faulty_records,
        "ignored_records": found.ignored,
        "faults_by_code": dict(found.fault_counts),
        "sha256": found.structure.sha256,
    }


class TextOutlet:
    """Prints each fault when it is found, and then what came of the file."""

    def __init__(self) -> None:
        self._told = 0

    def begin(self, name: str) -> None:
        """Begin with the file's name."""
        self._told = 0
        typer.echo(name)

    def fault(self, fault: Fault) -> None:
        """Print where it is, what it is and how to mend it."""
        self._told += 1
        where = f"line {fault.line}" + (f", {fault.column}" if fault.column else "")
        typer.echo(f"  {where}: {fault.code}: {fault.text}. {advice(fault.code)}")

    def end(self, result: dict[str, Any]) -> None:
        """Print the result."""
        more = sum(result.get("faults_by_code", {}).values()) - self._told
        if more:
            typer.echo(f"  and {more} more faults")
        said = result["reason"] if "reason" in result else f"{result['records']} records {result['records_by_type']}"
        typer.echo(f"{result['file']}: {result['status']}, {said}")


class JsonOutlet:
    """Prints one object, or a list of objects one after another; each lists so many faults at most.

    ``faults_not_listed`` says how many there are beyond.
    """

    def __init__(self, *, many: bool, max_faults: int) -> None:
        self._many = many
        self._max_faults = max_faults
        self._faults: list[dict[str, Any]] = []
        self._separator = "[\n"

    def begin(self, name: str) -> None:
        """Forget the faults of the file before."""
        del name
        self._faults = []

    def fault(self, fault: Fault) -> None:
        """List it while there is room."""
        if len(self._faults) < self._max_faults:
            self._faults.append(_fault(fault))

    def end(self, result: dict[str, Any]) -> None:
        """Print the object."""
        if "faults_by_code" in result:
            unlisted = sum(result["faults_by_code"].values()) - len(self._faults)
            result = result | {"faults": self._faults, "faults_not_listed": unlisted}
        said = json.dumps(result, indent=2)
        if self._many:
            typer.echo(self._separator + said, nl=False)
            self._separator = ",\n"
        else:
            typer.echo(said)

    def close(self) -> None:
        """End the list."""
        if self._many:
            typer.echo("\n]")


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "line": fault.line,
        "column": fault.column,
        "code": fault.code,
        "text": fault.text,
        "advice": advice(fault.code),
        "warning": fault.warning,
    }
