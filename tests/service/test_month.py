"""A month of many trusts, with mishaps at both ends and deaths in between; ``make month`` lives it whole.

Confirmations are lost, late, repeated, said again under another number, incomplete, and answer what nobody sent;
completion files are lost, late, damaged and delivered twice; the process dies before commits, publishes and
acknowledgements, and before and after each file is put down. In the end everything is settled or overdue by rule.
"""

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from tests.service.month_audit import faults_of_books, faults_of_files
from tests.service.month_world import FIRST_DAY, World

TRUSTS = int(os.environ.get("ESRBRIDGE_TEST_TRUSTS", "2"))
DAYS = int(os.environ.get("ESRBRIDGE_TEST_DAYS", "6"))
PEOPLE = int(os.environ.get("ESRBRIDGE_TEST_PEOPLE", "8"))
SEED = int(os.environ.get("ESRBRIDGE_TEST_SEED", "1"))
CALM_DAYS = 9
"""Days without mishaps at the end, in which what is open is chased: two resends, and an operator's word."""

SETTINGS = {"completions": {"answer_days": 1, "resend_after_days": 1, "resends": 2, "rows_per_file": 7}}


async def test_a_month_of_mishaps_ends_with_every_item_settled_and_both_books_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, TRUSTS, PEOPLE, SEED)
    world.configure(SETTINGS)
    try:
        with world.deaths.among_us(monkeypatch):
            await _live(world)
    finally:
        await world.close()
    happened = Counter(one.split()[0] for trust in world.trusts for one in trust.post.happened)
    deaths = Counter(world.deaths.struck)
    print(f"{TRUSTS} trusts, {DAYS} rough days: {dict(happened)}; deaths: {dict(deaths)}")  # noqa: T201 - of a long run
    assert happened
    assert deaths


async def _live(world: World) -> None:
    for number in range(DAYS + CALM_DAYS):
        rough = number < DAYS
        world.rough(rough)
        await world.day(FIRST_DAY + timedelta(days=number), learning=rough)
        for trust in world.trusts:
            assert faults_of_files(trust) == []
    bridge = await world.open()
    for trust in world.trusts:
        assert await faults_of_books(bridge, trust) == [], trust.post.happened
