"""Compliance on a real database: who needs what, who holds it until when, and the figures of it."""

from collections.abc import Mapping
from datetime import date

from alembic import command

from shared.db.engine import make_engine
from shared.db.migrate import config_for, migrate
from shared.mapping_settings import from_json
from tests.service.compliance_rig import (
    FIRE,
    LIFTING,
    SAFE1,
    SAFE2,
    achieved,
    completed,
    definition,
    person,
    reported,
    required,
    rigged,
)


async def test_without_rules_every_employee_needs_the_eleven_subjects_at_any_level(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.tell(person("1"), person("2", state="applicant"), person("3", state="leaver"))
        await rig.take(achieved("1", SAFE2, "2025-01-10", "2028-01-10"), achieved("3", FIRE, "2025-01-10"))
        found = await rig.figures("subject")
        assert (found["total"]["people"], found["total"]["required"], found["total"]["never"]) == (1, 11, 10)
        assert [row["name"] for row in found["rows"] if row["compliant"]] == ["Safeguarding adults"]
        assert len(found["rows"]) == 11


async def test_the_expiry_day_itself_is_valid_and_each_boundary_is_exact(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1"))
        await rig.take(achieved("1", FIRE, "2026-01-01", "2026-06-30"))
        for day, status in {
            date(2025, 12, 31): "never",
            date(2026, 1, 1): "compliant",
            date(2026, 3, 31): "compliant",  # 91 days before
            date(2026, 4, 1): "due_90",
            date(2026, 4, 30): "due_90",
            date(2026, 5, 1): "due_60",
            date(2026, 5, 30): "due_60",
            date(2026, 5, 31): "due_30",
            date(2026, 6, 30): "due_30",
            date(2026, 7, 1): "expired",
        }.items():
            (row,) = await rig.people(day=day)
            assert (day, row["status"]) == (day, status)
            assert (await rig.figures(day=day))["total"][status] == 1


async def test_requirements_of_a_position_beat_the_trusts_rules_for_those_in_it(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "safeguarding_adults"}]}) as rig:
        await rig.tell(person("1", position_id="P1"), person("2", position_id="P2"))
        await rig.take(required("R1", FIRE, position_id="P1"))
        assert await rig.stands() == ["1 Fire safety, level 1: never", "2 Safeguarding adults: never"]
        await rig.take(("competency_element.delete", {"competency_element_id": "R1"}))
        assert await rig.stands() == ["1 Safeguarding adults: never", "2 Safeguarding adults: never"]


async def test_a_requirement_counts_in_each_job_from_its_first_to_its_last_day_and_not_when_it_is_a_wish(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"esr_requirements": "only"}) as rig:
        await rig.tell(person("1", position_id="P1", organisation_id="W1"), person("2", organisation_id="W2"))
        await rig.take(
            required("R1", LIFTING, position_id="P1", date_from="2026-03-03", date_to="2026-03-04"),
            required("R2", FIRE, organisation_id="W2"),
            required("R3", SAFE1, person_id="2"),
            required("R4", SAFE2, position_id="P1", essential_flag="N"),
            required("R5", SAFE2, job_id="J1"),
        )
        second = ["2 Fire safety, level 1: never", "2 Safeguarding adults, level 1: never"]
        for day in (date(2026, 3, 2), date(2026, 3, 5)):
            assert await rig.stands(day) == second
        for day in (date(2026, 3, 3), date(2026, 3, 4)):
            assert await rig.stands(day) == ["1 991|LOCAL|Bariatric Lifting|: never", *second]


async def test_a_rule_is_about_those_it_names_and_about_non_staff_only_where_it_says_so(
    database: str, passwords: Mapping[str, str]
) -> None:
    rules = [
        {"subject": "safeguarding_adults", "level": "2", "staff_groups": ["nursing"]},
        {"competence_id": LIFTING, "positions": ["Porter"], "assignment_categories": ["Bank"]},
        {"competence": "NHS|CSTF|Fire Safety - 2 Years|", "organisations": ["W1"], "non_staff": ["volunteer"]},
    ]
    async with rigged(database, passwords, {"rules": rules}) as rig:
        await rig.tell(
            person("1"),
            person("2", staff_group="Estates", organisation_id="W2", position_name="PORTER"),
            person("3", staff_group="Estates", organisation_id="W2", assignment_category="bank"),
            person("4", staff_group="Estates", organisation_id="W2"),
            person("N-1", state="non_staff", kind="volunteer"),
            person("N-2", state="non_staff", kind="student"),
        )
        await rig.take(completed("N-1", "FIRE", "2026-03-01", "2028-03-01"))
        assert await rig.stands() == [
            "1 Fire safety, level 1: never",
            "1 Safeguarding adults, level 2: never",
            "2 991|LOCAL|Bariatric Lifting|: never",
            "3 991|LOCAL|Bariatric Lifting|: never",
            "N-1 Fire safety, level 1: compliant",
        ]


async def test_both_sides_count_and_the_record_that_lasts_longest_decides(
    database: str, passwords: Mapping[str, str]
) -> None:
    rules = [{"subject": "fire_safety"}, {"subject": "safeguarding_adults"}, {"competence_id": LIFTING}]
    async with rigged(database, passwords, {"rules": rules}) as rig:
        await rig.tell(person("1"))
        await rig.take(
            achieved("1", FIRE, "2025-01-01", "2026-04-01"),
            completed("1", "FIRE", "2024-06-01", "2026-06-30"),
            completed("1", "LIFT", "2024-06-01", "2026-02-28"),
            achieved("1", SAFE1, "2020-01-01"),
        )
        assert {row["requirement"]: (row["status"], row["expires_on"]) for row in await rig.people()} == {
            "Fire safety": ("compliant", "2026-06-30"),
            "Safeguarding adults": ("compliant", None),
            "991|LOCAL|Bariatric Lifting|": ("expired", "2026-02-28"),
        }


async def test_what_only_a_report_of_the_lms_tells_counts_also_when_the_lms_has_forgotten_the_dates(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1"))
        await rig.take(reported("1", "FIRE", "assigned"))
        assert await rig.stands() == ["1 Fire safety: never"]
        await rig.take(reported("1", "FIRE", "certified", "2025-01-01", "2026-03-02"))
        assert await rig.stands(date(2026, 3, 2)) == ["1 Fire safety: due_30"]
        await rig.take(reported("1", "FIRE", "expired"))
        assert await rig.stands() == ["1 Fire safety: expired"]
        await rig.take(reported("1", "FIRE", "certified", "2026-03-03", "2028-03-03"))
        assert await rig.stands() == ["1 Fire safety: compliant"]


async def test_what_esr_deletes_counts_no_more(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1"))
        await rig.take(achieved("1", FIRE, "2026-01-01", "2028-01-01", key="E1"))
        assert await rig.stands() == ["1 Fire safety: compliant"]
        await rig.take(("competency_element.delete", {"competency_element_id": "E1"}))
        assert await rig.stands() == ["1 Fire safety: never"]
        assert await rig.rows("holdings", "person_id") == []


async def test_two_records_of_one_human_count_once_with_what_both_hold(
    database: str, passwords: Mapping[str, str]
) -> None:
    rules = [{"subject": "fire_safety"}, {"subject": "safeguarding_adults", "organisations": ["W2"]}]
    async with rigged(database, passwords, {"rules": rules}) as rig:
        await rig.tell(person("1"), person("2", organisation_id="W2"))
        await rig.take(achieved("1", FIRE, "2026-01-01"), achieved("2", SAFE1, "2026-01-01"))
        assert (await rig.figures())["total"]["people"] == 2
        await rig.tell(person("2", revision=2, organisation_id="W2", same_as="1"))
        assert await rig.stands() == ["1 Fire safety: compliant", "1 Safeguarding adults: compliant"]
        assert (await rig.figures())["total"]["people"] == 1
        await rig.tell(person("2", revision=3, state="leaver", same_as="1"))
        assert await rig.stands() == ["1 Fire safety: compliant"]


async def test_a_human_is_shown_by_the_record_that_is_employed(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1", state="leaver"), person("2", organisation_id="W2", same_as="1"))
        await rig.take(achieved("1", FIRE, "2026-01-01"))
        (row,) = await rig.people()
        assert (row["person_id"], row["organisation_id"], row["status"]) == ("2", "W2", "compliant")


async def test_an_older_telling_of_a_person_never_overwrites_a_newer_one(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.tell(person("1", revision=5, organisation_name="Ward 1"))
        await rig.tell(person("1", revision=4, organisation_name="Ward 9", state="leaver"))
        found = await rig.figures("organisation")
        assert [(row["key"], row["name"], row["people"]) for row in found["rows"]] == [("W1", "Ward 1", 1)]


async def test_learning_that_the_trust_does_not_accept_does_not_count(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1", hire_date="2026-01-01"))
        await rig.take(achieved("1", FIRE, "2025-12-01", "2027-12-01"))
        assert await rig.stands() == ["1 Fire safety: compliant"]
        content = {
            "mappings": [{"competence_id": FIRE, "certification": "FIRE"}],
            "accept": [{"sources": ["own"]}],
        }
        await rig.competency.desk.draft("991", from_json(content), "sam", "learn it here")
        await rig.competency.desk.apply("991", "sam", "agreed")
        await rig.settle()
        assert await rig.stands() == ["1 Fire safety: never"]


async def test_names_are_told_on_request_only_and_a_list_says_how_many_there_are(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.tell(person("1"), person("2"))
        assert "Mockford" not in str(await rig.people())
        (row, *_) = await rig.people(reveal=True, limit=1, subject="resuscitation")
        assert (row["name"], row["person_id"], row["employee_number"]) == ("Fern Mockford1", "1", "20001")


async def test_figures_are_counted_for_a_part_of_the_trust(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1"), person("2", organisation_id="W2", organisation_name="Ward 2"), person("3"))
        await rig.tell(person("4", organisation_id="", organisation_name="", staff_group="Estates"))
        await rig.take(achieved("1", FIRE, "2026-01-01"))
        found = await rig.figures("organisation")
        assert [(one["key"], one["name"], one["required"], one["percent"]) for one in found["rows"]] == [
            ("", "", 1, 0.0),
            ("W1", "Ward 1", 2, 50.0),
            ("W2", "Ward 2", 1, 0.0),
        ]
        assert (found["total"]["required"], found["total"]["valid"], found["total"]["lacking_people"]) == (4, 1, 3)
        groups = (await rig.figures("staff-group", organisation="W1"))["rows"]
        assert [(one["name"], one["required"]) for one in groups] == [("Nursing", 2)]
        assert (await rig.figures(organisation=""))["total"]["required"] == 1
        assert (await rig.figures(staff_group="Estates"))["total"]["required"] == 1
        assert (await rig.figures(subject="resuscitation"))["total"]["required"] == 0
        assert (await rig.figures(subject="resuscitation"))["total"]["percent"] == 100.0


async def test_learning_that_came_before_its_person_or_its_definition_counts_once_both_are_there(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "conflict_resolution"}]}) as rig:
        name = "NHS|CSTF|NHS Conflict Resolution (England) - 3 Years|"
        kind, said = achieved("1", FIRE, "2026-01-01", "2029-01-01")
        await rig.take((kind, {**said, "competence_id": "300", "competency_name": name}))
        await rig.tell(person("1"))
        assert await rig.stands() == ["1 Conflict resolution: never"]
        await rig.take(definition("300", name))
        assert await rig.stands() == ["1 Conflict resolution: compliant"]


async def test_a_higher_level_meets_a_lower_one_where_the_trust_says_so(
    database: str, passwords: Mapping[str, str]
) -> None:
    rules = [{"subject": "safeguarding_adults", "level": "1"}]
    async with rigged(database, passwords, {"rules": rules}) as rig:
        await rig.tell(person("1"))
        await rig.take(achieved("1", SAFE2, "2026-01-01"))
        assert await rig.stands() == ["1 Safeguarding adults, level 1: never"]
        rig.settings = rig.settings.model_copy(update={"higher_levels": True})
        assert await rig.stands() == ["1 Safeguarding adults, level 1: compliant"]


async def test_an_upgrade_takes_over_who_is_known_and_works_out_what_they_hold(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords, {"rules": [{"subject": "fire_safety"}]}) as rig:
        await rig.tell(person("1"), person("2", state="leaver"))
        await rig.take(achieved("1", FIRE, "2026-01-01", "2028-01-01"), achieved("2", FIRE, "2026-01-01"))
        admin = make_engine(database, name="test")
        async with admin.begin() as connection:
            await connection.run_sync(lambda one: command.downgrade(config_for("competency", one), "competency_0002"))
        await migrate(admin, passwords, ["competency"])
        await admin.dispose()
        assert await rig.stands() == ["1 Fire safety: never"]
        await rig.settle()
        assert await rig.stands() == ["1 Fire safety: compliant"]
        assert [row["key"] for row in (await rig.figures("organisation"))["rows"]] == [""]
        await rig.tell(person("1"))
        assert [row["key"] for row in (await rig.figures("organisation"))["rows"]] == ["W1"]
