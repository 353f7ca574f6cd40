"""Notes under competency ratings: what makes a rating tell a date, and a repeated one known. No I/O here.

A rating always bears the time of its making and each call adds one, so the note carries what ESR said, as JSON, with a
key. Moodle refuses a note with a tag in it, and keeps anything else byte by byte.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from services.outbound.lms.port import Certification, Evidence

SOURCE: Final = "ESR"


@dataclass(frozen=True, slots=True)
class Note:
    """What a note of ours says. Dates are ISO days; ``reference`` and ``name`` are those of evidence."""

    key: str
    completed: str
    expires: str
    reference: str = ""
    name: str = ""


def of_certification(one: Certification) -> Note:
    """Return the note of a certification: person, certification and day make it the same one."""
    return Note(f"{one.idnumber}|{one.certification}|{one.completed_on}", one.completed_on, one.expires_on)


def of_evidence(one: Evidence) -> Note:
    """Return the note of a piece of evidence: person and reference make it the same one."""
    return Note(f"{one.idnumber}|evidence|{one.reference}", one.completed_on, one.expires_on, one.reference, one.name)


def written(note: Note) -> str:
    """Return the text of a note; a ``<`` would be taken for the beginning of a tag."""
    said = {name: value for name, value in asdict(note).items() if value}
    return json.dumps({**said, "source": SOURCE}).replace("<", "\\u003c")


def read(texts: Iterable[str]) -> list[Note]:
    """Return our notes among those of ratings; what people wrote is passed over."""
    return [note for text in texts if (note := _read(text)) is not None]


def _read(text: str) -> Note | None:
    try:
        said = json.loads(text)
        if said["source"] != SOURCE:
            return None
        values = (said["key"], said["completed"], *(said.get(name, "") for name in ("expires", "reference", "name")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Note(*values) if all(isinstance(value, str) for value in values) else None


def is_told(note: Note, held: Sequence[Note]) -> bool:
    """Whether notes, newest first, make another one needless.

    A certification is told again when its expiry was corrected, and never once a later completion is noted: the rating
    would say less than it did. Evidence is told once.
    """
    if note.reference:
        return any(one.key == note.key for one in held)
    certifications = [one for one in held if not one.reference]
    if any(one.completed > note.completed for one in certifications):
        return True
    same = [one for one in certifications if one.key == note.key]
    return bool(same) and same[0].expires == note.expires
