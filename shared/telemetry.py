"""Logs and metrics, with nothing personal in them.

Logs are JSON, one object a line. A key that is not on the list below never leaves the process, and of an exception
only its class and the places in the code are told: its text may hold what must not be in a log.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast

import structlog
from prometheus_client import Counter, Gauge

ALLOWED: Final = frozenset(
    {
        "attempts",
        "code",
        "count",
        "day",
        "error",
        "event",
        "file",
        "file_no",
        "frames",
        "host",
        "job",
        "kind",
        "level",
        "line",
        "lines",
        "logger",
        "message_id",
        "messages",
        "origin",
        "path",
        "port",
        "queue",
        "records",
        "rows",
        "seconds",
        "sequence",
        "service",
        "signal",
        "status",
        "timestamp",
        "type",
        "version",
        "vpd",
    }
)
"""Keys a log line may have."""

HANDLED: Final = Counter("esrbridge_messages_handled_total", "Messages brought to an end.", ["service", "queue"])
EMITTED: Final = Counter("esrbridge_messages_emitted_total", "Messages committed to the outbox.", ["service", "type"])
DEAD: Final = Counter("esrbridge_dead_letters_total", "Messages given up, by the failure's code.", ["service", "code"])
WAITING: Final = Gauge(
    "esrbridge_loop_waiting", "1 while a loop waits for something that is down.", ["service", "loop"]
)
JOB_FAILURES: Final = Counter("esrbridge_job_failures_total", "Background runs that failed.", ["service", "job"])
LATE_STEPS: Final = Gauge(
    "esrbridge_late_steps", "Days of a trust's nightly step that are late and not done.", ["service", "step", "vpd"]
)
OUTBOX: Final = Gauge("esrbridge_outbox_rows", "Outbox rows not published yet.", ["service"])


def configure_logging(service: str, level: str = "INFO", *, to: TextIO | None = None) -> None:
    """Send this process's logs, those of libraries included, to standard error (or ``to``) as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_places_of_exceptions,
    ]
    structlog.configure(
        processors=[*shared, _only_allowed, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=to or _STANDARD_ERROR),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


class _StandardError:
    """Standard error as it is at the moment of writing: a stream that stood in its place for a while may be closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STANDARD_ERROR: Final = cast("TextIO", _StandardError())


class _LibraryHandler(logging.Handler):
    """Passes on what libraries log: the fixed part of the sentence, never the values put into it."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger("library")
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        log.log(max(record.levelno, logging.WARNING), _fixed_part(record.msg), logger=record.name, error=error)


def _fixed_part(message: object) -> str:
    """Return what cannot hold a value: asyncio adds failed futures below the first line; some log an exception."""
    return message.partition("\n")[0][:200] if isinstance(message, str) else type(message).__name__


def _only_allowed(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
    return {key: value for key, value in entry.items() if key in ALLOWED and value != ""}


def _only_places_of_exceptions(
    _: Any,  # noqa: ANN401 - structlog's processor signature
    __: str,
    entry: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    info = entry.pop("exc_info", None)
    if info:
        error = info if isinstance(info, BaseException) else sys.exc_info()[1] if info is True else info[1]
        entry["error"] = type(error).__name__ if error else ""
        trace = traceback.extract_tb(error.__traceback__ if error else None)
        entry["frames"] = [f"{f.filename.rpartition('/')[2]}:{f.lineno}:{f.name}" for f in trace]
    return entry
