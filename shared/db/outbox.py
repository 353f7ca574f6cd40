"""The transactional outbox: what a transaction decided to say is committed with it, then published.

Publishing follows the commit at once; what a crash or an absent broker left behind is swept later. Message ids are
derived from their causes, so saying a thing twice does no harm.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.errors import TransientError, UnroutableError
from shared.messaging.broker import Broker
from shared.messaging.message import Message

SWEEP_AFTER_SECONDS: Final = 5
"""Age at which the sweeper takes a row: younger ones are still in the hands of their transaction's process."""

SWEEP_ROWS: Final = 50

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Message])

log = structlog.get_logger(__name__)


class Outbox:
    """The ``outbox`` table of one schema, and the broker its rows go to."""

    def __init__(self, schema: str, engine: AsyncEngine, broker: Broker) -> None:
        self._engine = engine
        self._broker = broker
        table = f"{schema}.outbox"
        self._insert = text(
            f"INSERT INTO {table} (vpd, messages) SELECT * FROM "
            "unnest(CAST(:vpd AS text[]), CAST(:messages AS bytea[])) RETURNING vpd, id"
        )
        self._done = text(
            f"DELETE FROM {table} WHERE (vpd, id) IN ("
            "SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:id AS bigint[])))"
            if broker.durable
            else f"UPDATE {table} SET published_at = now() WHERE (vpd, id) IN ("
            "SELECT * FROM unnest(CAST(:vpd AS text[]), CAST(:id AS bigint[])))"
        )
        self._left = text(
            f"SELECT vpd, id, messages FROM {table} WHERE published_at IS NULL "
            "AND written_at <= now() - make_interval(secs => :age) ORDER BY vpd, id LIMIT :rows FOR UPDATE SKIP LOCKED"
        )
        self._forget = text(f"DELETE FROM {table} WHERE published_at IS NOT NULL")
        self._reopen = text(f"UPDATE {table} SET published_at = NULL")
        self._waiting = text(f"SELECT count(*) FROM {table} WHERE published_at IS NULL")

    async def add(self, connection: AsyncConnection, messages: Sequence[Message]) -> list[tuple[str, int]]:
        """Write messages within the caller's transaction; return the keys of the rows."""
        by_trust = [
            (vpd, _ENCODER.encode(list(group)))
            for vpd, group in itertools.groupby(
                sorted(messages, key=lambda message: message.vpd), key=lambda message: message.vpd
            )
        ]
        if not by_trust:
            return []
        rows = await connection.execute(
            self._insert, {"vpd": [vpd for vpd, _ in by_trust], "messages": [packed for _, packed in by_trust]}
        )
        return [(row.vpd, row.id) for row in rows]

    async def publish(self, keys: Sequence[tuple[str, int]], messages: Sequence[Message]) -> None:
        """Publish committed messages. When that fails they are left for the sweeper, safe in the table.

        Nothing is raised for it: what the transaction decided stands, and must not be given up for the broker's sake.
        """
        if not keys:
            return
        try:
            await self._broker.publish(messages)
        except (TransientError, UnroutableError) as error:
            log.warning("publishing postponed", code=error.code, messages=len(messages))
            return
        async with self._engine.begin() as connection:
            await self._mark(connection, keys)

    async def sweep(self, age: float = SWEEP_AFTER_SECONDS) -> int:
        """Publish rows that were left behind; return how many. Replicas share the work by skipping locked rows."""
        async with self._engine.begin() as connection:
            rows = (await connection.execute(self._left, {"age": age, "rows": SWEEP_ROWS})).all()
            published = await self._publish_rows(rows) if rows else []
            if published:
                await self._mark(connection, published)
        return len(published)

    async def reopen(self) -> None:
        """With a broker that forgets: publish everything again that was not known to be consumed when we stopped."""
        async with self._engine.begin() as connection:
            await connection.execute(self._reopen)

    async def forget(self) -> None:
        """With a broker that forgets: its queues are empty now, so what was published has been consumed."""
        async with self._engine.begin() as connection:
            await connection.execute(self._forget)

    async def waiting(self) -> int:
        """Return how many rows are not published yet."""
        async with self._engine.connect() as connection:
            return int(await connection.scalar(self._waiting) or 0)

    async def _publish_rows(self, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[tuple[str, int]]:
        """Publish rows and return their keys. A row with a message that has no queue stays, and bars no other."""
        try:
            await self._broker.publish([message for row in rows for message in _DECODER.decode(row.messages)])
        except UnroutableError as error:
            if len(rows) == 1:
                log.exception("message has no queue", code=error.code, vpd=rows[0].vpd)
                return []
            middle = len(rows) // 2
            return await self._publish_rows(rows[:middle]) + await self._publish_rows(rows[middle:])
        return [(row.vpd, row.id) for row in rows]

    async def _mark(self, connection: AsyncConnection, keys: Sequence[tuple[str, int]]) -> None:
        await connection.execute(self._done, {"vpd": [vpd for vpd, _ in keys], "id": [number for _, number in keys]})
