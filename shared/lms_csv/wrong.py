"""What can be said against a row."""

from dataclasses import dataclass
from typing import Final

from shared.codes import Code

LONGEST_TEXT: Final = 255
"""Characters of any field: more than any LMS gives an id number."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing wrong with one field; the text holds no value."""

    code: Code
    field: str
    text: str
