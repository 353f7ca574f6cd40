"""Connections to PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

STATEMENT_SECONDS: Final = 60
"""Nothing hangs: a statement that takes longer is given up and tried again."""


def make_engine(
    url: str, *, name: str, pool: int = 5, statement_seconds: int | None = STATEMENT_SECONDS
) -> AsyncEngine:
    """Return an engine for a ``postgresql://`` URL; ``name`` shows in ``pg_stat_activity``.

    ``statement_seconds`` None sets no limit: for migrations, which may build an index or wait for another host's.
    """
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=STATEMENT_SECONDS,
        json_deserializer=msgspec.json.decode,
        hide_parameters=True,  # an error's text must not hold the row it failed on
        connect_args={
            "timeout": 10,
            "command_timeout": statement_seconds,
            "server_settings": {
                "application_name": name,
                "timezone": "UTC",
                "jit": "off",
                # A plan kept from when a table was empty reads the whole of it for ever. Statements carry whole
                # batches, so planning each anew costs nothing to speak of.
                "plan_cache_mode": "force_custom_plan",
            },
        },
    )


class Reader:
    """Read access for APIs: one trust at a time, enforced by row-level security, not by our WHERE clauses."""

    def __init__(self, engine: AsyncEngine, service: str) -> None:
        self._engine = engine
        self._service = service

    @asynccontextmanager
    async def trust(self, vpd: str) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees the rows of trust ``vpd`` only, and can change nothing."""
        async with self._engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL ROLE esrbridge_{self._service}_reader"))
            await connection.execute(text("SELECT set_config('esrbridge.vpd', :vpd, true)"), {"vpd": vpd})
            yield connection
