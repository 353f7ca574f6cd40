"""The list of files that came: in pages, the newest first, with none left out and none twice."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from esrbridge.embedded import as_role
from services.ingest import schema
from services.ingest.api import make_router
from services.ingest.archive import Archive
from services.ingest.domain import Status
from services.ingest.listing import place_of
from services.ingest.requests import Requests
from shared.clock import FixedClock
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.messaging.memory import MemoryBroker

HERE = "/v1/trusts/993/files"
FIRST = datetime(2026, 1, 1, 6, 10, tzinfo=UTC)
SUM = "0" * 64

Row = dict[str, Any]


def row(name: str, minutes: int = 0, status: Status = "complete", vpd: str = "993", sha256: str = SUM) -> Row:
    return {
        "vpd": vpd, "name": name, "sha256": sha256, "origin": "esr", "size": 1, "mtime_ns": 1,
        "received_at": FIRST + timedelta(minutes=minutes), "status": status,
    }  # fmt: skip


class Files:
    """The API of ingest over a real database, without its loops, and a way to let files have come."""

    def __init__(self, engine: AsyncEngine, folder: Path) -> None:
        self._engine = engine
        work = Work("ingest", engine, MemoryBroker(), FixedClock(FIRST))
        app = FastAPI()
        app.include_router(
            make_router(Reader(engine, "ingest"), work, Requests(work, {}, folder), Archive(folder).path)
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest")

    async def came(self, *rows: Row) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(schema.FILES), list(rows))

    async def page(self, **asked: str | int) -> list[Row]:
        answer = await self.client.get(HERE, params=asked)
        assert (asked, answer.status_code) == (asked, 200)
        return list(answer.json())

    async def refused(self, **asked: str | int) -> bool:
        return (await self.client.get(HERE, params=asked)).status_code == 422

    async def names(self, **asked: str | int) -> list[str]:
        return [one["name"] for one in await self.page(**asked)]


@pytest.fixture
async def ingest(module_database: str, passwords: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Files]:
    engine = make_engine(as_role(module_database, "ingest", passwords["ingest"]), name="test")
    async with engine.begin() as connection:
        await connection.execute(delete(schema.FILES))
    files = Files(engine, tmp_path)
    try:
        async with files.client:
            yield files
    finally:
        await engine.dispose()


async def test_pages_tell_of_every_file_once_the_newest_first_also_of_those_that_came_together(ingest: Files) -> None:
    many = [row(f"file-{number:03}.DAT", number // 7) for number in range(60)]
    await ingest.came(*many, row("file-000.DAT", 0, "quarantined", sha256="1" * 64), row("theirs.DAT", 5, vpd="994"))
    seen: list[Row] = []
    for _ in range(8):
        seen += await ingest.page(limit=8, after=place_of(seen[-1]) if seen else "")
    assert len(seen) == 61
    places = [(one["received_at"], one["name"], one["sha256"]) for one in seen]
    assert places == sorted(set(places), reverse=True)
    assert {one["vpd"] for one in seen} == {"993"}
    assert seen[0]["received_at"] == (FIRST + timedelta(minutes=59 // 7)).isoformat()


async def test_from_any_place_the_list_goes_on_both_ways(ingest: Files) -> None:
    await ingest.came(*(row(f"file-{number}.DAT", number) for number in range(9)))
    (fifth,) = (await ingest.page(limit=5))[-1:]
    assert fifth["name"] == "file-4.DAT"
    assert await ingest.names(after=place_of(fifth), limit=2) == ["file-3.DAT", "file-2.DAT"]
    assert await ingest.names(before=place_of(fifth), limit=2) == ["file-6.DAT", "file-5.DAT"]


async def test_files_of_a_status_and_those_that_are_not_settled_are_asked_for_as_such(ingest: Files) -> None:
    settled: tuple[Status, ...] = ("complete", "quarantined", "refused", "discarded")
    others: tuple[Status, ...] = ("received", "checked", "held", "splitting")
    await ingest.came(*(row(f"{status}.DAT", status=status) for status in (*settled, *others)))
    assert await ingest.names(status="held") == ["held.DAT"]
    assert sorted(await ingest.names(unsettled="true")) == sorted(f"{status}.DAT" for status in others)
    assert await ingest.refused(status="nonsense")


async def test_what_comes_by_requests_is_left_out_where_it_would_crowd_out_the_rest(ingest: Files) -> None:
    by_request = (f"api-{'0' * 32}.csv", f"moodle-{'0' * 32}.csv")
    await ingest.came(*(row(name, 1) for name in by_request), row("api.DAT"))
    assert await ingest.names(requests="false") == ["api.DAT"]
    assert len(await ingest.names()) == 3


async def test_a_place_where_no_page_ended_is_refused(ingest: Files) -> None:
    for odd in ("x", "2026-03-04~a", "2026-03-04T06:00:00~a~b", "~~", "\0"):
        assert (odd, await ingest.refused(after=odd), await ingest.refused(before=odd)) == (odd, True, True)
    assert (await ingest.refused(limit=0), await ingest.refused(limit=1001)) == (True, True)


async def test_one_name_tells_of_its_arrivals_in_their_order_and_of_no_other_file(ingest: Files) -> None:
    await ingest.came(
        row("a.DAT", 2), row("a.DAT", 1, "quarantined", sha256="1" * 64), row("b.DAT"), row("a.DAT", vpd="994")
    )
    answer = await ingest.client.get(f"{HERE}/a.DAT")
    assert [(one["vpd"], one["sha256"][0]) for one in answer.json()] == [("993", "1"), ("993", "0")]
