"""What operators are shown of people. Names, birth dates and NI numbers only where they are asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.people import pairs, store
from services.people.duplicates import identity_of
from services.people.slices import END_OF_TIME
from shared.db.facts import FactStore
from shared.facts import Fact

MASK: Final = "***"

_SHOWN: Final = frozenset(
    {
        "person_id", "assignment_id", "effective_start", "effective_end", "system_person_type", "employee_number",
        "applicant_number", "hire_date", "actual_termination_date", "assignment_type", "assignment_number",
        "user_assignment_status", "system_assignment_status", "primary_assignment", "position_id", "organisation_id",
        "assignment_category", "payroll_name", "reference", "kind", "start", "end",
    }
)  # fmt: skip
"""Columns that tell nothing private; the others are masked."""

_MASKED: Final = ("birth_date", "ni_number")


async def person(
    connection: AsyncConnection, facts: FactStore, vpd: str, person_id: str, *, reveal: bool
) -> dict[str, Any] | None:
    """Return one person as derived, with the facts that rests on, or None."""
    found = await store.person(connection, vpd, person_id)
    if found is None:
        return None
    said = (await facts.live(connection, [(vpd, person_id)])).get((vpd, person_id), [])
    same = await pairs.same_groups(connection, [(vpd, person_id)])
    masked = {name: MASK for name in _MASKED if found.get(name) and not reveal}
    return {
        **found,
        **masked,
        "same_human": [one for one in same.get((vpd, person_id), ()) if one != person_id],
        "facts": [_fact(one, reveal=reveal) for one in said],
    }


async def search(connection: AsyncConnection, vpd: str, text: str) -> list[dict[str, Any]]:
    """Return people with this person ID or employee number."""
    ids = {text, *await store.with_employee_number(connection, vpd, text)}
    found = [await store.person(connection, vpd, one) for one in sorted(ids)]
    shown = ("person_id", "state", "employee_number", "hire_date", "termination_date", "same_as")
    return [{name: one[name] for name in shown if name in one} for one in found if one]


async def duplicates(
    connection: AsyncConnection, facts: FactStore, vpd: str, state: str, limit: int, *, reveal: bool, after: str = ""
) -> list[dict[str, Any]]:
    """Return suspected duplicates with what is needed to decide: the values themselves only on ``reveal``.

    In pages, by person IDs: the next one is after ``<person ID>~<other person ID>`` of the last.
    """
    one, _, other = after.partition("~")
    rows = await pairs.listing(connection, vpd, state, limit, (one, other))
    return await _described(connection, facts, vpd, rows, reveal=reveal)


async def duplicate(
    connection: AsyncConnection, facts: FactStore, vpd: str, one: str, other: str, *, reveal: bool
) -> dict[str, Any] | None:
    """Return one suspected duplicate, or None where nobody suspected or decided anything of these two."""
    rows = await pairs.pair(connection, vpd, one, other)
    return next(iter(await _described(connection, facts, vpd, rows, reveal=reveal)), None)


async def _described(
    connection: AsyncConnection, facts: FactStore, vpd: str, rows: Sequence[Any], *, reveal: bool
) -> list[dict[str, Any]]:
    people = {(vpd, one) for row in rows for one in (row.person_id, row.other_person_id)}
    held = await facts.live(connection, people)
    states = {one: (await store.person(connection, vpd, one) or {}).get("state", "unknown") for _, one in people}
    return [
        {
            "person_id": row.person_id,
            "other_person_id": row.other_person_id,
            "state": row.state,
            "agree": row.agree,
            "who": row.who,
            "why": row.why,
            "decided_at": row.decided_at.isoformat() if row.decided_at else None,
            "people": [
                {"person_id": one, "state": states[one]} | (_evidence(held.get((vpd, one), ())) if reveal else {})
                for one in (row.person_id, row.other_person_id)
            ],
        }
        for row in rows
    ]


def _evidence(facts: Sequence[Fact]) -> dict[str, Any]:
    """What an operator compares: first name too, because twins share the rest."""
    identity = identity_of(facts, END_OF_TIME)
    described = sorted((one for one in facts if one.entity in ("person", "non_staff")), key=lambda one: one.slice)
    newest: Mapping[str, Any] = described[-1].data if described else {}
    return {
        "first_name": newest.get("first_name", ""),
        "last_name": newest.get("last_name", ""),
        "birth_date": identity.birth_date,
        "ni_number": identity.ni_number,
    }


def _fact(fact: Fact, *, reveal: bool) -> dict[str, Any]:
    columns = {name: value if reveal or name in _SHOWN else MASK for name, value in fact.data.items()}
    return {
        "entity": fact.entity,
        "key": fact.key,
        "slice": fact.slice,
        "file": fact.version.file,
        "line": fact.version.line,
        "columns": columns,
    }
