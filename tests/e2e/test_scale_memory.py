"""The process that reads and splits files stays small, however large a file, and however long a line of it is.

Continuous integration takes a file of 60 MB; ``make big-file`` takes one of a gigabyte.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from esrbridge.local import rabbitmq
from shared.accounting import Fate
from tests.e2e.ingest_alone import IngestAlone, owner, until
from tests.e2e.scale_files import full_name, header, put_full, wide_location

VPD = "999"
MEGABYTES = int(os.environ.get("ESRBRIDGE_TEST_MEGABYTES", "60"))
SECONDS = 60.0 + 2.0 * MEGABYTES

MOST = 150 * 1024 * 1024
"""Bytes of memory the process may ever hold, the interpreter and its libraries included."""

LONG_LINE = 100 * 1024 * 1024


@pytest.fixture
def broker_url(tmp_path: Path) -> Iterator[str]:
    """A node of its own: these are the real queues, which other tests fill and empty too."""
    with rabbitmq(tmp_path / "broker") as server:
        yield server.url


async def test_the_process_that_splits_a_very_large_file_stays_under_150_mib(
    tmp_path: Path, database: str, passwords: Mapping[str, str], broker_url: str
) -> None:
    count = MEGABYTES * 1_000_000 // (len(wide_location(1)) + 2)
    path = put_full(tmp_path, VPD, (wide_location(number) for number in range(1, count + 1)))
    assert path.stat().st_size > 0.99 * MEGABYTES * 1_000_000
    ingest = IngestAlone(tmp_path, database, passwords["ingest"], broker_url, VPD)
    async with owner(broker_url, VPD) as working:
        try:
            ingest.start()
            row = await until("the large file complete", SECONDS, ingest, "complete")
            peak = ingest.peak_bytes()
        finally:
            await asyncio.to_thread(ingest.stop)
    assert (row["records"], len(working.ids)) == (count, count)
    assert peak < MOST, f"{peak / 2**20:.0f} MiB"


async def test_the_process_that_gives_up_every_record_of_a_large_file_stays_under_150_mib(
    tmp_path: Path, database: str, passwords: Mapping[str, str], broker_url: str
) -> None:
    count = MEGABYTES * 1_000_000 // 4 // len(wide_location(1))
    put_full(tmp_path, VPD, (wide_location(number, last_update="20260231 091200") for number in range(1, count + 1)))
    ingest = IngestAlone(tmp_path, database, passwords["ingest"], broker_url, VPD)
    try:
        ingest.start()
        row = await until("the large file complete", SECONDS, ingest, "complete")
        peak = ingest.peak_bytes()
    finally:
        await asyncio.to_thread(ingest.stop)
    assert json.loads(str(row["fates"])) == {str(int(Fate.DEAD_LETTERED)): count}
    assert peak < MOST, f"{peak / 2**20:.0f} MiB"


async def test_the_process_that_finds_a_line_of_100_mb_stays_under_150_mib_and_quarantines_the_file(
    tmp_path: Path, database: str, passwords: Mapping[str, str], broker_url: str
) -> None:
    path = tmp_path / VPD / "from-esr" / full_name(VPD)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.write(header(path.name, VPD) + b"\r\nLCA~1~")
        for _ in range(LONG_LINE // 2**20):
            file.write(b"x" * 2**20)
        file.write(b"\r\nTRL~1\r\n")
    ingest = IngestAlone(tmp_path, database, passwords["ingest"], broker_url, VPD)
    try:
        ingest.start()
        row = await until("the file quarantined", SECONDS, ingest, "quarantined")
        peak = ingest.peak_bytes()
    finally:
        await asyncio.to_thread(ingest.stop)
    assert row["code"] == "F012"
    assert peak < MOST, f"{peak / 2**20:.0f} MiB"
