"""What a benchmark does with queues: declares them, empties and counts them, and listens to every event with a tap.

The tap is a stream (RabbitMQ's cheapest queue to write to) bound to the events of people and competency. It tells
afterwards which events were published and how often, and costs a tenth of the rate: the run that is compared with the
peers has none, as they have none.
"""

from collections.abc import Iterator
from typing import Final

from pamqp import commands
from pamqp.base import Frame
from pamqp.common import FieldTable

from bench.national.reading import Deliveries
from bench.raw import RawClient, plain_message
from shared.messaging.topology import EVENTS, QUEUES, Topology

TAP: Final = "bench.tap"
TAPPED: Final = ("people.*", "competency.*")
END: Final = b"{}"
"""Body of a message that marks a place in the tap: how many messages a stream holds, RabbitMQ tells only roughly."""


class Queues:
    """The topology on a broker, by a raw connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = RawClient(url)
        self._declared = False

    def close(self) -> None:
        self._client.close()

    def reconnect(self) -> None:
        """Go on after the broker was away."""
        self._client.close()
        self._client = RawClient(self._url)

    def declare(self, queue: str) -> None:
        """Declare a quorum queue without limits of its own."""
        self._client.declare(queue)

    def declare_plain(self, queue: str) -> None:
        """Declare a quorum queue as the peers' libraries do, so that it can be asked about before they are there."""
        arguments: FieldTable = {"x-queue-type": "quorum"}
        self._say(commands.Queue.Declare(queue=queue, durable=True, arguments=arguments), commands.Queue.DeclareOk)

    def consumers(self, queue: str) -> int:
        """Return how many consumers a queue has."""
        said = self._client.ask(commands.Queue.Declare(queue=queue, passive=True), commands.Queue.DeclareOk)
        return said.consumer_count or 0

    def depth(self, queue: str) -> int:
        """Return how many messages are ready."""
        said = self._client.ask(commands.Queue.Declare(queue=queue, passive=True), commands.Queue.DeclareOk)
        return said.message_count or 0

    def purge(self, *queues: str) -> None:
        for queue in queues:
            self._client.ask(commands.Queue.Purge(queue=queue), commands.Queue.PurgeOk)

    def clear(self) -> None:
        """Remove every queue of the bridge and the tap, so that the next bridge finds a broker as new."""
        for queue in (*(one.name for one in QUEUES), *(one.dead for one in QUEUES), TAP, "bench.raw"):
            self.delete(queue)

    def delete(self, queue: str) -> None:
        """Remove a queue, whether it is there or not."""
        self._client.ask(commands.Queue.Delete(queue=queue), commands.Queue.DeleteOk)

    def tap(self) -> None:
        """Begin to listen. The services need not be there yet."""
        kind = Topology().kind(EVENTS)
        self._say(
            commands.Exchange.Declare(exchange=EVENTS, exchange_type=kind, durable=True), commands.Exchange.DeclareOk
        )
        arguments: FieldTable = {"x-queue-type": "stream"}
        self._say(commands.Queue.Declare(queue=TAP, durable=True, arguments=arguments), commands.Queue.DeclareOk)
        for pattern in TAPPED:
            self._say(commands.Queue.Bind(queue=TAP, exchange=EVENTS, routing_key=pattern), commands.Queue.BindOk)

    def heard(self) -> Iterator[tuple[str, bytes]]:
        """Yield (message id, body) of everything the tap has heard until now."""
        self._client.publish([plain_message("", TAP, END)], [1])
        yield from Deliveries(self._url).stream(TAP, END)

    def _say(self, method: Frame, answer: type[Frame]) -> None:
        self._client.ask(method, answer)
