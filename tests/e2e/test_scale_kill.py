"""``ingest`` killed again and again while it splits a file: nothing is lost, and nothing counts twice.

Continuous integration kills it five times; ``make big-file`` forty times.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from esrbridge.local import rabbitmq
from services.ingest.pipeline import AHEAD
from services.ingest.splitter import STEP, TURN
from shared.accounting import Fate
from shared.messaging.message import derived_id
from shared.messaging.rabbitmq import RabbitBroker
from tests.e2e.ingest_alone import QUEUE, IngestAlone, owner, until
from tests.e2e.scale_files import full_name, location, put_full

VPD = "999"
NUMBER = 20260302_00000001
"""Date and sequence as the version of every fact of the file."""
KILLS = int(os.environ.get("ESRBRIDGE_TEST_KILLS", "5"))
RECORDS = 16_000 * KILLS
SECONDS = 120.0 + 20.0 * KILLS

FAULTY = {2, 9_999, 10_001, 30_000, RECORDS - 1}
"""Records with a date that is none."""
UNKNOWN = {1, 777, 20_000, RECORDS}
"""Records of a type that no profile knows."""


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    """A node of its own: these are the real queues, which other tests fill and empty too."""
    with rabbitmq(tmp_path / "broker") as server:
        yield server.url


def records() -> Iterator[bytes]:
    for number in range(1, RECORDS + 1):
        if number in UNKNOWN:
            yield b"QXA~%d~something" % number
        else:
            yield location(number, last_update="20260231 091200" if number in FAULTY else "20251103 091200")


async def test_a_split_that_is_killed_at_any_moment_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, database: str, passwords: Mapping[str, str], broker_url: str
) -> None:
    dice = random.Random(KILLS)
    put_full(tmp_path, VPD, records())
    ingest = IngestAlone(tmp_path, database, passwords["ingest"], broker_url, VPD)
    async with asyncio.timeout(2 * SECONDS), owner(broker_url, VPD) as working:
        try:
            for kill in range(KILLS):
                ingest.start()
                # Wherever it then is: reading, publishing, waiting for confirms, noting what was confirmed.
                wanted = working.taken + dice.randrange(6_000)
                await working.has_taken(wanted if kill else 1)
                await asyncio.sleep(dice.random() / 5)
                assert (await ingest.file() or {}).get("status") == "splitting", "the file is too short for these kills"
                await asyncio.to_thread(ingest.kill)
            ingest.start()
            row = await until("the file complete", SECONDS, ingest, "complete")
        finally:
            await asyncio.to_thread(ingest.stop)
        letters = await _letters(broker_url)

    odd = {number + 1 for number in FAULTY | UNKNOWN}  # one line further down: the header comes first
    assert set(working.ids) == set(range(2, RECORDS + 2)) - odd
    assert {line: {derived_id(VPD, full_name(VPD), NUMBER, line)} for line in working.ids} == working.ids
    assert working.taken - len(working.ids) <= KILLS * (TURN + (AHEAD + 1) * STEP), "a death costs one turn at most"

    fates = {Fate(int(fate)): number for fate, number in json.loads(str(row["fates"])).items()}
    assert fates == {
        Fate.APPLIED: RECORDS - len(odd),
        Fate.DEAD_LETTERED: len(FAULTY),
        Fate.IGNORED_UNKNOWN_TYPE: len(UNKNOWN),
    }
    assert sum(fates.values()) == row["records"] == row["position"] == RECORDS
    assert {line for line, _ in letters} == {number + 1 for number in FAULTY}
    assert len({identity for _, identity in letters}) == len(FAULTY)


async def _letters(url: str) -> Counter[tuple[int, str]]:
    """Return the dead letters as lines with the message ids that came for them."""
    broker = RabbitBroker(url)
    found: Counter[tuple[int, str]] = Counter()
    try:
        async with broker.subscribe(f"{QUEUE}.dead", prefetch=1_000) as subscription:
            while sum(found.values()) < len(FAULTY) or await broker.depth(f"{QUEUE}.dead"):
                found.update((one.line, one.message_id) for one in await subscription.next(1_000, 0.1))
                await subscription.ack()
    finally:
        await broker.stop()
    return found
