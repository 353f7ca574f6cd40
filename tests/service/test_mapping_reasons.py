"""What was decided on a person and why, where ESR and the LMS come to differ, and what a report of the LMS tells."""

from collections.abc import Mapping
from typing import Any

from services.competency import views
from shared import events
from shared.mapping_settings import MappingSet, from_json
from tests.service.test_mapping_versions import FIRE, VPD, Rig, Said, achieved, rigged

RENEWED: MappingSet = from_json(
    {
        "mappings": [{"competence_id": FIRE, "certification": "FIRE", "expiry": "local", "period": "2 years"}],
        "renewals": [{"certification": "FIRE", "method": "expiry", "active": "3 years", "window": "2 months"}],
        "for_esr": [FIRE],
        "on_removal": "withdraw",
    }
)


def row(person: str, status: str, at: str = "", expires: str = "", opens: str = "") -> Said:
    said = {"user_idnumber": f"{VPD}-{person}", "certification_idnumber": "FIRE", "status": status}
    times = {"completed_at": at, "expires_on": expires, "window_opens_on": opens}
    return "certification.upsert", said | {name: value for name, value in times.items() if value}


def fire(person: str, day: str, until: str = "") -> Said:
    kind, said = achieved(person)
    more = {"competency_element_id": f"{person}{day}", "date_from": day} | ({"date_to": until} if until else {})
    return kind, said | more


async def renewed(rig: Rig) -> None:
    await rig.competency.desk.draft(VPD, RENEWED, "sam", "it is renewed in the LMS now")
    await rig.competency.desk.apply(VPD, "sam", "checked")
    await rig.settle()


async def explained(rig: Rig, person: str) -> list[dict[str, Any]]:
    async with rig.reader.trust(VPD) as connection:
        return await views.explain(connection, VPD, person)


async def test_everything_decided_on_a_person_is_told_with_its_reason(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(row("3", "certified", "2026-03-02T10:00:00+00:00", "2029-03-02", "2029-01-02"))
        told = await explained(rig, "3")
    assert [(one["source"], one["verdict"], one.get("reason")) for one in told[:2]] == [
        ("lms", "to_esr", "the LMS shows 2029-03-02 for FIRE"),
        ("esr", "certification", f"does not expire: ESR definition {FIRE} has no renewal period"),
    ]
    assert (told[0]["file"], told[0]["line"], told[0]["expires_on"]) == ("F0003", 1, "2029-03-02")


async def test_warnings_are_counted_by_code_and_listed_with_the_person(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await renewed(rig)
        await rig.take(fire("1", "2026-03-01", "2028-03-01"), fire("2", "2026-03-02", "2028-03-02"))
        async with rig.reader.trust(VPD) as connection:
            found = await views.warnings(connection, VPD, 1)
    assert found["codes"] == {"RW01": 2}
    (listed,) = found["warnings"]
    assert (listed["person_id"], listed["achieved_on"]) == ("1", "2026-03-01")
    assert listed["warning"].startswith("RW01 365 days apart: the LMS would expire on 2029-03-01")


async def test_a_completion_in_a_report_is_told_to_esr_once_however_often_the_report_comes(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await renewed(rig)
        rig.told.clear()
        said = ("3", "certified", "2026-03-02T10:00:00+00:00", "2029-03-02", "2029-01-02")
        await rig.take(row(*said))
        (event,) = [one for one in rig.told if isinstance(one, events.CertificationCompleted)]
        assert (event.expires_on, event.reason) == (
            "2028-03-02",
            "2 years from 2026-03-02 by the trust's rule for FIRE",
        )
        rig.told.clear()
        await rig.take(row(*said))
        await rig.take(row("3", "window-open", *said[2:]))
        await rig.take(row("3", "history", *said[2:4]))
        await rig.take(row("3", "expired"))
        assert rig.names() == []


async def test_a_history_row_of_what_stands_does_not_hide_that_it_stands(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await renewed(rig)
        said = ("2023-05-01T10:00:00+00:00", "2026-05-01")
        await rig.take(row("3", "window-open", *said, "2026-03-01"), row("3", "history", *said))
        await rig.take(fire("3", "2026-03-02", "2029-03-02"))
        told = [one for one in await explained(rig, "3") if one.get("achieved_on") == "2026-03-02"]
        assert [one["warnings"][0][:4] for one in told] == ["RW01"]


async def test_effects_wait_for_esrs_file_and_not_for_a_report_of_the_lms(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(fire("4", "2026-03-01"))
        await rig.take(row("4", "assigned"))
        rig.told.clear()
        await rig.hire("4")
        (event,) = [one for one in rig.told if isinstance(one, events.CompetenceAchieved)]
        assert (event.cause.stream, event.cause.file) == ("feed", "F0003")


async def test_the_expiry_an_lms_forgot_goes_with_the_next_achievement(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(row("3", "certified", "2023-01-10T10:00:00+00:00", "2026-01-10", "2025-11-10"))
        await rig.take(row("3", "expired"))
        rig.told.clear()
        await rig.take(fire("3", "2026-03-01"))
        (event,) = [one for one in rig.told if isinstance(one, events.CompetenceAchieved)]
        assert (event.achieved_on, event.due_on) == ("2026-03-01", "2026-01-10")


async def test_a_removed_achievement_is_withdrawn_where_the_mappings_say_so(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        gone: Said = ("competency_element.delete", {"competency_element_id": f"1{FIRE}"})
        other: Said = ("competency_element.delete", {"competency_element_id": f"2{FIRE}"})
        await rig.take(gone)
        await renewed(rig)
        await rig.take(other)
        told = [(one.key, one.withdraw) for one in rig.told if isinstance(one, events.CompetenceWithdrawn)]
        assert told == [(f"1{FIRE}", False), (f"2{FIRE}", True)]
