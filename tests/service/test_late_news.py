"""What the LMS refuses after it has taken it: what counted as done is wanted again, and an operator hears why."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import text

from services.outbound.lms.port import Answer, News
from services.outbound.news import NewsDesk
from shared import events
from tests.service.outbound_bench import FEED, VPD, OutboundBench, outbound_bench, somebody

Open = Callable[..., AbstractAsyncContextManager[OutboundBench]]


class LateTeller:
    """A channel that has news until they are noted."""

    def __init__(self, *news: News) -> None:
        self.told = list(news)

    async def check(self) -> list[Any]:
        return []

    async def news(self) -> list[News]:
        return list(self.told)

    async def noted(self) -> None:
        self.told.clear()

    async def close(self) -> None:
        pass


@pytest.fixture
def bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Open:
    def open_(**settings: Any) -> AbstractAsyncContextManager[OutboundBench]:
        return outbound_bench(database, passwords, tmp_path, **settings)

    return open_


def refusal(kind: Literal["account", "evidence"], key: str) -> News:
    return News(kind, key, Answer("rejected", "too-late"))


async def one(outbound: OutboundBench, statement: str) -> Any:
    async with outbound.work.engine.connect() as connection:
        return (await connection.execute(text(statement))).one()


async def test_a_late_refusal_of_an_account_is_noted_and_told_and_then_forgotten(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        late = LateTeller(refusal("account", f"{VPD}-9000001"))
        assert await NewsDesk(outbound.work, VPD, [late]).run() == 1
        assert tuple(await one(outbound, "SELECT refused, seen FROM outbound.accounts")) == ("too-late", None)
        (told,) = outbound.of(events.DeliveryFailed)
        assert (told.subject, told.code) == (f"{VPD}-9000001", "too-late")
        assert late.told == []


async def test_a_late_refusal_to_close_an_account_leaves_it_known_as_open(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        await outbound.night(somebody(state="leaver", revision=2, termination_date="2026-03-02"))
        await NewsDesk(outbound.work, VPD, [LateTeller(refusal("account", f"{VPD}-9000001"))]).run()
        refused, seen = await one(outbound, "SELECT refused, seen FROM outbound.accounts")
        assert (refused, seen["suspended"]) == ("too-late", False)


async def test_a_late_refusal_of_evidence_makes_the_delivery_refused(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        await outbound.hear(
            events.EvidenceRecorded(
                vpd=VPD,
                cause=FEED,
                person_id="9000001",
                key="12000001",
                revision=1,
                competence_name="Local|Course|",
                achieved_on="2026-02-01",
            )
        )
        await outbound.settle()
        await NewsDesk(outbound.work, VPD, [LateTeller(refusal("evidence", "12000001"))]).run()
        state = tuple(await one(outbound, "SELECT state, code FROM outbound.deliveries"))
        assert state == ("refused", "too-late")


async def test_what_was_taken_changes_nothing(bench: Open) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        late = LateTeller(News("account", f"{VPD}-9000001", Answer("applied")))
        assert await NewsDesk(outbound.work, VPD, [late]).run() == 0
        assert (await one(outbound, "SELECT refused FROM outbound.accounts")).refused == ""
        assert outbound.of(events.DeliveryFailed) == []


async def test_news_whose_noting_failed_are_noted_once_the_database_is_back(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench() as outbound:
        await outbound.night(somebody())
        late = LateTeller(refusal("account", f"{VPD}-9000001"))
        desk = NewsDesk(outbound.work, VPD, [late])
        with monkeypatch.context() as patch:
            patch.setattr(outbound.work, "unit", _away)
            with pytest.raises(ConnectionError):
                await desk.run()
        assert await desk.run() == 1


def _away() -> Any:
    raise ConnectionError
