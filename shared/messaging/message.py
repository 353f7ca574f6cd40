"""One message on the broker, as every service sees it, whatever carries it."""

import functools
import hashlib
from typing import Self

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A message: where it goes, what it says, and where it comes from.

    The trust (``vpd``) is on every message. ``file``, ``file_no`` and ``line`` name the line that caused it, directly
    or through other events; ``file_no`` and ``line`` together are the version of a fact. The body is JSON and may
    hold personal data, so it never goes into a log.
    """

    exchange: str
    type: str
    """What it means (``person.upsert``, ``people.EmployeeHired``); its routing key unless addressed elsewhere."""
    message_id: str
    vpd: str
    body: bytes
    address: str = ""
    """Routing key where it differs from the type: a dead-letter queue, or the one queue a replay goes to."""
    stream: str = ""
    """The counter the file belongs to: ``feed``, ``cmc`` or ``lms``; empty when no file caused the message."""
    file: str = ""
    file_no: int = 0
    line: int = 0
    timestamp: int = 0
    """Seconds since 1970 at which the message was first made; a republished message keeps it."""
    traceparent: str = ""
    """W3C trace context: one trace per file."""
    code: str = ""
    """On a dead letter: the code of the failure."""
    reason: str = ""
    """On a dead letter: one sentence for an operator, without personal data."""
    queue: str = ""
    """On a dead letter: the queue whose consumer gave up, and to which a replay goes."""
    replay: int = 0
    """How many times operators have replayed this message."""

    @property
    def routing_key(self) -> str:
        """The key by which the exchange chooses queues."""
        return self.address or self.type

    def to(self, exchange: str, address: str) -> Self:
        """Return the same message addressed elsewhere."""
        return msgspec.structs.replace(self, exchange=exchange, address=address)


def derived_id(*cause: str | int) -> str:
    """Return an id that follows from its cause, so that saying a thing again is recognisably the same message."""
    text = "\x1f".join(map(str, cause))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def trace_of(vpd: str, file: str, line: int) -> str:
    """Return a W3C ``traceparent``: the file names the trace, the line the span."""
    return f"00-{_trace_id(vpd, file)}-{line + 1:016x}-01"


@functools.lru_cache(maxsize=256)  # a batch is about few files
def _trace_id(vpd: str, file: str) -> str:
    return hashlib.blake2b(f"{vpd}/{file}".encode(), digest_size=16).hexdigest()


class Origin:
    """A file whose records become messages. What their ids and traces have in common is worked out once."""

    def __init__(self, vpd: str, file: str, number: int) -> None:
        self._cause = hashlib.blake2b(f"{vpd}\x1f{file}\x1f{number}\x1f".encode(), digest_size=16)
        self._trace = trace_of(vpd, file, 0)[: -len("0000000000000001-01")]

    def message_id(self, line: int) -> str:
        """Return ``derived_id(vpd, file, number, line)``."""
        cause = self._cause.copy()
        cause.update(str(line).encode())
        return cause.hexdigest()

    def trace(self, line: int) -> str:
        """Return ``trace_of(vpd, file, line)``."""
        return f"{self._trace}{line + 1:016x}-01"
