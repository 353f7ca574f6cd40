"""The SQL that keeps the read model: what people hold, and what has to be known of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.competency.compliance.holdings import Holding
from services.competency.compliance.requirements import EsrRequirement
from services.competency.compliance.staff import staff_of
from shared.events import Person

PersonKey = tuple[str, str]
"""(trust, person ID)."""


async def learn(connection: AsyncConnection, people: Mapping[PersonKey, Person]) -> None:
    """Note what ``people`` said of people; a newer revision wins."""
    ordered = sorted(people)
    rows = [staff_of(people[key]) for key in ordered]
    said: dict[str, Any] = {
        name: [getattr(row, name) for row in rows]
        for name in (
            "person_id", "revision", "human", "employee_number", "name", "organisation_id", "organisation_name",
            "staff_group", "position_name",
        )
    }  # fmt: skip
    said["vpd"] = [vpd for vpd, _ in ordered]
    said["traits"] = [msgspec.json.encode(row.traits).decode() for row in rows]
    await connection.execute(_LEARN, said)


async def keep(connection: AsyncConnection, holdings: Mapping[PersonKey, Sequence[Holding]]) -> None:
    """Store what people hold in place of what they held; the caller holds the locks on them."""
    if not holdings:
        return
    people = sorted(holdings)
    rows = [(key, one) for key in people for one in holdings[key]]
    said: dict[str, Any] = {
        "vpd": [key[0] for key, _ in rows],
        "person_id": [key[1] for key, _ in rows],
        "competence_id": [one.competence_id for _, one in rows],
        "achieved_on": [one.achieved_on for _, one in rows],
        "expires_on": [one.expires_on for _, one in rows],
        "whose_vpd": [key[0] for key in people],
        "whose_id": [key[1] for key in people],
    }
    await connection.execute(_KEEP, said)


async def required_by_esr(connection: AsyncConnection, vpd: str) -> Iterable[EsrRequirement]:
    """Return the requirements that ESR has stated and not deleted."""
    rows = await connection.execute(_REQUIRED, {"vpd": vpd})
    return [msgspec.convert(row.data, EsrRequirement) for row in rows]


_LEARN: Final = text("""
INSERT INTO competency.staff AS held (vpd, person_id, revision, human, traits, employee_number, name, organisation_id,
    organisation_name, staff_group, position_name)
SELECT vpd, person_id, revision, human, ARRAY(SELECT jsonb_array_elements_text(CAST(traits AS jsonb))),
    employee_number, name, organisation_id, organisation_name, staff_group, position_name
FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:revision AS bigint[]), CAST(:human AS text[]),
    CAST(:traits AS text[]), CAST(:employee_number AS text[]), CAST(:name AS text[]), CAST(:organisation_id AS text[]),
    CAST(:organisation_name AS text[]), CAST(:staff_group AS text[]), CAST(:position_name AS text[]))
    AS t(vpd, person_id, revision, human, traits, employee_number, name, organisation_id, organisation_name,
    staff_group, position_name)
ON CONFLICT (vpd, person_id) DO UPDATE SET revision = excluded.revision, human = excluded.human,
    traits = excluded.traits, employee_number = excluded.employee_number, name = excluded.name,
    organisation_id = excluded.organisation_id, organisation_name = excluded.organisation_name,
    staff_group = excluded.staff_group, position_name = excluded.position_name
WHERE held.revision < excluded.revision
""")

_KEEP: Final = text("""
WITH said AS (
    SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:person_id AS text[]), CAST(:competence_id AS text[]),
        CAST(:achieved_on AS date[]), CAST(:expires_on AS date[]))
        AS t(vpd, person_id, competence_id, achieved_on, expires_on)
), forgotten AS (
    DELETE FROM competency.holdings WHERE ctid = ANY(ARRAY(
        SELECT h.ctid FROM unnest(CAST(:whose_vpd AS text[]), CAST(:whose_id AS text[])) AS w(vpd, person_id)
        CROSS JOIN LATERAL (
            SELECT h.ctid, h.* FROM competency.holdings h WHERE (h.vpd, h.person_id) = (w.vpd, w.person_id) OFFSET 0
        ) h WHERE NOT EXISTS (SELECT 1 FROM said s
            WHERE (s.vpd, s.person_id, s.competence_id, s.achieved_on)
            = (h.vpd, h.person_id, h.competence_id, h.achieved_on))
    ))
)
INSERT INTO competency.holdings AS held (vpd, person_id, competence_id, achieved_on, expires_on) SELECT * FROM said
ON CONFLICT (vpd, person_id, competence_id, achieved_on) DO UPDATE SET expires_on = excluded.expires_on
WHERE held.expires_on IS DISTINCT FROM excluded.expires_on
""")
"""A row stays where it is while its person is locked, so that ``ctid`` finds it; a join may read the whole table."""

_REQUIRED: Final = text("""
SELECT f.data FROM competency.facts f LEFT JOIN competency.deletions d USING (vpd, entity, key)
WHERE f.vpd = :vpd AND f.entity = 'competency_element' AND f.data ->> 'competency_type' = 'REQUIREMENT'
AND (d.vpd IS NULL OR (d.file_no, d.line) < (f.file_no, f.line)) ORDER BY f.key
""")
