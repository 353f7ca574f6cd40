"""What a trust may say of learning in Moodle, and what is refused before anything starts."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.lms_settings import LmsSettings

REACHED: dict[str, Any] = {"url": "https://moodle.example", "token_file": "token"}


def moodle(driver: str = "moodle-rest", **said: Any) -> LmsSettings:
    return LmsSettings.model_validate({"driver": driver, **REACHED, "moodle": said})


def test_moodle_takes_completions_where_there_is_a_framework_to_rate_in() -> None:
    assert moodle(framework="4").learning_driver == "moodle-rest"
    assert moodle().learning_driver == "files"
    assert moodle("files", framework="4").learning_driver == "files"


def test_ratings_without_a_framework_are_refused() -> None:
    for driver in ("files", "moodle-rest"):
        said = {"driver": driver, **REACHED, "routes": {"learning": "moodle-rest"}}
        with pytest.raises(ValidationError, match=r"moodle\.framework"):
            LmsSettings.model_validate(said)
        assert LmsSettings.model_validate(said | {"moodle": {"framework": 4}}).learning_driver == "moodle-rest"


def test_completions_are_read_with_any_driver_if_the_site_can_be_reached_in_private() -> None:
    report = {"completions": {"report": "12", "since": "2025-04-01"}}
    said = moodle("files", **report).moodle.completions
    assert (said.report, said.since, said.every_minutes, said.overlap_days) == (12, date(2025, 4, 1), 60, 7)
    for wrong in ({"url": ""}, {"url": "http://moodle.example"}, {"token_file": None}):
        with pytest.raises(ValidationError, match=r"moodle\.completions"):
            LmsSettings.model_validate({"driver": "files", **REACHED, **wrong, "moodle": report})


@pytest.mark.parametrize(
    "wrong",
    [
        {"framework": 0},
        {"grade": 0},
        {"completions": {"report": 0}},
        {"completions": {"report": 1, "overlap_days": 0}},
        {"completions": {"report": 1, "columns": {"user": -1}}},
        {"completions": {"report": 1, "colour": "red"}},
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        moodle(**wrong)


def test_nothing_said_reads_nothing() -> None:
    assert LmsSettings().moodle.completions.report is None
    assert LmsSettings(token_file=Path("token")).moodle.framework is None
