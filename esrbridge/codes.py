"""Every code there is, in one list: for advice beside a failure, and for ``docs/codes.md``."""

from typing import Final

from services.competency.renewal.warn import Code as RenewalCode
from shared import errors
from shared.accounting import REASONS
from shared.codes import Code, CompletionCode, ConfirmationCode, LmsCode, MessageCode
from shared.errors import BridgeError
from shared.esr.faults import FileCode, RecordCode
from shared.mapping_settings import MappingCode

_KINDS: Final[tuple[tuple[str, type[Code]], ...]] = (
    ("Files from ESR", FileCode),
    ("Records from and to ESR", RecordCode),
    ("Completions from the LMS", LmsCode),
    ("Completions that are not with ESR", CompletionCode),
    ("Answers of ESR to completion files", ConfirmationCode),
    ("Messages", MessageCode),
    ("Checks of mappings", MappingCode),
    ("Warnings of dates and renewals", RenewalCode),
)


def advice(code: str) -> str:
    """Return how to mend what a code names; empty for a code of somebody else."""
    return next((one.advice for _, kind in _KINDS for one in kind if one == code), "")


def as_markdown() -> str:
    """Return ``docs/codes.md``."""
    lines = ["# Codes", "", "Made by `esrbridge codes`. The text of a failure never holds a value from a record.", ""]
    for title, kind in _KINDS:
        lines += [f"## {title}", "", "| Code | Meaning | What to do |", "|---|---|---|"]
        lines += [f"| {one.value} | {one.meaning} | {one.advice} |" for one in kind]
        lines.append("")
    lines += ["## Fates of lines", "", "| Fate | Meaning |", "|---|---|"]
    lines += [f"| {fate.name.lower()} | {reason} |" for fate, reason in REASONS.items()]
    lines += ["", "## Errors of the program", "", "| Code | Passes by itself | Meaning |", "|---|---|---|"]
    lines += [f"| {one.code} | {'yes' if one.retryable else 'no'} | {_first_sentences(one)} |" for one in _errors()]
    return "\n".join(lines) + "\n"


def _errors() -> list[type[BridgeError]]:
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, BridgeError)]
    return sorted(found, key=lambda one: one.code)


def _first_sentences(kind: type[BridgeError]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())
