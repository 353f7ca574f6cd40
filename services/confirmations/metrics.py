"""Metrics of ``confirmations``: what an alert looks at. See docs/confirmations.md."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from shared import events
from shared.messaging.message import Message

OVERDUE: Final = Gauge("esrbridge_completions_overdue", "Items that ESR should have answered by now.", ["vpd"])
OLDEST_OPEN: Final = Gauge("esrbridge_completions_oldest_open_seconds", "Age of the oldest open item.", ["vpd"])
UNMATCHED: Final = Gauge("esrbridge_confirmations_unmatched", "Odd answers of ESR that stand.", ["vpd"])
REFUSED: Final = Counter("esrbridge_completions_refused_total", "Items that ESR refused, by its code.", ["vpd", "code"])

_REJECTED: Final = events.NAMES[events.CompletionRejected]


def count_refusals(committed: Iterable[Message]) -> None:
    """Count the refusals among messages whose transaction is committed."""
    for message in committed:
        if message.type == _REJECTED:
            said = events.decode(message.type, message.body)
            if isinstance(said, events.CompletionRejected):
                REFUSED.labels(said.vpd, said.code).inc()
