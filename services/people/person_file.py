"""What ``people`` holds of one person."""

from typing import Final

from sqlalchemy import ColumnElement, any_, func

from services.people.schema import ACTIONS, AGAIN, DELETIONS, DUPLICATES, FACTS, PEOPLE
from shared.person_file import FOR_EVER, WHILE_TRUE, Held, Who, by_deleted_key, by_owner, by_person

_SAID: Final = "what ESR and the trust's own lists said, each fact with the file and line that said it last"


def _in_pair(who: Who) -> ColumnElement[bool]:
    return (DUPLICATES.c.person_id == who.person_id) | (DUPLICATES.c.other_person_id == who.person_id)


def _decided(who: Who) -> ColumnElement[bool]:
    return any_(func.string_to_array(ACTIONS.c.subject, " ")) == who.person_id


HELD: Final = (
    Held(FACTS, _SAID, FOR_EVER, by_owner(FACTS)),
    Held(DELETIONS, "facts that ESR took back", FOR_EVER, by_deleted_key(DELETIONS, FACTS)),
    Held(PEOPLE, "what the person is today, worked out from the facts", WHILE_TRUE, by_person(PEOPLE), ("identity",)),
    Held(AGAIN, "that the person is to be worked out again", "for seconds", by_person(AGAIN)),
    Held(DUPLICATES, "records that may be the same human, and what was decided about it", FOR_EVER, _in_pair),
    Held(ACTIONS, "what operators decided about the person, when and why", FOR_EVER, _decided),
)
