"""Reading a report of Moodle: whatever else answers is no reason to believe that nobody completed anything."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from services.ingest.moodle_report import Report, Row
from services.ingest.moodle_seconds import Seconds
from shared.errors import LmsMisconfiguredError, LmsUnavailableError
from shared.moodle.call import MoodleCall
from shared.moodle.settings import ReportColumns

Answer = Callable[[dict[str, list[str]]], Any]
ROW = Row("999-1", "A&B", "Sunday")


def call_to(answer: Answer) -> MoodleCall:
    def handle(request: httpx.Request) -> httpx.Response:
        said = answer(parse_qs(request.content.decode()))
        return said if isinstance(said, httpx.Response) else httpx.Response(200, json=said)

    way = httpx.MockTransport(handle)
    return MoodleCall("https://m.example", lambda: "t", timeout=1, variables=900, transport=way)


def report_of(answer: Answer) -> Report:
    return Report(call_to(answer), 1, ReportColumns())


def told(*rows: list[Any], total: int | None = None) -> dict[str, Any]:
    number = len(rows) if total is None else total
    data = {"headers": ["a", "b", "c"], "rows": [{"columns": row} for row in rows], "totalrowcount": number}
    return {"data": data, "warnings": []}


async def test_cells_are_read_as_the_page_shows_them_and_blank_ones_are_no_completion() -> None:
    rows = (["999-1", "A&amp;B", " Sunday "], ["999-1", "A&amp;B", "Sunday"], [None, "X", ""], ["999-2", "", "Sunday"])
    assert await report_of(lambda _: told(*rows)).rows(1, 9) == {ROW}


async def test_the_filter_is_set_before_each_question() -> None:
    asked: list[dict[str, list[str]]] = []

    def answer(form: dict[str, list[str]]) -> Any:
        asked.append(form)
        return told()

    await report_of(answer).rows(5, 9)
    assert [one["wsfunction"][0].rpartition("_")[2] for one in asked] == ["filters", "report"]
    said = json.loads(asked[0]["values"][0])
    assert sorted(said.values()) == [3, 5, 9]
    assert asked[1]["perpage"] == ["5000"]


@pytest.mark.parametrize(
    "odd",
    [
        httpx.Response(200, text="null"),
        [],
        {"data": None},
        {"data": {"headers": ["a", "b", "c"], "rows": [{"columns": ["x"]}], "totalrowcount": 1}},
        {"data": {"headers": ["a", "b", "c"], "rows": [{"columns": [1, 2, 3]}], "totalrowcount": 1}},
        {"data": {"headers": ["a", "b", "c"], "rows": [], "totalrowcount": "many"}},
        httpx.Response(200, text="<html>Sign in</html>"),
        httpx.Response(502),
    ],
)
async def test_an_answer_of_another_shape_is_a_site_that_is_away(odd: Any) -> None:
    with pytest.raises(LmsUnavailableError):
        await report_of(lambda form: odd if "page" in form else True).rows(1, 9)


async def test_a_refusal_without_a_reason_is_told_to_a_person() -> None:
    refused = {"exception": "x", "errorcode": "invalidparameter", "message": "secret"}
    with pytest.raises(LmsMisconfiguredError) as told_to:
        await report_of(lambda _: refused).rows(1, 9)
    assert "secret" not in str(told_to.value)


@pytest.mark.parametrize(
    "odd",
    [
        httpx.Response(200, text="null"),
        [],
        {"completionstatus": None},
        {"completionstatus": {"completed": True, "aggregation": 1, "completions": None}},
        {"completionstatus": {"completed": True, "aggregation": 1, "completions": [{"timecompleted": None}]}},
        {"completionstatus": {"completed": False, "aggregation": 1, "completions": [{"timecompleted": 7}]}},
        {"completionstatus": {"completed": True, "aggregation": 1, "completions": [{"timecompleted": 700}]}},
    ],
)
async def test_a_status_that_does_not_tell_the_second_leads_to_the_filter(odd: Any) -> None:
    """The completion was in second 5 of 1 to 9."""
    said: dict[str, Any] = {}

    def answer(form: dict[str, list[str]]) -> Any:
        match form["wsfunction"][0].rpartition("_")[2]:
            case "filters":
                said.update(json.loads(form["values"][0]))
                return True
            case "report":
                first, last = (said[f"completion:timecompleted_{end}"] for end in ("from", "to"))
                return told(["999-1", "A&B", "Sunday"]) if first <= 5 <= last else told()
            case "status":
                return odd
            case "field" if form["wsfunction"][0].startswith("core_user"):
                return [{"id": 3, "idnumber": "999-1"}]
            case _:
                return {"courses": [{"id": 4}]}

    call = call_to(answer)
    report = Report(call, 1, ReportColumns())
    assert await Seconds(call, report).of([ROW], 1, 9) == {ROW: 5}
    assert await Seconds(call, report).of([Row("999-1", "A&B", "Monday")], 1, 9) == {}
