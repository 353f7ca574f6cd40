"""Which published messages the broker has answered for. Bookkeeping only; nothing here waits or writes."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from shared.messaging.message import Message


class Window:
    """Messages that were written together. ``done`` is set when the broker has answered for every one, or cannot."""

    def __init__(self, messages: Sequence[Message], first: int, on_done: Callable[[], None]) -> None:
        self.done = asyncio.Event()
        self.first = first
        self.refused = False
        """The broker would not take one of them: a queue is full."""
        self.unroutable = False
        """One of them came back, because there is no queue for it."""
        self.lost = False
        """The channel ended before the broker had answered for all."""
        self.size = len(messages)
        self._messages = messages
        self._on_done = on_done
        self._open = set(range(first, first + len(messages)))

    @property
    def failed(self) -> bool:
        """Whether something is known to have gone wrong."""
        return self.refused or self.unroutable or self.lost

    def answer(self, tag: int, *, multiple: bool, taken: bool) -> None:
        """Note that the broker has, or has not, taken the message ``tag`` and with ``multiple`` all before it."""
        answered = {one for one in self._open if one <= tag} if multiple else self._open & {tag}
        self._open -= answered
        self.refused |= bool(answered) and not taken
        if not self._open:
            self._finish()

    def lose(self) -> None:
        """Give up on what has no answer."""
        self.lost = bool(self._open)
        self._open.clear()
        self._finish()

    def holds(self, exchange: str, routing_key: str, message_id: str) -> bool:
        """Tell whether this message is one of the window's."""
        return any(
            (one.message_id, one.routing_key, one.exchange) == (message_id, routing_key, exchange)
            for one in self._messages
        )

    def _finish(self) -> None:
        if not self.done.is_set():
            self.done.set()
            self._on_done()


class Confirms:
    """The windows that are on their way over one channel, oldest first. Tags count its messages from 1."""

    def __init__(self) -> None:
        self._windows: deque[Window] = deque()
        self._next = 1

    def sent(self, messages: Sequence[Message], on_done: Callable[[], None]) -> Window:
        """Note that these messages were written, in this order, after all before them."""
        window = Window(messages, self._next, on_done)
        self._next += len(messages)
        self._windows.append(window)
        return window

    def answer(self, tag: int, *, multiple: bool, taken: bool) -> None:
        """Take in a confirm (``taken``) or a refusal. Tag 0 with ``multiple`` means all that was written."""
        last = tag or self._next - 1
        for window in self._windows:
            if window.first > last:
                break
            window.answer(last, multiple=multiple, taken=taken)
        while self._windows and self._windows[0].done.is_set():
            self._windows.popleft()

    def returned(self, exchange: str, routing_key: str, message_id: str) -> None:
        """Take in a message that the broker had no queue for; it confirms it all the same, later."""
        for window in self._windows:
            if not window.unroutable and window.holds(exchange, routing_key, message_id):
                window.unroutable = True

    def end(self) -> None:
        """Give up on everything that has no answer yet: the channel is gone."""
        while self._windows:
            self._windows.popleft().lose()
