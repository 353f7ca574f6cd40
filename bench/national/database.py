"""The database as its administrator sees it, for what a benchmark makes, asks and checks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Give a connection while inside."""
    connection = await asyncpg.connect(url)  # type: ignore[no-untyped-call]
    try:
        yield connection
    finally:
        await connection.close()


def execute(url: str, statement: str) -> None:
    """Run a statement, or several, over a connection of its own."""

    async def run() -> None:
        async with connected(url) as connection:
            await connection.execute(statement)

    asyncio.run(run())


class Asker:
    """A connection that is kept from question to question, and made anew when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None

    def rows(self, query: str, *arguments: object) -> list[Any]:
        return self._loop.run_until_complete(self._rows(query, *arguments))

    def value(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the query returns
        """Return the one value of a query."""
        return self.rows(query, *arguments)[0][0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._loop.close()

    async def _rows(self, query: str, *arguments: object) -> list[Any]:
        if self._connection is not None:
            try:
                return list(await self._connection.fetch(query, *arguments))
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
                self._connection.terminate()  # the server was away meanwhile, which nobody heard
        self._connection = await asyncpg.connect(self._url)  # type: ignore[no-untyped-call]
        return list(await self._connection.fetch(query, *arguments))
