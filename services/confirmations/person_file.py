"""What ``confirmations`` holds of one person."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import ColumnElement, Table, select

from services.confirmations.schema import ANSWERS, COMPLETIONS, DIFFERENCES, FINDINGS, ITEMS
from shared.person_file import FOR_EVER, WHILE_TRUE, Held, Who, by_person


def _by_reference(table: Table) -> Callable[[Who], ColumnElement[bool]]:
    """Answers name no person, only the reference of what was sent."""

    def mine(who: Who) -> ColumnElement[bool]:
        mine = select(ITEMS.c.reference).where(ITEMS.c.vpd == who.vpd, ITEMS.c.person_id == who.person_id)
        return table.c.reference.in_(mine) & (table.c.reference != "")

    return mine


HELD: Final = (
    Held(COMPLETIONS, "completions that are told to ESR", FOR_EVER, by_person(COMPLETIONS)),
    Held(ITEMS, "each record that was sent to ESR, and how it ended", FOR_EVER, by_person(ITEMS)),
    Held(ANSWERS, "ESR's answers to these records", FOR_EVER, _by_reference(ANSWERS)),
    Held(FINDINGS, "answers of ESR that did not fit", FOR_EVER, _by_reference(FINDINGS)),
    Held(DIFFERENCES, "what ESR's full files show otherwise", WHILE_TRUE, by_person(DIFFERENCES)),
)
