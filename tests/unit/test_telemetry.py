"""Nothing personal in a log, whoever writes it and whatever goes wrong."""

import asyncio
import gc
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.telemetry import ALLOWED, configure_logging

CANARY = "Zoë Canary-Placeholder"


class Log:
    """What was written, line by line."""

    def __init__(self, stream: io.StringIO) -> None:
        self.stream = stream

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def last(self) -> dict[str, Any]:
        entry: dict[str, Any] = json.loads(self.text.splitlines()[-1])
        return entry


@pytest.fixture
def written() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level, before = root.handlers, root.level, structlog.get_config()
    stream = io.StringIO()
    configure_logging("people", "DEBUG", to=stream)
    yield Log(stream)
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level


def fail() -> None:
    raise ValueError(f"cannot handle {CANARY}")


def test_a_standard_error_that_was_put_in_its_place_for_a_while_is_not_written_to_once_it_is_closed(
    written: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    configure_logging("people")
    structlog.get_logger().info("file split")
    monkeypatch.setattr(sys, "stderr", second)
    assert "file split" in first.getvalue()
    first.close()
    structlog.get_logger().info("file complete")
    assert "file complete" in second.getvalue()


def test_a_line_is_json_and_says_service_level_event_and_time(written: Log) -> None:
    structlog.get_logger().info("file split", file="A.DAT", records=3)
    entry = written.last
    assert (entry["service"], entry["level"], entry["event"]) == ("people", "info", "file split")
    assert (entry["file"], entry["records"]) == ("A.DAT", 3)
    assert entry["timestamp"].endswith("Z")


@pytest.mark.parametrize("key", ["last_name", "ni_number", "body", "reason", "person", "url", "exception", "stack"])
def test_a_key_that_is_not_allowed_never_leaves_the_process(written: Log, key: str) -> None:
    structlog.get_logger().info("x", **{key: CANARY})
    assert "Canary" not in written.text
    assert set(written.last) <= ALLOWED


def test_a_key_bound_earlier_is_no_way_around(written: Log) -> None:
    structlog.contextvars.bind_contextvars(last_name=CANARY, vpd="999")
    structlog.get_logger().bind(email=CANARY).warning("x")
    assert "Canary" not in written.text
    assert written.last["vpd"] == "999"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=5))
def test_no_key_whatever_passes_unless_it_is_allowed(written: Log, said: dict[str, str]) -> None:
    structlog.get_logger().info("x", **{key: value for key, value in said.items() if key != "event"})
    assert set(written.last) <= ALLOWED


def test_an_exceptions_text_never_appears_only_its_class_and_places(written: Log) -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("batch failed", queue="people.records")
    assert "Canary" not in written.text
    assert written.last["error"] == "ValueError"
    assert [frame.rpartition(":")[2] for frame in written.last["frames"]][-1] == "fail"


def test_the_text_of_the_cause_of_an_exception_never_appears_either(written: Log) -> None:
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError:
        structlog.get_logger().exception("x")
    assert "Canary" not in written.text
    assert written.last["error"] == "RuntimeError"


def test_an_exception_handed_over_as_an_object_is_told_the_same_way(written: Log) -> None:
    try:
        fail()
    except ValueError as error:
        caught = error
    structlog.get_logger().error("x", exc_info=caught)
    assert "Canary" not in written.text
    assert written.last["error"] == "ValueError"
    assert written.last["frames"]


def test_asking_for_an_exception_where_there_is_none_does_no_harm(written: Log) -> None:
    structlog.get_logger().error("x", exc_info=True)
    assert written.last["event"] == "x"


def test_of_a_librarys_log_only_the_fixed_sentence_is_told(written: Log) -> None:
    logging.getLogger("library.part").warning("cannot store %s for %d", CANARY, 5)
    assert "Canary" not in written.text
    assert written.last["event"] == "cannot store %s for %d"
    assert written.last["logger"] == "library.part"


def test_of_a_librarys_exception_only_the_class_is_told(written: Log) -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("library").exception("failed")
    assert "Canary" not in written.text
    assert (written.last["level"], written.last["error"]) == ("error", "ValueError")


def test_an_exception_that_a_library_logs_as_its_sentence_is_told_by_its_class(written: Log) -> None:
    logging.getLogger("library").error(ValueError(CANARY))
    assert "Canary" not in written.text
    assert written.last["logger"] == "library"


async def test_a_failure_that_nobody_asked_for_is_told_without_its_text(written: Log) -> None:
    """asyncio writes the failed future, its exception's text included, into the sentence, below the first line."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError(CANARY))
    del future
    gc.collect()
    assert written.last["event"] == "Future exception was never retrieved"
    assert written.last["error"] == "ValueError"
    assert "Canary" not in written.text


def test_what_libraries_say_below_a_warning_is_not_told(written: Log) -> None:
    logging.getLogger("library").info("chatter")
    assert written.text == ""


def test_the_level_that_was_asked_for_decides(written: Log) -> None:
    configure_logging("people", "ERROR", to=written.stream)
    structlog.get_logger().warning("quiet")
    structlog.get_logger().error("loud")
    assert [json.loads(line)["event"] for line in written.text.splitlines()] == ["loud"]
