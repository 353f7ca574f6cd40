"""The sandbox's Moodle rates, completes courses and reports them as the real one was seen to."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.moodle import SERVICE_ACCOUNT, TOKEN, SandboxMoodle
from sandbox.moodle_access import CAPABILITIES
from sandbox.moodle_errors import MoodleError
from sandbox.moodle_reports import TIME

GRADE = "core_competency_grade_competency"
SUMMARY = "tool_lp_data_for_user_competency_summary"
LIST = "core_competency_list_competencies"
STATUS = "core_completion_get_course_completion_status"
REPORT = "core_reportbuilder_retrieve_report"
FILTERS = "core_reportbuilder_set_filters"
SUMMER = int(datetime(2026, 7, 14, 22, 45, 31, tzinfo=UTC).timestamp())
"""Tuesday, 14 July 2026, 11:45 PM in London."""


class Site(SandboxMoodle):
    """A site with one learner, whose clock the test moves."""

    def __init__(self, folder: Path) -> None:
        self.second = SUMMER
        super().__init__(folder / "moodle.sqlite", clock=lambda: self.second)
        self.learner = self.learner_called("e1")
        self.course = self.courses.add("FIRE")
        self.report = self.reports.add()
        self.framework = self.competencies.add_framework("CSTF")
        self.fire = self.competencies.add(self.framework, "NHS|CSTF|Fire Safety - 1 Year|")

    def learner_called(self, idnumber: str) -> int:
        return self.add_account(username=idnumber, email=f"{idnumber}@t.example", idnumber=idnumber)

    def ask(self, function: str, **given: Any) -> Any:
        """Call a function; a list of maps becomes brackets."""
        form: dict[str, Any] = {"wsfunction": function, "wstoken": TOKEN, "moodlewsrestformat": "json"}
        for name, value in given.items():
            form[name] = dict(enumerate(value)) if isinstance(value, list) else str(value)
        return self.call(TOKEN, form)

    def refusal(self, function: str, **given: Any) -> str:
        with pytest.raises(MoodleError) as refused:
            self.ask(function, **given)
        return refused.value.errorcode

    def grade(self, grade: int, note: str = "", user: int = 0) -> Any:
        return self.ask(GRADE, userid=user or self.learner, competencyid=self.fire, grade=grade, note=note)

    def summary(self) -> Any:
        return self.ask(SUMMARY, userid=self.learner, competencyid=self.fire)

    def rows(self, first: int = 0, last: int = 0, report: int = 0, **more: Any) -> list[list[str]]:
        said = {f"{TIME}_operator": 3, f"{TIME}_from": first, f"{TIME}_to": last}
        assert self.ask(FILTERS, reportid=report or self.report, parameters="{}", values=json.dumps(said)) is True
        return self.shown(report=report, **more)

    def shown(self, report: int = 0, **more: Any) -> list[list[str]]:
        answer = self.ask(REPORT, reportid=report or self.report, **({"perpage": 0} | more))
        return [row["columns"] for row in answer["data"]["rows"]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# Competencies


def test_the_same_rating_again_is_another_piece_of_evidence_and_the_newest_comes_first(site: Site) -> None:
    note = '{"src": "ESR", "a": "5 < 6 & 7 > 2 🚒"}'
    assert site.grade(2, note)["note"] == note
    site.second += 1
    site.grade(2, note)
    assert site.grade(1)["id"] == 3
    summary = site.summary()
    assert [one["id"] for one in summary["evidence"]] == [3, 2, 1]
    assert [one["note"] for one in summary["evidence"]] == ["", note, note]
    assert (summary["usercompetency"]["grade"], summary["usercompetency"]["proficiency"]) == (1, False)
    assert summary["evidence"][2]["userdate"] == "Tuesday, 14 July 2026, 11:45 PM"


def test_looking_makes_a_row_without_a_rating(site: Site) -> None:
    summary = site.summary()
    assert (summary["usercompetency"]["grade"], summary["usercompetency"]["proficiency"]) == (None, None)
    assert (summary["evidence"], summary["cangrade"]) == ([], True)
    assert site.summary()["usercompetency"]["id"] == summary["usercompetency"]["id"]


def test_what_is_wrong_with_a_rating_has_one_code(site: Site) -> None:
    for grade in (0, 3, -1):
        pair = {"userid": site.learner, "competencyid": site.fire}
        assert site.refusal(GRADE, **pair, grade=grade) == "invalidpersistenterror"
    assert site.refusal(GRADE, userid=site.learner, competencyid=99, grade=2) == "invalidpersistenterror"
    assert site.refusal(GRADE, userid=99, competencyid=site.fire, grade=2) == "invalidpersistenterror"
    for wrong in ({"grade": ""}, {"grade": 2, "note": "<b>x</b>"}, {"grade": 2, "date": 1}):
        assert site.refusal(GRADE, userid=site.learner, competencyid=site.fire, **wrong) == "invalidparameter"


def test_deleted_and_suspended_accounts_are_rated_all_the_same(site: Site) -> None:
    site.change(site.learner, suspended=1)
    site.grade(2)
    site.delete(site.learner)
    site.grade(2)
    assert len(site.competencies.notes(site.learner, site.fire)) == 2


def test_deleting_evidence_leaves_the_rating(site: Site) -> None:
    site.grade(1)
    assert site.ask("core_competency_delete_evidence", id=site.grade(2)["id"]) is True
    assert site.competencies.rating(site.learner, site.fire) == 2
    assert len(site.summary()["evidence"]) == 1
    assert site.refusal("core_competency_delete_evidence", id=77) == "invalidrecord"


def test_competencies_are_found_by_exact_filters_and_by_anybody(site: Site) -> None:
    other = site.competencies.add(site.competencies.add_framework("OTHER"), "NHS|CSTF|Fire Safety - 1 Year|")
    site.allow("webservice/rest:use")
    exact = {"column": "idnumber", "value": "NHS|CSTF|Fire Safety - 1 Year|"}
    here = {"column": "competencyframeworkid", "value": str(site.framework)}
    assert [one["id"] for one in site.ask(LIST, filters=[exact])] == [site.fire, other]
    assert [one["id"] for one in site.ask(LIST, filters=[exact, here])] == [site.fire]
    assert site.ask(LIST, filters=[exact | {"value": "nhs|cstf|fire safety - 1 year|"}]) == []
    assert site.refusal(LIST) == "invalidparameter"
    assert site.refusal(LIST, filters=[{"column": "colour", "value": "red"}]) == "invalidparameter"


def test_a_framework_tells_its_scale_and_a_scale_its_values(site: Site) -> None:
    framework = site.ask("core_competency_read_competency_framework", id=site.framework)
    assert [one["proficient"] for one in json.loads(framework["scaleconfiguration"])[1:]] == [0, 1]
    values = site.ask("core_competency_get_scale_values", scaleid=framework["scaleid"])
    assert [one["id"] for one in values] == [1, 2]
    assert site.refusal("core_competency_read_competency_framework", id=77) == "invalidrecord"


@pytest.mark.parametrize(("function", "right"), [(GRADE, "competencygrade"), (SUMMARY, "usercompetencyview")])
def test_ratings_need_rights(site: Site, function: str, right: str) -> None:
    site.allow(*(set(CAPABILITIES) - {f"moodle/competency:{right}"}))
    more = {"grade": 2} if function == GRADE else {}
    assert site.refusal(function, userid=site.learner, competencyid=site.fire, **more) == "nopermissions"


# Courses


def status(site: Site, course: int = 0) -> tuple[bool, list[int | None]]:
    said = site.ask(STATUS, courseid=course or site.course, userid=site.learner)["completionstatus"]
    return said["completed"], [one["timecompleted"] for one in said["completions"]]


def test_the_last_activity_completes_a_course_at_once(site: Site) -> None:
    course = site.courses.add("TWO", 2)
    site.courses.enrol(course, site.learner)
    site.courses.do(course, site.learner, 1)
    assert status(site, course) == (False, [SUMMER, None])
    site.second += 3
    site.courses.do(course, site.learner, 2)
    assert status(site, course) == (True, [SUMMER, SUMMER + 3])
    assert [row[2] for row in site.rows(SUMMER + 3, SUMMER + 3)] == ["Tuesday, 14 July 2026, 11:45 PM"]


def test_what_was_done_before_enrolment_completes_the_course_two_runs_of_cron_later_with_its_own_time(
    site: Site,
) -> None:
    site.courses.do(site.course, site.learner)
    site.second += 86400
    site.courses.enrol(site.course, site.learner)
    assert status(site) == (False, [None])
    site.courses.cron()
    assert status(site) == (False, [SUMMER])
    site.courses.cron()
    assert status(site) == (True, [SUMMER])
    assert len(site.rows(SUMMER, SUMMER)) == 1


def test_a_date_that_has_passed_is_noted_by_cron(site: Site) -> None:
    course = site.courses.add("DATED", 1, after=SUMMER - 100)
    site.courses.enrol(course, site.learner)
    site.courses.do(course, site.learner)
    for completed in (False, False, True):
        assert status(site, course)[0] is completed
        site.courses.cron()
    assert len(site.rows(SUMMER, SUMMER)) == 1


def test_each_reason_not_to_tell_has_its_code(site: Site) -> None:
    pair = {"courseid": site.course, "userid": site.learner}
    assert site.refusal(STATUS, **pair) == "usernotenroled"
    site.courses.enrol(site.course, site.learner)
    assert site.refusal(STATUS, **pair | {"courseid": 99}) == "invalidrecord"
    assert site.refusal(STATUS, **pair | {"userid": 99}) == "invaliduser"
    for right, code in (("report/completion:view", "cannotviewreport"), ("moodle/course:view", "requireloginerror")):
        site.allow(*(set(CAPABILITIES) - {right}))
        assert site.refusal(STATUS, **pair) == code
    site.allow(*CAPABILITIES)
    site.delete(site.learner)
    assert site.refusal(STATUS, **pair) == "userdeleted"


# Reports


def completed(site: Site) -> None:
    site.courses.enrol(site.course, site.learner)
    site.courses.do(site.course, site.learner)


def test_times_are_printed_in_the_zone_of_whoever_asks(site: Site) -> None:
    completed(site)
    assert site.rows() == [["e1", "FIRE", "Tuesday, 14 July 2026, 11:45 PM"]]
    site.change(SERVICE_ACCOUNT, timezone="Pacific/Auckland")
    assert site.rows() == [["e1", "FIRE", "Wednesday, 15 July 2026, 10:45 AM"]]


def test_both_ends_of_a_range_belong_to_it_and_0_is_open(site: Site) -> None:
    completed(site)
    ranges = [(0, SUMMER), (SUMMER, 0), (SUMMER, SUMMER), (SUMMER + 1, 0), (0, SUMMER - 1)]
    assert [len(site.rows(*one)) for one in ranges] == [1, 1, 1, 0, 0]


def test_a_filter_stays_until_it_is_reset(site: Site) -> None:
    completed(site)
    assert site.rows(SUMMER + 1) == []
    assert site.shown() == []
    assert site.ask("core_reportbuilder_filters_reset", reportid=site.report) is True
    assert len(site.shown()) == 1


def test_a_filter_the_report_does_not_have_is_taken_and_filters_nothing(site: Site) -> None:
    completed(site)
    bare = site.reports.add("Bare", filters=())
    assert len(site.rows(1, 1, report=bare)) == 1


def test_two_enrolments_tell_a_completion_twice_and_none_hides_it(site: Site) -> None:
    completed(site)
    site.courses.enrol(site.course, site.learner, "cohort")
    assert len(site.rows()) == 2
    site.courses.leave(site.course, site.learner)
    assert site.rows() == []
    assert site.refusal(STATUS, courseid=site.course, userid=site.learner) == "usernotenroled"
    site.courses.enrol(site.course, site.learner)
    assert len(site.rows(SUMMER, SUMMER)) == 1


def test_deleted_users_vanish_and_a_method_that_has_nobody_gives_a_blank_row(site: Site) -> None:
    completed(site)
    site.change(site.learner, suspended=1)
    site.courses.enrol(site.course)
    site.ask("core_reportbuilder_filters_reset", reportid=site.report)
    assert sorted(site.shown()) == [["", "FIRE", ""], ["e1", "FIRE", "Tuesday, 14 July 2026, 11:45 PM"]]
    site.delete(site.learner)
    assert site.shown() == [["", "FIRE", ""]]


def test_pages_have_ten_rows_unless_asked_for_more_and_ties_change_places(site: Site) -> None:
    for number in range(12):
        user = site.learner_called(f"x{number}")
        site.courses.enrol(site.course, user)
        site.courses.do(site.course, user)
    site.rows()
    assert len(site.ask(REPORT, reportid=site.report)["data"]["rows"]) == 10
    assert [len(site.shown(page=page, perpage=5)) for page in (-1, 0, 1, 2, 3)] == [5, 5, 5, 2, 0]
    assert [len(site.shown(perpage=size)) for size in (0, -1, 100000)] == [12, 12, 12]
    assert len({tuple(row[0] for row in site.shown()) for _ in range(5)}) > 1


def test_only_an_audience_with_the_right_sees_a_report(site: Site) -> None:
    hidden = site.reports.add("Hidden", audience=False)
    seen = site.ask("core_reportbuilder_list_reports")["reports"]
    assert [one["id"] for one in seen] == [site.report]
    assert site.refusal(REPORT, reportid=hidden) == "errorreportview"
    assert site.refusal(REPORT, reportid=77) == "invalidrecord"
    site.allow(*(set(CAPABILITIES) - {"moodle/reportbuilder:view"}))
    assert site.refusal(REPORT, reportid=site.report) == "errorreportview"
    assert site.refusal(FILTERS, reportid=site.report, values="no json") == "errorreportview"
    site.allow(*CAPABILITIES)
    assert site.refusal(FILTERS, reportid=site.report, values="no json") == "invalidparameter"
