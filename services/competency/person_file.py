"""What ``competency`` holds of one person."""

from typing import Final

from sqlalchemy import ColumnElement

from services.competency.schema import (
    AGAIN,
    ANSWERS,
    DECISIONS,
    DELETIONS,
    DIFFERENCES,
    FACTS,
    HOLDINGS,
    PEOPLE,
    STAFF,
)
from shared.person_file import FOR_EVER, WHILE_TRUE, Held, Who, by_deleted_key, by_owner, by_person

_SAID: Final = "what ESR and the LMS said of the person's learning, each fact with the file and line that said it last"


def _human(who: Who) -> ColumnElement[bool]:
    return (STAFF.c.person_id == who.person_id) | (STAFF.c.human == who.person_id)


HELD: Final = (
    Held(FACTS, _SAID, FOR_EVER, by_owner(FACTS)),
    Held(DELETIONS, "facts that were taken back", FOR_EVER, by_deleted_key(DELETIONS, FACTS)),
    Held(PEOPLE, "what the person is, as far as learning needs it", WHILE_TRUE, by_person(PEOPLE)),
    Held(DECISIONS, "what each piece of learning was taken for, and why", WHILE_TRUE, by_person(DECISIONS)),
    Held(STAFF, "what decides which learning is required of the person", WHILE_TRUE, _human),
    Held(HOLDINGS, "what the person has achieved, and until when it is valid", WHILE_TRUE, by_person(HOLDINGS)),
    Held(ANSWERS, "what ESR answered to completions it was sent", FOR_EVER, by_person(ANSWERS)),
    Held(DIFFERENCES, "what ESR's last full file shows otherwise", WHILE_TRUE, by_person(DIFFERENCES)),
    Held(AGAIN, "that the person's learning is to be decided on again", "for seconds", by_person(AGAIN)),
)
