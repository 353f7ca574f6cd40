"""Which names from the other side may become names of files here."""

from fnmatch import fnmatchcase
from typing import Final

from shared.transport.port import Wanted

LONGEST_NAME: Final = 200
"""Bytes. Names here may have 255, and a file that is being fetched has a few more than its own."""


def decoded(name: str | bytes) -> str:
    """Return a name as text, empty when it is not UTF-8: no profile has such a name, and no database would take it."""
    try:
        return name.decode() if isinstance(name, bytes) else name.encode().decode()
    except UnicodeError:
        return ""


def is_safe(name: str) -> bool:
    """Whether a name stays in the folder it is put into, is not hidden, and is not that of an unfinished file."""
    return (
        name.isprintable()
        and not set(name) & {"/", "\\"}
        and not name.startswith(".")
        and not name.lower().endswith((".part", ".tmp"))
        and 0 < len(name.encode()) <= LONGEST_NAME
    )


def wanted_by(pattern: str) -> Wanted:
    """Return the test for names that a glob pattern means, whatever their case, and that are safe."""
    folded = pattern.lower()
    return lambda name: is_safe(name) and fnmatchcase(name.lower(), folded)
