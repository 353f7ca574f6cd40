"""What ``ingest`` holds of one person. The files themselves are archived, and not searched."""

from typing import Final

from services.ingest.schema import MENTIONS, MOODLE_COMPLETIONS, REPORTED, ROSTER
from shared.person_file import FOR_EVER, Held, by_idnumber, by_person

HELD: Final = (
    Held(ROSTER, "the last file of ESR that spoke of the person", FOR_EVER, by_person(ROSTER)),
    Held(MENTIONS, "files that speak of the person and are not let in yet", "until they are", by_person(MENTIONS)),
    Held(
        REPORTED,
        "rows of the LMS's reports, of which only a digest is kept",
        "until the LMS's report leaves the row out",
        by_idnumber(REPORTED),
    ),
    Held(MOODLE_COMPLETIONS, "course completions read from Moodle", FOR_EVER, by_idnumber(MOODLE_COMPLETIONS)),
)
