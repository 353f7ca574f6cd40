"""Learning in Moodle: a rating for each certification, told once, with its dates in the note."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.moodle import TOKEN, SandboxMoodle
from sandbox.moodle_access import CAPABILITIES, FUNCTIONS
from sandbox.moodle_http import create_app
from services.outbound.lms import moodle_learning_checks, moodle_notes, moodle_ratings
from services.outbound.lms.moodle_notes import Note
from services.outbound.lms.moodle_rest import MoodleRest
from services.outbound.lms.port import Answer, Certification, Evidence
from shared.errors import LmsMisconfiguredError, LmsUnavailableError
from shared.lms_settings import LmsSettings
from tests.unit.services.rig_moodle import FIELDS, KNOWN, Seconds, furnished, settings

APPLIED = Answer("applied")
LOST = Answer("unknown", "outcome-unknown")
FIRE = Certification("999-1", "FIRE", "2026-03-02", "2027-03-02")
ITEM = Evidence("999-1", "E77", "Local <Induction> & more", "2026-03-02", "")
GRADE = moodle_ratings.GRADE


@dataclass(frozen=True, slots=True)
class Desk:
    """A driver, the site behind it, an account and the competency FIRE."""

    driver: MoodleRest
    site: SandboxMoodle
    clock: Seconds
    framework: int
    user: int
    fire: int

    async def record(self, *certifications: Certification) -> list[Answer]:
        return await self.driver.record_completion(certifications)

    @property
    def notes(self) -> list[Any]:
        return [json.loads(note) for note in self.site.competencies.notes(self.user, self.fire)]

    @property
    def rating(self) -> int | None:
        return self.site.competencies.rating(self.user, self.fire)

    def ratings(self) -> int:
        return sum(name == GRADE for name, _ in self.site.calls)


def driver_of(site: SandboxMoodle, clock: Seconds, **moodle: Any) -> MoodleRest:
    given_settings: LmsSettings = settings(**moodle)
    transport = httpx.ASGITransport(create_app(site))
    return MoodleRest(given_settings, FIELDS, lambda: TOKEN, transport=transport, clock=clock)


@pytest.fixture
def site(tmp_path: Path) -> SandboxMoodle:
    return furnished(tmp_path)


@pytest.fixture
async def desk(site: SandboxMoodle) -> AsyncIterator[Desk]:
    framework = site.competencies.add_framework("CSTF")
    fire = site.competencies.add(framework, "FIRE")
    site.competencies.add(framework, "fire")
    site.competencies.add(site.competencies.add_framework("OTHER"), "MOVING")
    user = site.add_account(
        username="u1", firstname="Fern", lastname="Mockford", email="u1@x.example", idnumber="999-1"
    )
    clock = Seconds()
    driver = driver_of(site, clock, framework=framework)
    yield Desk(driver, site, clock, framework, user, fire)
    await driver.close()


async def test_a_certification_becomes_a_rating_whose_note_tells_the_dates(desk: Desk) -> None:
    assert await desk.driver.check() == []
    assert await desk.record(FIRE) == [APPLIED]
    assert desk.rating == 2
    assert desk.notes == [
        {"key": "999-1|FIRE|2026-03-02", "completed": "2026-03-02", "expires": "2027-03-02", "source": "ESR"}
    ]


async def test_the_same_certification_is_rated_once(desk: Desk) -> None:
    assert await desk.record(FIRE, FIRE) == [APPLIED, APPLIED]
    assert await desk.record(FIRE) == [APPLIED]
    assert desk.ratings() == 1


async def test_a_newer_completion_is_told_and_an_older_one_is_not(desk: Desk) -> None:
    newer = replace(FIRE, completed_on="2027-02-01", expires_on="2028-02-01")
    assert await desk.record(newer) == [APPLIED]
    assert await desk.record(FIRE) == [APPLIED]
    assert [note["completed"] for note in desk.notes] == ["2027-02-01"]
    assert await desk.record(replace(newer, completed_on="2028-01-01")) == [APPLIED]
    assert [note["completed"] for note in desk.notes] == ["2027-02-01", "2028-01-01"]


async def test_a_corrected_expiry_is_told_once(desk: Desk) -> None:
    corrected = replace(FIRE, expires_on="2029-03-02")
    await desk.record(FIRE)
    assert await desk.record(corrected) == [APPLIED]
    assert await desk.record(corrected) == [APPLIED]
    assert [note["expires"] for note in desk.notes] == ["2027-03-02", "2029-03-02"]


async def test_what_people_note_themselves_is_passed_over(desk: Desk) -> None:
    app = httpx.ASGITransport(create_app(desk.site))
    async with httpx.AsyncClient(transport=app, base_url="https://moodle.example") as client:
        ours = '"key": "999-1|FIRE|2026-03-02", "completed": "2026-03-02", "expires": "2027-03-02"'
        for note in (
            "seen at work",
            '{"source": "me", ' + ours + "}",
            "[]",
            '{"source": "ESR", "key": 1, "completed": 2}',
        ):
            form = {"wstoken": TOKEN, "wsfunction": GRADE, "moodlewsrestformat": "json"}
            form |= {"userid": str(desk.user), "competencyid": str(desk.fire), "grade": "1", "note": note}
            assert (await client.post("/webservice/rest/server.php", data=form)).json()["note"] == note
    assert await desk.record(FIRE) == [APPLIED]
    assert desk.rating == 2


@pytest.mark.parametrize("certification", ["MOVING", "Fire", "", "FIRE "])
async def test_a_competency_is_found_in_its_framework_letter_by_letter(desk: Desk, certification: str) -> None:
    unknown = replace(FIRE, certification=certification)
    assert await desk.record(unknown, FIRE) == [Answer("rejected", "unknown-certification"), APPLIED]


async def test_accounts_that_moodle_would_rate_all_the_same_are_guarded(desk: Desk) -> None:
    nobody = replace(FIRE, idnumber="999-2")
    desk.site.change(desk.user, suspended=1)
    twins = [desk.site.add_account(username=one, email=f"{one}@x.example", idnumber="999-3") for one in ("t1", "t2")]
    assert await desk.record(nobody, FIRE, replace(FIRE, idnumber="999-3")) == [
        Answer("rejected", "unknown-account"),
        Answer("rejected", "account-suspended"),
        Answer("rejected", "idnumber-ambiguous"),
    ]
    desk.site.delete(twins[0])
    desk.site.change(desk.user, suspended=0)
    desk.site.delete(desk.user)
    assert await desk.record(FIRE) == [Answer("rejected", "unknown-account")]
    assert desk.ratings() == 0


async def test_the_highest_proficient_value_is_given_unless_another_is_set(desk: Desk) -> None:
    scale = ("none", "some", "competent", "not applicable")
    own = desk.site.competencies.add(desk.framework, "MOVING", scale, (2, 3))
    other = replace(FIRE, certification="MOVING")
    assert await desk.record(other) == [APPLIED]
    assert desk.site.competencies.rating(desk.user, own) == 3
    lower = driver_of(desk.site, desk.clock, framework=desk.framework, grade=2)
    assert await lower.record_completion([replace(other, completed_on="2027-03-02")]) == [APPLIED]
    assert desk.site.competencies.rating(desk.user, own) == 2
    await lower.close()


async def test_a_scale_without_the_value_to_give_is_no_reason_to_give_another(desk: Desk) -> None:
    desk.site.competencies.add(desk.framework, "MOVING", ("a", "b"), ())
    assert await desk.record(replace(FIRE, certification="MOVING")) == [Answer("rejected", "scale-unfit")]
    high = driver_of(desk.site, desk.clock, framework=desk.framework, grade=3)
    assert await high.record_completion([FIRE]) == [Answer("rejected", "scale-unfit")]
    assert [one.code for one in await high.check()] == ["scale-unfit"]
    await high.close()


async def test_a_lost_reply_is_unknown_and_the_note_decides_next_time(desk: Desk) -> None:
    desk.site.faults.lose_replies = 1
    moving = replace(FIRE, certification="MOVING")
    assert await desk.record(FIRE, moving) == [LOST, Answer("unknown", "not-tried")]
    assert await desk.record(FIRE) == [APPLIED]
    assert desk.ratings() == 1


async def test_a_rating_that_may_still_come_is_not_made_again_before_its_time_has_passed(desk: Desk) -> None:
    silent = [True]
    made = httpx.ASGITransport(create_app(desk.site))

    async def answer(request: httpx.Request) -> httpx.Response:
        if silent[0] and GRADE.encode() in request.content:
            raise httpx.ReadTimeout("")
        return await made.handle_async_request(request)

    class Way(httpx.AsyncBaseTransport):
        handle_async_request = staticmethod(answer)

    given_settings = settings(framework=desk.framework)
    driver = MoodleRest(given_settings, FIELDS, lambda: TOKEN, transport=Way(), clock=desk.clock)
    assert await driver.record_completion([FIRE]) == [LOST]
    silent[0] = False
    desk.clock.now += driver.settling - 1
    assert await driver.record_completion([FIRE]) == [LOST]
    desk.clock.now += 2
    assert await driver.record_completion([FIRE]) == [APPLIED]
    assert desk.ratings() == 1
    await driver.close()


async def test_a_lost_race_in_the_database_is_looked_up_and_tried_once_more(desk: Desk) -> None:
    desk.site.faults.conflicts = 1
    assert await desk.record(FIRE) == [APPLIED]
    desk.site.faults.conflicts = 2
    assert await desk.record(replace(FIRE, completed_on="2027-03-02")) == [Answer("rejected", "write-failed")]


async def test_an_answer_moodle_could_not_make_does_not_hide_the_rating(desk: Desk) -> None:
    desk.site.faults.invalid_responses = 1
    assert await desk.record(FIRE) == [APPLIED]
    assert desk.ratings() == 1


async def test_several_at_once_rate_one_after_the_other(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.record(FIRE) for _ in range(4)))
    assert answers == [[APPLIED]] * 4
    assert desk.ratings() == 1


async def test_evidence_has_no_place_unless_one_is_set(desk: Desk) -> None:
    assert await desk.driver.add_evidence([ITEM, ITEM]) == [Answer("rejected", "no-evidence")] * 2
    assert await desk.driver.add_evidence([]) == []
    place = desk.site.competencies.add(desk.framework, "PRIOR")
    driver = driver_of(desk.site, desk.clock, framework=desk.framework, evidence_competency="PRIOR")
    assert await driver.check() == []
    other = replace(ITEM, reference="E78", completed_on="2020-01-01")
    assert await driver.add_evidence([ITEM, other, ITEM]) == [APPLIED] * 3
    told = [json.loads(note) for note in desk.site.competencies.notes(desk.user, place)]
    assert [(one["reference"], one["name"], one["completed"]) for one in told] == [
        ("E77", ITEM.name, "2026-03-02"),
        ("E78", ITEM.name, "2020-01-01"),
    ]
    await driver.close()


async def test_a_place_for_evidence_that_is_not_there_is_found(desk: Desk) -> None:
    driver = driver_of(desk.site, desk.clock, framework=desk.framework, evidence_competency="PRIOR")
    assert [one.code for one in await driver.check()] == ["evidence-competency-unknown"]
    assert await driver.add_evidence([ITEM]) == [Answer("rejected", "evidence-competency-unknown")]
    await driver.close()


async def test_a_framework_that_is_not_there_or_empty_is_found(desk: Desk) -> None:
    empty = desk.site.competencies.add_framework("EMPTY")
    for framework, code in ((empty, "framework-empty"), (777, "framework-unknown")):
        driver = driver_of(desk.site, desk.clock, framework=framework)
        assert [one.code for one in await driver.check()] == [code]
        await driver.close()


@pytest.mark.parametrize("right", ["competencyview", "usercompetencyview", "competencygrade"])
async def test_each_missing_right_is_found_before_anybody_is_rated(desk: Desk, right: str) -> None:
    desk.site.allow(*(set(CAPABILITIES) - {f"moodle/competency:{right}"}))
    assert [one.code for one in await desk.driver.check()] == ["rating-right-missing"]
    if right != "competencyview":
        with pytest.raises(LmsMisconfiguredError):
            await desk.record(FIRE)


@pytest.mark.parametrize("function", moodle_learning_checks.FUNCTIONS)
async def test_each_missing_function_is_found_where_people_are_rated(
    desk: Desk, site: SandboxMoodle, function: str
) -> None:
    site.offer(*(set(FUNCTIONS) - {function}))
    (found,) = await desk.driver.check()
    assert (found.code, function in found.sentence) == ("functions-missing", True)
    accounts_only = driver_of(site, desk.clock)
    assert await accounts_only.check() == []
    await accounts_only.close()


async def test_a_site_that_is_away_is_no_refusal(desk: Desk) -> None:
    desk.site.faults.state = "maintenance-page"
    with pytest.raises(LmsUnavailableError):
        await desk.record(FIRE)
    with pytest.raises(LmsUnavailableError):
        await desk.driver.check()


async def test_nobody_is_rated_while_the_known_account_is_not_seen(desk: Desk) -> None:
    desk.site.change(next(one["id"] for one in desk.site.accounts() if one["idnumber"] == KNOWN), idnumber="gone")
    with pytest.raises(LmsMisconfiguredError):
        await desk.record(FIRE)


texts = st.text(max_size=30)
days = st.dates().map(str)


@given(st.text(min_size=1, max_size=30), days, days | st.just(""), texts, texts)
def test_any_note_comes_back_from_its_text_and_holds_no_tag(
    key: str, completed: str, expires: str, reference: str, name: str
) -> None:
    note = Note(key, completed, expires, reference, name)
    text = moodle_notes.written(note)
    assert "<" not in text
    assert moodle_notes.read([text, "other"]) == [note]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=8))
def test_whatever_is_told_in_whichever_order_the_newest_completion_stands_last(told: list[tuple[int, int]]) -> None:
    held: list[Note] = []
    for day, expiry in told:
        note = moodle_notes.of_certification(replace(FIRE, completed_on=f"2026-03-0{day}", expires_on=f"203{expiry}"))
        if not moodle_notes.is_told(note, held):
            held.insert(0, note)
        assert moodle_notes.is_told(note, held)
    completed = [note.completed for note in held]
    assert completed == sorted(completed, reverse=True)


def test_every_code_of_learning_stands_in_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "lms-moodle.md").read_text(encoding="utf-8")
    words: set[str] = set()
    for module in (moodle_ratings, moodle_learning_checks):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        words |= {word for line in source.splitlines() for word in line.split('"')[1::2]}
    codes = {word for word in words if "-" in word and word.replace("-", "").isalpha() and word.islower()}
    assert "no-evidence" in codes
    assert {code for code in codes if f"`{code}`" not in manual} == set()
