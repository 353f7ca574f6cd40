"""What broker and database take when the client costs next to nothing. Nothing that does more can be faster."""

import asyncio
import time
from typing import Any, Final

from bench.national.database import connected
from bench.national.queues import Queues
from bench.national.reading import Deliveries
from bench.raw import RawClient, plain_message

QUEUE: Final = "bench.raw"
WINDOW: Final = 500
BODY: Final = b"x" * 300


def raw_publish(url: str, count: int) -> float:
    """Publish ``count`` persistent 300-byte messages to a quorum queue, confirmed; return messages a second."""
    client = RawClient(url)
    queues = Queues(url)
    queues.declare(QUEUE)
    queues.purge(QUEUE)
    window = plain_message("", QUEUE, BODY) * WINDOW
    windows = -(-count // WINDOW)
    taken = client.publish([window] * windows, [WINDOW] * windows)
    client.close()
    queues.close()
    return windows * WINDOW / taken


def raw_consume(url: str) -> float:
    """Consume what ``raw_publish`` left, acknowledging every 250; return messages a second."""
    queues = Queues(url)
    count = queues.depth(QUEUE)
    queues.close()
    return count / Deliveries(url).drain(QUEUE, count)


def bare_copy(url: str, count: int) -> float:
    """COPY ``count`` rows like those of facts, key and all, in transactions of 500 rows; return rows a second."""
    return asyncio.run(_copy(url, count))


async def _copy(url: str, count: int) -> float:
    async with connected(url) as connection:
        await connection.execute(_TABLE)
        said = '{"said": "' + "x" * 280 + '"}'
        rows = [("901", "competency_element", str(number), 1, number, said) for number in range(count)]
        start = time.perf_counter()
        for first in range(0, count, WINDOW):
            await connection.copy_records_to_table("bench_copy", records=rows[first : first + WINDOW])
        taken = time.perf_counter() - start
        await connection.execute("DROP TABLE bench_copy")
        return count / taken


def run(url: str, database: str, count: int) -> dict[str, Any]:
    """Measure the three limits."""
    return {
        "messages": count,
        "publish per second": round(raw_publish(url, count), 1),
        "consume per second": round(raw_consume(url), 1),
        "copy per second": round(bare_copy(database, count), 1),
    }


_TABLE: Final = """
DROP TABLE IF EXISTS bench_copy;
CREATE TABLE bench_copy (vpd text, entity text, key text, file_no bigint, line int, data jsonb,
    PRIMARY KEY (vpd, entity, key))
"""
