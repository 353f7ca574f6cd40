"""A network that can be cut or go dead, between the code under test and a real server."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url


class Network:
    """Forwards TCP from a port of its own to the server of ``url``.

    ``cut`` resets every connection and refuses new ones, as a server that was stopped does. ``freeze`` keeps them
    open and passes nothing on, as a firewall that forgot them does: only a deadline notices. ``mend`` ends both.
    """

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._refusing = False
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The server's URL by way of this network."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        self._refusing = True
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def freeze(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._refusing = False
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        link = asyncio.create_task(self._join(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        away: asyncio.StreamWriter | None = None
        try:
            answers, away = await asyncio.open_connection(self._target.host, self._target.port)
            ways = [asyncio.create_task(self._pass_on(*way)) for way in ((reader, away), (answers, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in (writer, away):
                if end is not None:
                    end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
