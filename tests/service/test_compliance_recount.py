"""Figures equal a recount from the facts, made here by other means: whatever happened, on any day, in any order."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.cstf import SUBJECTS
from shared.db.engine import make_engine
from shared.events import Person
from tests.service.compliance_rig import (
    DAY,
    FIRE,
    LIFTING,
    MAPPINGS,
    NAMES,
    SAFE1,
    SAFE2,
    VPD,
    Rig,
    Said,
    achieved,
    completed,
    definition,
    person,
    required,
    rigged,
    total_of,
)

KINDS = {FIRE: ("fire_safety", "1"), SAFE1: ("safeguarding_adults", "1"), SAFE2: ("safeguarding_adults", "2")}
CERTIFIED = {"FIRE": FIRE, "SGA2": SAFE2, "LIFT": LIFTING}
IDS = ["1", "2", "3", "4", "5", "N-6"]
RULES: list[dict[str, Any]] = [
    {},
    {"rules": [{"subject": "safeguarding_adults", "level": "2", "staff_groups": ["Nursing"]},
               {"competence_id": LIFTING, "organisations": ["W2"], "non_staff": ["bank"]},
               {"subject": "fire_safety"}]},
    {"esr_requirements": "added", "rules": [{"subject": "safeguarding_adults", "level": "1"}]},
    {"esr_requirements": "added"},
    {"esr_requirements": "only"},
    {"esr_requirements": "ignored", "rules": [{"subject": "fire_safety", "positions": ["P1"]}]},
]  # fmt: skip

Wanted = tuple[str, str]
"""Subject and level, or the ID of a competence and nothing."""


def invented(draw: random.Random) -> tuple[list[Person], list[Said]]:
    """Invent people and what files say of them."""

    def day(spread: int = 400) -> str:
        return (DAY + timedelta(days=draw.randint(-spread, spread))).isoformat()

    def told(person_id: str, revision: int) -> Person:
        staff = draw.choice(["employee", "employee", "employee", "leaver", "applicant"])
        return person(
            person_id,
            revision,
            state="non_staff" if person_id.startswith("N") else staff,
            kind="bank" if person_id.startswith("N") else "",
            organisation_id=draw.choice(["W1", "W2", ""]),
            staff_group=draw.choice(["Nursing", "Estates"]),
            position_id=draw.choice(["P1", "P2"]),
            same_as="1" if person_id == "2" and draw.random() < 0.5 else "",
        )

    def said() -> Said:
        one, competence = draw.choice(IDS[:5]), draw.choice(list(NAMES))
        until = day(120) if draw.random() < 0.8 else ""
        return draw.choice(
            [
                achieved(one, competence, day(), until, key=f"E{draw.randint(1, 30)}"),
                completed(draw.choice(IDS), draw.choice([*CERTIFIED, "OTHER"]), day(), until),
                required(f"R{draw.randint(1, 4)}", competence, position_id=draw.choice(["P1", "P3"])),
                required(f"R{draw.randint(5, 6)}", competence, organisation_id="W1", date_to=day(30)),
                ("competency_element.delete", {"competency_element_id": f"E{draw.randint(1, 30)}"}),
                ("competency_element.delete", {"competency_element_id": f"R{draw.randint(1, 6)}"}),
            ]
        )

    people = [told(one, revision) for revision in (1, 2) for one in IDS]
    people.append(person("1", 3, position_id="P1"))  # somebody, at least, of whom something is required
    sure = [required("R9", FIRE, position_id="P1"), achieved("1", FIRE, "2026-02-20", "2026-05-01", key="E99")]
    return people, sure + [said() for _ in range(60)]


class Recount:
    """The same question, answered from the facts one person and one requirement at a time."""

    def __init__(self, facts: list[Mapping[str, Any]], told: Mapping[str, Person], compliance: dict[str, Any]) -> None:
        elements = [one for one in facts if one["entity"] == "competency_element"]
        self.required = [one["data"] for one in elements if one["data"]["competency_type"] == "REQUIREMENT"]
        self.achieved = [one["data"] for one in elements if one["data"]["competency_type"] == "PERSONAL"]
        self.completed = [one["data"] for one in facts if one["entity"] == "completion"]
        self.told = told
        self.esr = compliance.get("esr_requirements", "first")
        self.rules = compliance.get("rules", [])

    def count(self, day: date) -> Counter[tuple[str, Wanted, str]]:
        """Return how often each human, requirement and status is there: once, or it is wrong."""
        found: Counter[tuple[str, Wanted, str]] = Counter()
        for human in {one.same_as or one.person_id for one in self.told.values()}:
            records = [one for one in self.told.values() if (one.same_as or one.person_id) == human]
            counted = [one for one in records if one.state in ("employee", "non_staff")]
            if counted:
                shown = min(counted, key=lambda one: (one.person_id != human, one.person_id)).person_id
                for wanted in self.needed(counted, day):
                    found[shown, wanted, self.status({one.person_id for one in records}, wanted, day)] += 1
        return found

    def needed(self, records: list[Person], day: date) -> set[Wanted]:
        by_esr = {
            self.wanted(one["competence_id"])
            for one in self.required
            for record in records
            if record.state == "employee"
            and (one.get("position_id"), one.get("organisation_id")) in (
                (record.position_id, None), (None, record.organisation_id)
            )
            and day.isoformat() <= one.get("date_to", "9999")
        }  # fmt: skip
        by_rule = {one for record in records for one in self.by_rules(record)}
        choices = {"first": by_esr or by_rule, "added": by_esr | by_rule, "only": by_esr, "ignored": by_rule}
        found = choices[self.esr]
        at_a_level = {subject for subject, level in found if level}
        return {(subject, level) for subject, level in found if level or subject not in at_a_level}

    def by_rules(self, record: Person) -> set[Wanted]:
        employed = record.state == "employee"
        if not self.rules:
            subjects = {
                "conflict_resolution", "equality_diversity_human_rights", "fire_safety", "health_safety_welfare",
                "infection_prevention_control", "information_governance", "moving_handling",
                "preventing_radicalisation", "resuscitation", "safeguarding_adults", "safeguarding_children",
            }  # fmt: skip
            return {(one, "") for one in subjects} if employed else set()
        found = set()
        for rule in self.rules:
            lists = [name for name in rule if name not in ("subject", "level", "competence_id")]
            value = {"staff_groups": record.staff_group, "organisations": record.organisation_id,
                     "positions": record.position_id}  # fmt: skip
            named = any(employed and value[name] in rule[name] for name in lists if name != "non_staff")
            named = named or (record.state == "non_staff" and record.kind in rule.get("non_staff", []))
            if named or (employed and not lists):
                wanted = (rule["subject"], rule.get("level", "")) if "subject" in rule else None
                found.add(wanted or self.wanted(rule["competence_id"]))
        return found

    @staticmethod
    def wanted(competence: str) -> Wanted:
        return KINDS.get(competence, (competence, ""))

    def status(self, person_ids: set[str], wanted: Wanted, day: date) -> str:
        best = ""
        for person_id in person_ids:
            for competence, start, until in self.held(person_id):
                subject, level = self.wanted(competence)
                if subject == wanted[0] and wanted[1] in ("", level) and start <= day.isoformat():
                    best = max(best, until)
        if not best:
            return "never"
        if best < day.isoformat():
            return "expired"
        limits = [(30, "due_30"), (60, "due_60"), (90, "due_90")]
        within = [name for days, name in limits if best <= (day + timedelta(days=days)).isoformat()]
        return within[0] if within else "compliant"

    def held(self, person_id: str) -> list[tuple[str, str, str]]:
        """Competence, first and last day; of two records of one day the dated one, then the later."""
        records = [
            (one["competence_id"], one["date_from"], one.get("date_to", ""))
            for one in self.achieved
            if one["person_id"] == person_id
        ]
        records += [
            (CERTIFIED[one["certification_idnumber"]], one["completed_at"][:10], one.get("expires_on", ""))
            for one in self.completed
            if one["user_idnumber"] == f"{VPD}-{person_id}" and one["certification_idnumber"] in CERTIFIED
        ]
        best: dict[tuple[str, str], str] = {}
        for competence, start, until in records:
            best[competence, start] = max(best.get((competence, start), ""), until)
        return [(competence, start, until or "9999-12-31") for (competence, start), until in best.items()]


async def facts_of(rig: Rig) -> list[Mapping[str, Any]]:
    """Every fact that no newer deletion removed."""
    question = text(
        "SELECT entity, data FROM competency.facts f WHERE NOT EXISTS (SELECT 1 FROM competency.deletions d WHERE "
        "(d.vpd, d.entity, d.key) = (f.vpd, f.entity, f.key) AND (d.file_no, d.line) > (f.file_no, f.line))"
    )
    async with rig.work.engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(question)).mappings()]


TITLES = {
    "Fire safety": ("fire_safety", ""), "Fire safety, level 1": ("fire_safety", "1"),
    "Safeguarding adults": ("safeguarding_adults", ""), "Safeguarding adults, level 1": ("safeguarding_adults", "1"),
    "Safeguarding adults, level 2": ("safeguarding_adults", "2"), NAMES[LIFTING]: (LIFTING, ""),
}  # fmt: skip


@pytest.mark.parametrize(
    "compliance", RULES, ids=["the eleven", "rules", "added", "added to the eleven", "only", "ignored"]
)
@pytest.mark.parametrize("seed", range(3))
async def test_figures_equal_a_recount_from_the_facts(
    database: str, passwords: Mapping[str, str], compliance: dict[str, Any], seed: int
) -> None:
    draw = random.Random(seed)
    people, said = invented(draw)
    async with rigged(database, passwords, compliance) as rig:
        assert [one["certification"] for one in MAPPINGS] == list(CERTIFIED)
        while people or said:  # people keep their order here, and come before, among and after what is said of them
            if people and (not said or draw.random() < 0.3):
                await rig.tell(people.pop(0))
            else:
                await rig.take(*[said.pop() for _ in range(min(len(said), 5))])
        recount = Recount(await facts_of(rig), rig.told, compliance)
        statuses: set[str] = set()
        for offset in (-200, -31, 0, 1, 29, 30, 31, 90, 500):
            day = DAY + timedelta(days=offset)
            mine = recount.count(day)
            rows = await rig.people(day=day)
            theirs = Counter(
                (row["person_id"], TITLES.get(row["requirement"], (row["subject"], "")), row["status"]) for row in rows
            )
            assert theirs == mine
            statuses |= {status for _, _, status in mine}
            await figures_agree(rig, day, rows)
        assert {"never"} < statuses


async def figures_agree(rig: Rig, day: date, rows: list[dict[str, Any]]) -> None:
    """Each figure is the length of the list behind it, and the groups add up."""
    columns = {"organisation": "organisation_id", "staff-group": "staff_group", "subject": "subject"}
    for by, column in columns.items():
        found = await rig.figures(by, day)  # type: ignore[arg-type]
        for row in found["rows"]:
            mine = [one for one in rows if one[column] == row["key"]]
            counted = Counter(one["status"] for one in mine)
            assert {name: row[name] for name in counted} == counted
            assert row["required"] == len(mine)
            assert row["people"] == len({one["person_id"] for one in mine})
            lacking = {one["person_id"] for one in mine if one["status"] in ("expired", "never")}
            assert row["lacking_people"] == len(lacking)
            assert row["valid"] == len([one for one in mine if one["status"] not in ("expired", "never")])
        for name in ("required", "valid", "compliant", "due_30", "due_60", "due_90", "expired", "never"):
            assert total_of(found["rows"], name) == found["total"][name]
        assert found["total"]["people"] == len({one["person_id"] for one in rows})
        assert (await rig.figures("trust", day))["total"] == found["total"]


async def test_the_order_in_which_people_and_learning_are_told_does_not_matter(
    database: str, passwords: Mapping[str, str]
) -> None:
    people, said = invented(random.Random(77))
    ends = []
    async with rigged(database, passwords) as rig:
        messages = rig.messages(*said)
        for seed in (None, 1, 2):
            async with rig.work.engine.begin() as connection:
                for table in ("staff", "people", "holdings", "decisions", "again"):
                    await connection.execute(text(f"DELETE FROM competency.{table}"))
                gone = "DELETE FROM competency.{} WHERE entity <> 'competence'"
                for table in ("facts", "deletions"):
                    await connection.execute(text(gone.format(table)))
            steps: list[Any] = [*people, *messages]
            if seed is not None:
                steps += random.Random(seed).sample(steps, 20)
                random.Random(seed).shuffle(steps)
            for step in steps:
                if isinstance(step, Person):
                    await rig.tell(step)
                else:
                    await rig.competency.on_records([step])
                    await rig.settle()
            ends.append((await rig.people(), await rig.rows("holdings", "person_id, competence_id, achieved_on")))
    assert ends[0] == ends[1] == ends[2]
    assert ends[0][1]


STAFF = """
INSERT INTO competency.staff (vpd, person_id, revision, human, traits, organisation_id)
SELECT '991', n::text, 1, n::text, ARRAY['everyone:', 'person:' || n, 'position:p' || n % 800,
    'organisation:o' || n % 150, 'staff_group:g' || n % 9], 'o' || n % 150
FROM generate_series(1, 10000) n
"""
HOLDINGS = """
INSERT INTO competency.holdings
SELECT '991', n::text, 'C' || k, date '2023-01-01' + (n * 7 + k * 13 + y * 900) % 1000 + y * 400,
    date '2025-06-01' + (n * 11 + k * 17) % 1500 + y * 300
FROM generate_series(1, 10000) n, generate_series(0, 10) k, generate_series(0, 2) y
"""
REQUIRED = """
INSERT INTO competency.facts (vpd, entity, key, slice, owner, file, file_no, line, data)
SELECT '991', 'competency_element', 'R' || n, '', '', 'F', 1, n, jsonb_build_object('competency_type', 'REQUIREMENT',
    'competency_name', 'NHS|CSTF|Fire Safety - 3 Years|', 'position_id', 'p' || n) FROM generate_series(1, 800) n
"""
SECONDS = 30
"""It takes two; planned for small tables it takes minutes."""


async def test_ten_thousand_people_and_eleven_subjects_are_counted_and_listed_in_seconds(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"esr_requirements": "added"}) as rig:
        names = [f"NHS|CSTF|{title.title()} - 3 Years|" for title in SUBJECTS]
        await rig.take(*(definition(f"C{number}", name) for number, name in enumerate(names)))
        admin = make_engine(database, name="test")
        async with admin.begin() as connection:
            for statement in (STAFF, HOLDINGS, REQUIRED):
                await connection.execute(text(statement))
        async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("ANALYZE"))
        await admin.dispose()
        async with asyncio.timeout(SECONDS):
            assert (await rig.figures("organisation"))["total"]["required"] == 110_000
            assert len(await rig.people("all", limit=1_000_000)) == 110_000
