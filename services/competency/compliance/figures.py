"""Figures and lists of compliance on a day, each by one statement over what is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency import store as competency
from services.competency.compliance import store
from services.competency.compliance.requirements import Requirements
from services.competency.compliance.status import CHOICES, STATUSES, Chosen
from shared.compliance_settings import ComplianceSettings

By = Literal["trust", "organisation", "staff-group", "subject"]

MOST: Final = 1_000_000
"""Rows of a list at most: what a sheet of Excel holds."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which people and requirements are looked at, on which day; None: all of them, empty: those without any."""

    day: date
    organisation: str | None = None
    """An organisation's ID."""
    staff_group: str | None = None
    subject: str | None = None
    """A subject of the CSTF (its key), or a competence by name."""


async def figures(
    connection: AsyncConnection, vpd: str, settings: ComplianceSettings, asked: Asked, by: By
) -> dict[str, Any]:
    """Count requirements by status, for the whole trust and for each organisation, staff group or subject.

    Keys: ``day``, ``by``, ``rows`` and ``total``. Of each row ``key``, ``name``, ``people`` (of whom something is
    required), ``lacking_people`` (of whom something is expired or never achieved), ``required`` (the sum of the
    statuses), ``valid`` (all statuses but expired and never), ``percent`` (valid of required) and each status.
    """
    said, titles = await _question(connection, vpd, settings, asked)
    rows: list[dict[str, Any]] = []
    total: dict[str, Any] = {}
    for found in (await connection.execute(_FIGURES[by], said)).mappings():
        row = _row(dict(found), titles)
        if row.pop("whole"):
            total = row
        elif by != "trust":
            rows.append(row)
    rows.sort(key=lambda row: (row["name"].casefold(), row["key"]))
    return {"day": asked.day.isoformat(), "by": by, "rows": rows, "total": total}


async def people(
    connection: AsyncConnection,
    vpd: str,
    settings: ComplianceSettings,
    asked: Asked,
    status: Chosen,
    *,
    reveal: bool = False,
    limit: int = MOST,
) -> dict[str, Any]:
    """List who stands behind a figure: a row for each person and requirement, what ran out longest ago first.

    Keys: ``day``, ``status``, ``total`` (all there are), ``rows`` (up to ``limit``). Names only with ``reveal``. An
    ``expires_on`` of None is that of what does not expire, or was never achieved.
    """
    said, titles = await _question(connection, vpd, settings, asked)
    said |= {"statuses": list(CHOICES[status]), "most": limit}
    found = [dict(row) for row in (await connection.execute(_PEOPLE, said)).mappings()]
    total = found[0]["total"] if found else 0
    return {
        "day": asked.day.isoformat(),
        "status": status,
        "total": total,
        "rows": [_entry(row, titles, reveal=reveal) for row in found],
    }


async def _question(
    connection: AsyncConnection, vpd: str, settings: ComplianceSettings, asked: Asked
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the statements are asked with, and the titles of subjects and of requirements by number."""
    await connection.execute(_PLAN)
    definitions = await competency.definitions(connection, vpd)
    required = await store.required_by_esr(connection, vpd)
    wanted = Requirements(settings, required, definitions, asked.day)
    numbers = {target: number for number, target in enumerate(wanted.targets)}
    met, implied = wanted.met_by(), wanted.implied()
    titles = {str(number): target.title for target, number in numbers.items()}
    said = {
        "vpd": vpd,
        "day": asked.day,
        "organisation": asked.organisation,
        "staff_group": asked.staff_group,
        "subject": asked.subject,
        "trait": [one.trait for one in wanted.needs],
        "needed": [numbers[one.target] for one in wanted.needs],
        "by_esr": [one.by_esr for one in wanted.needs],
        "target": [numbers[target] for target, _ in met],
        "competence": [competence for _, competence in met],
        "general": [numbers[one] for one, _ in implied],
        "special": [numbers[other] for _, other in implied],
        "number": list(numbers.values()),
        "of_subject": [target.subject for target in numbers],
    }
    return said, titles | {target.subject: target.subject_title for target in numbers}


def _row(row: dict[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    row["valid"] = sum(row[one] for one in CHOICES["valid"])
    row["percent"] = round(100 * row["valid"] / row["required"], 1) if row["required"] else 100.0
    row["name"] = row["name"] or titles.get(row["key"], row["key"])
    return row


def _entry(row: dict[str, Any], titles: Mapping[str, str], *, reveal: bool) -> dict[str, Any]:
    del row["total"]
    name = row.pop("person_name")
    row["requirement"] = titles[str(row.pop("target"))]
    row["expires_on"] = row["expires_on"].isoformat() if row["expires_on"] else None
    return {"person_id": row.pop("person_id"), **({"name": name} if reveal else {}), **row}


_PLAN: Final = text("SET LOCAL enable_nestloop = off")
"""For the transaction: the planner guesses the steps too small, and would loop over everybody for each requirement."""

_STANDING: Final = """
WITH n AS (
    SELECT * FROM unnest(CAST(:trait AS text[]), CAST(:needed AS int[]), CAST(:by_esr AS boolean[]))
        AS n(trait, target, by_esr)
), met AS (
    SELECT * FROM unnest(CAST(:target AS int[]), CAST(:competence AS text[])) AS m(target, competence_id)
), targets AS (
    SELECT * FROM unnest(CAST(:number AS int[]), CAST(:of_subject AS text[])) AS g(target, subject)
), wanted AS (
    SELECT s.human, n.target, n.by_esr, bool_or(n.by_esr) OVER (PARTITION BY s.human) AS any_by_esr
    FROM competency.staff s CROSS JOIN LATERAL unnest(s.traits) AS t(trait) JOIN n USING (trait) WHERE s.vpd = :vpd
), asked AS (
    SELECT DISTINCT human, target FROM wanted WHERE by_esr = any_by_esr
), needed AS (
    SELECT human, target FROM asked EXCEPT
    SELECT asked.human, i.general FROM asked
    JOIN unnest(CAST(:general AS int[]), CAST(:special AS int[])) AS i(general, special) ON i.special = asked.target
), held AS (
    SELECT s.human, met.target, max(coalesce(h.expires_on, 'infinity')) AS until
    FROM competency.holdings h JOIN competency.staff s ON (s.vpd, s.person_id) = (h.vpd, h.person_id)
    JOIN met USING (competence_id) WHERE h.vpd = :vpd AND h.achieved_on <= CAST(:day AS date) GROUP BY 1, 2
), who AS (
    SELECT DISTINCT ON (human) * FROM competency.staff WHERE vpd = :vpd AND traits <> '{}'
    ORDER BY human, person_id <> human, person_id
), standing AS (
    SELECT who.human, who.person_id, who.employee_number, who.name AS person_name, who.organisation_id,
        who.organisation_name, who.staff_group, who.position_name, targets.subject, target, held.until,
        CASE WHEN held.until IS NULL THEN 'never' WHEN held.until < CAST(:day AS date) THEN 'expired'
            WHEN held.until <= CAST(:day AS date) + 30 THEN 'due_30'
            WHEN held.until <= CAST(:day AS date) + 60 THEN 'due_60'
            WHEN held.until <= CAST(:day AS date) + 90 THEN 'due_90' ELSE 'compliant' END AS status
    FROM needed JOIN who USING (human) JOIN targets USING (target) LEFT JOIN held USING (human, target)
    WHERE (CAST(:organisation AS text) IS NULL OR who.organisation_id = :organisation)
    AND (CAST(:staff_group AS text) IS NULL OR who.staff_group = :staff_group)
    AND (CAST(:subject AS text) IS NULL OR targets.subject = :subject)
)
"""

_COUNTS: Final = ", ".join(f"count(*) FILTER (WHERE status = '{one}') AS {one}" for one in STATUSES)

_GROUPS: Final[dict[By, tuple[str, str]]] = {
    "trust": ("CAST('' AS text)", "''"),
    "organisation": ("organisation_id", "max(organisation_name)"),
    "staff-group": ("staff_group", "''"),
    "subject": ("subject", "''"),
}

_FIGURES: Final = {
    by: text(f"""
{_STANDING}
SELECT coalesce(key, '') AS key, coalesce(CASE WHEN grouping(key) = 0 THEN {name} END, '') AS name,
    count(DISTINCT human) AS people,
    count(DISTINCT human) FILTER (WHERE status IN ('expired', 'never')) AS lacking_people,
    count(*) AS required, {_COUNTS}, grouping(key) = 1 AS whole
FROM (SELECT *, {group} AS key FROM standing) AS s
GROUP BY GROUPING SETS ((key), ())
""")  # noqa: S608 - made of constants
    for by, (group, name) in _GROUPS.items()
}

_PEOPLE: Final = text(f"""
{_STANDING}
SELECT person_id, person_name, employee_number, organisation_id, organisation_name AS organisation, staff_group,
    position_name AS position, subject, target, status,
    CASE WHEN until < 'infinity' THEN until END AS expires_on, count(*) OVER () AS total
FROM standing WHERE status = ANY(CAST(:statuses AS text[])) ORDER BY until NULLS FIRST, person_id, target LIMIT :most
""")  # noqa: S608 - made of constants
