"""One mapping as a form: what stands in it, what is wrong with it, and the content it makes."""

import hashlib
import re
from datetime import date
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from shared.mapping_settings import PERIOD, MappingSet, Row, as_json, from_json

Json = dict[str, Any]
Problem = tuple[str, str]

FIELDS: Final = ("competence_id", "competence", "certification", "direction", "from", "until", "expiry", "period")
DIRECTIONS: Final = (
    ("both", "Both ways"),
    ("to-lms", "To the LMS: what ESR holds counts there"),
    ("to-esr", "To ESR: what is completed in the LMS is told"),
)
EXPIRIES: Final = (
    ("lms", "What the LMS shows"),
    ("esr", "By the renewal period of ESR's definition"),
    ("local", "By a period of your own"),
)
_BY_FORM: Final = re.compile(PERIOD)


def rows_of(content: Json) -> list[Json]:
    """Return the mappings of a content with everything that a table shows, numbered from 1."""
    return [
        {"number": number, **form_of(row), "rules": row.accept is not None}
        for number, row in enumerate(from_json(content).mappings, 1)
    ]


def form_of(row: Row) -> dict[str, str]:
    """Return a mapping as the fields of a form."""
    return {
        "competence_id": row.competence_id,
        "competence": row.competence,
        "certification": row.certification,
        "direction": row.direction,
        "from": row.starts.isoformat() if row.starts else "",
        "until": row.until.isoformat() if row.until else "",
        "expiry": row.expiry,
        "period": row.period,
    }


def read_form(said: dict[str, str], before: Row | None) -> tuple[Row | None, Problem | None]:
    """Return the mapping that a form says, or the first thing that is wrong and where.

    ``before``: what stood there; its own rules of acceptance, which the form does not show, stay.
    """
    problem = _wrong(said)
    if problem:
        return None, problem
    try:
        row = Row.model_validate({name: value or None for name, value in said.items() if value})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else "competence_id"
        return None, (name if name in FIELDS else "competence_id", "What was entered cannot be kept")
    return (row.model_copy(update={"accept": before.accept}) if before else row), None


def _wrong(said: dict[str, str]) -> Problem | None:
    if not (said["competence_id"] or said["competence"]):
        return "competence_id", "Enter ESR's id of the competence, or its name"
    if not said["certification"]:
        return "certification", "Enter the certification's id number in the LMS"
    return _wrong_days(said) or _wrong_period(said)


def _wrong_days(said: dict[str, str]) -> Problem | None:
    for name in ("from", "until"):
        if said[name] and not _is_day(said[name]):
            return name, "Write the day as 2026-03-31, or leave it empty"
    if said["from"] and said["until"] and said["until"] < said["from"]:
        return "until", "The last day is before the first"
    return None


def _wrong_period(said: dict[str, str]) -> Problem | None:
    if said["period"] and said["expiry"] != "local":
        return "period", "A period needs the expiry by a period of your own"
    if said["period"] and not _BY_FORM.match(said["period"]):
        return "period", "Write the period as 2 years, 18 months, 6 weeks or 90 days"
    return None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def with_row(content: Json, number: int, row: Row | None) -> Json:
    """Return a content with mapping ``number`` changed, taken out (None), or added (0)."""
    said = from_json(content)
    rows = list(said.mappings)
    if number == 0 and row is not None:
        rows.append(row)
    else:
        rows[number - 1 : number] = [row] if row is not None else []
    return as_json(said.model_copy(update={"mappings": tuple(rows)}))


def rest_of(content: Json) -> MappingSet:
    """Return everything a content says besides the mappings."""
    return from_json({name: value for name, value in content.items() if name != "mappings"})


def seal(content: Json) -> str:
    """Return by what a content is known again: a form says which one it was made from."""
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:24]
