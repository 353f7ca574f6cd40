"""Exchanges, queues and bindings: declared once, here, by every service at start-up.

Every queue has an owner (the service its name begins with), a length limit and a dead-letter queue
``<queue>.dead`` which ``console`` empties into its store. The three settings that make dead-lettering lossless
in RabbitMQ (at-least-once strategy, reject-publish overflow, an existing target) are not optional.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

RECORDS: Final = "esr.records"
LMS: Final = "lms.records"
EVENTS: Final = "bridge.events"
OUTCOMES: Final = "bridge.outcomes"
DEAD: Final = "bridge.dead"

EXCHANGES: Final = (RECORDS, LMS, EVENTS, OUTCOMES, DEAD)

DIRECT: Final = frozenset((RECORDS, LMS))
"""Exchanges that compare whole routing keys. Every record of every file goes through these, and walking patterns costs
RabbitMQ as much a message as a third of all the rest (ADR 18); the others are topic exchanges."""

ACTIONS: Final = ("upsert", "delete")
"""What a record asks for: the second word of its type."""

QUEUE_LENGTH: Final = 200_000
"""Messages a queue may hold before publishers are refused; ingest keeps far fewer in flight."""

DEAD_LENGTH: Final = 1_000_000
"""Dead letters a queue may hold while ``console`` is down."""

DELIVERY_LIMIT: Final = 50
"""Deliveries after which the broker itself dead-letters a message: one that kills its consumer every time."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Messages of ``exchange`` whose routing key matches ``pattern`` go to the queue. Patterns are AMQP topics."""

    exchange: str
    pattern: str

    @property
    def each_key(self) -> tuple[str, ...]:
        """The routing keys of records that match."""
        return tuple(self.pattern.replace("*", action) for action in ACTIONS)


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue. Its name begins with the service that owns and consumes it."""

    name: str
    bindings: tuple[Binding, ...]

    @property
    def owner(self) -> str:
        """The service that consumes the queue."""
        return self.name.partition(".")[0]

    @property
    def dead(self) -> str:
        """The name of the queue that holds what this one's consumer gave up on."""
        return f"{self.name}.dead"


def _bind(exchange: str, *patterns: str) -> tuple[Binding, ...]:
    return tuple(Binding(exchange, pattern) for pattern in patterns)


QUEUES: Final = (
    Queue(
        "people.records",
        _bind(RECORDS, "person.*", "assignment.*", "position.*", "organisation.*", "location.*")
        + _bind(LMS, "non_staff.*"),
    ),
    Queue(
        "competency.records",
        _bind(RECORDS, "competence.*", "competency_element.*") + _bind(LMS, "completion.*", "certification.*"),
    ),
    Queue("competency.events", _bind(EVENTS, "people.*", "confirmations.*", "ingest.FileCompleted")),
    Queue("confirmations.records", _bind(RECORDS, "confirmation.*", "confirmation_file.*")),
    Queue(
        "confirmations.events",
        _bind(
            EVENTS,
            "outbound.CompletionSent",
            "outbound.CompletionWithheld",
            "competency.CertificationCompleted",
            "competency.CertificationWithdrawn",
            "competency.AchievementMissing",
            "ingest.FileCompleted",
        ),
    ),
    Queue("outbound.events", _bind(EVENTS, "people.*", "competency.*", "confirmations.*", "ingest.FileCompleted")),
    Queue("ingest.outcomes", _bind(OUTCOMES, "#")),
    Queue("console.outcomes", _bind(OUTCOMES, "#")),
)


@dataclass(frozen=True, slots=True)
class Topology:
    """All exchanges and queues; tests make small ones of their own."""

    exchanges: tuple[str, ...] = EXCHANGES
    queues: tuple[Queue, ...] = QUEUES
    queue_length: int = QUEUE_LENGTH
    direct: frozenset[str] = DIRECT
    _routes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def routes(self, exchange: str, routing_key: str) -> tuple[str, ...]:
        """Return the names of the queues that a message with this address reaches."""
        known = self._routes.get((exchange, routing_key))
        if known is None:
            known = tuple(
                queue.name
                for queue in self.queues
                if any(
                    b.exchange == exchange and any(topic_matches(key, routing_key) for key in self.keys(b))
                    for b in queue.bindings
                )
            )
            self._routes[exchange, routing_key] = known
        if not known and exchange == DEAD:
            return tuple(queue.dead for queue in self.queues if queue.dead == routing_key)
        return known

    def kind(self, exchange: str) -> Literal["direct", "topic"]:
        """Return the type of an exchange, in RabbitMQ's word."""
        return "direct" if exchange in self.direct else "topic"

    def keys(self, binding: Binding) -> tuple[str, ...]:
        """Return what a binding is bound by: its pattern, or whole keys where the exchange knows no patterns."""
        return binding.each_key if binding.exchange in self.direct else (binding.pattern,)

    def queue(self, name: str) -> Queue:
        """Return the queue called ``name``. Raises KeyError when this release declares none."""
        return {queue.name: queue for queue in self.queues}[name]


def topic_matches(pattern: str, routing_key: str) -> bool:
    """Tell whether an AMQP topic pattern (``*`` one word, ``#`` any number of words) matches a routing key."""
    return _words_match(pattern.split("."), routing_key.split("."))


def _words_match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_words_match(pattern[1:], words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _words_match(pattern[1:], words[1:])
