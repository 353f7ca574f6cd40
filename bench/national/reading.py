"""Consuming at the least cost a client can have: one blocking socket, frames cut by hand, few acknowledgements."""

import sys
import time
from collections.abc import Iterator
from typing import Final

from pamqp import commands, header
from pamqp.common import FieldTable

from bench.raw import CHANNEL, RawClient

PREFETCH: Final = 2_000
EVERY: Final = 250
"""Messages for one acknowledgement."""

_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER: Final = b"\x00\x3c\x00\x3c"


class Deliveries(RawClient):
    """A blocking consumer."""

    def drain(self, queue: str, count: int) -> float:
        """Consume and acknowledge ``count`` messages; return the seconds it took."""
        start = time.perf_counter()
        for _ in self._consume(queue, count, {}):
            pass
        self.ask(commands.Queue.Declare(queue=queue, passive=True), commands.Queue.DeclareOk)  # every ack arrived
        taken = time.perf_counter() - start
        self.close()
        return taken

    def stream(self, queue: str, end: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield (message id, body) of the messages of a stream, up to the one whose body is ``end``."""
        for head, body in self._consume(queue, sys.maxsize, {"x-stream-offset": "first"}):
            if body == end:
                break
            content = header.ContentHeader()
            content.unmarshal(head)
            yield content.properties.message_id or "", body
        self.close()

    def _consume(self, queue: str, count: int, arguments: FieldTable) -> Iterator[tuple[bytes, bytes]]:
        self.ask(commands.Basic.Qos(prefetch_count=PREFETCH), commands.Basic.QosOk)
        self.ask(commands.Basic.Consume(queue=queue, arguments=arguments), commands.Basic.ConsumeOk)
        done, tag, head, body, size = 0, b"", b"", b"", 0
        while done < count:
            kind, _, payload = self._read()
            if kind == _METHOD:
                if payload[:4] != _DELIVER:
                    raise SystemExit("the broker said something else while it should deliver")
                after_name = 5 + payload[4]
                tag = payload[after_name : after_name + 8]
                continue
            if kind == _HEADER:
                head, body, size = payload, b"", int.from_bytes(payload[4:12], "big")
            elif kind == _BODY:
                body += payload
            if kind in (_HEADER, _BODY) and len(body) >= size:
                done += 1
                yield head, body
                if done % EVERY == 0 or done == count:
                    self._say(commands.Basic.Ack(int.from_bytes(tag, "big"), multiple=True), CHANNEL)
