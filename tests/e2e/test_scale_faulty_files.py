"""Thousands of files with faults of every kind: each adds up to the last record, or is kept out by a named code.

Continuous integration takes 200 files; ``make faulty-files`` takes 10,000.
"""

import asyncio
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from esrbridge.embedded import Bridge, open_bridge
from esrbridge.report import collect
from shared.clock import FixedClock
from shared.config import BridgeConfig, FileCalendar, TrustConfig
from shared.esr.faults import FileCode
from tests.e2e.faulty_files import DEADLY, FAULTS, HARMLESS, QUARANTINED, ROUNDS, START, Delivery, series

FILES = int(os.environ.get("ESRBRIDGE_TEST_FAULTY_FILES", "200"))
SEED = int(os.environ.get("ESRBRIDGE_TEST_SEED", "7"))
TRUSTS = max(5, min(25, FILES // 40))
"""Few enough that looking after each of them between any two files takes little of the time."""
A_TRUST = FILES // TRUSTS
"""Files of one trust."""

KEPT_OUT = {"quarantined", "held", "refused"}
SOUND = {("complete", ""), ("held", "F006"), ("held", "F008"), ("held", "F018"), ("refused", "F015")}


@dataclass
class Outcome:
    """What arrived, and what the bridge says of it. Facts are (trust, file) with the keys of locations."""

    deliveries: Sequence[Delivery]
    rows: dict[tuple[str, str, str], dict[str, Any]]
    facts: Counter[tuple[str, str]]
    markers: dict[str, set[str]]

    def row(self, one: Delivery) -> dict[str, Any]:
        return self.rows[one.vpd, one.name.upper(), hashlib.sha256(one.content).hexdigest()]

    def alone(self, fault: str) -> list[dict[str, Any]]:
        """Return what became of the files that have this fault and no other."""
        return [self.row(one) for one in self.deliveries if one.faults == {fault}]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return asyncio.run(_run(tmp_path_factory.mktemp("faulty")))


async def _run(folder: Path) -> Outcome:
    vpds = [str(100 + number) for number in range(TRUSTS)]
    deliveries = [one for vpd in vpds for one in series(vpd, A_TRUST, SEED)]
    calendar = FileCalendar(full_files_a_week=0)
    config = BridgeConfig(trusts=tuple(TrustConfig(vpd=vpd, calendar=calendar) for vpd in vpds))
    now = FixedClock(datetime.combine(START + timedelta(days=A_TRUST), datetime.min.time()))
    async with open_bridge(config, folder, now) as bridge:
        _split_a_file_of_every_trust(bridge)
        for number in range(ROUNDS + 3):
            for one in deliveries:
                if one.round == number:
                    _put(folder, one, number)
            await bridge.until_idle()
        return await _observe(bridge, deliveries)


def _split_a_file_of_every_trust(bridge: Bridge) -> None:
    """Let each round of the run split a small file of every trust, not of one: most of a round is looking for work."""
    ingest = bridge.components["ingest"]
    (split,) = (job for job in ingest.jobs if job.name == "split")

    async def split_more() -> int:
        total = 0
        for _ in range(TRUSTS):
            total += await split.run()
        return total

    jobs = tuple(replace(job, run=split_more) if job is split else job for job in ingest.jobs)
    bridge.components = {**bridge.components, "ingest": replace(ingest, jobs=jobs)}


def _put(folder: Path, one: Delivery, number: int) -> None:
    path = folder / one.vpd / "from-esr" / one.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(one.content)
    moment = 1_772_000_000 + 1_000 * number
    os.utime(path, (moment, moment))


async def _observe(bridge: Bridge, deliveries: Sequence[Delivery]) -> Outcome:
    report = await collect(bridge)
    rows = {
        (vpd, file["name"].upper(), file["sha256"]): file
        for vpd, trust in report["trusts"].items()
        for file in trust["files"]
    }
    facts: Counter[tuple[str, str]] = Counter()
    markers: dict[str, set[str]] = defaultdict(set)
    for vpd in report["trusts"]:
        for service in ("people", "competency"):
            async with bridge.readers[service].trust(vpd) as connection:
                for row in await connection.execute(text(f"SELECT entity, key, file FROM {service}.facts")):
                    facts[vpd, row.file] += 1
                    if row.entity == "location":
                        markers[vpd].add(row.key)
    return Outcome(deliveries, rows, facts, markers)


def test_every_file_adds_up_exactly_or_is_kept_out_by_a_named_code(outcome: Outcome) -> None:
    for one in outcome.deliveries:
        row = outcome.row(one)
        told = f"{one.name} of {one.vpd} with {sorted(one.faults)}: {row}"
        if row["status"] == "complete":
            assert sum(row["accounted"].values()) == row["records"], told
            trailer = one.content.rstrip().rpartition(b"\n")[2]
            assert trailer == b"TRL~%d" % row["records"], told
        else:
            assert row["status"] in KEPT_OUT, told
            assert row["code"] in set(FileCode), told
            assert row["reason"], told
    assert len(outcome.rows) == len({(one.vpd, one.name, one.content) for one in outcome.deliveries})


def test_nothing_of_a_file_that_was_kept_out_is_applied(outcome: Outcome) -> None:
    complete = {(vpd, row["name"]) for (vpd, _, _), row in outcome.rows.items() if row["status"] == "complete"}
    assert set(outcome.facts) <= complete
    wanted: dict[str, set[str]] = defaultdict(set)
    for one in outcome.deliveries:
        if outcome.row(one)["status"] == "complete":
            wanted[one.vpd].add(one.marker)
    told = {vpd: {key for key in keys if key.startswith("M")} for vpd, keys in outcome.markers.items()}
    assert told == wanted


@pytest.mark.parametrize("fault", sorted(QUARANTINED))
def test_a_fault_of_the_whole_file_quarantines_it_with_its_own_code(outcome: Outcome, fault: str) -> None:
    assert {(row["status"], row["code"]) for row in outcome.alone(fault)} <= {("quarantined", QUARANTINED[fault])}


def test_an_oddity_that_is_no_fault_costs_nothing(outcome: Outcome) -> None:
    fine = [row for fault in HARMLESS for row in outcome.alone(fault)]
    fine += [outcome.row(one) for one in outcome.deliveries if not one.faults]
    assert_sound(fine)
    applied = [row["accounted"] for row in fine if row["status"] == "complete"]
    assert applied
    assert not any(account["dead_lettered"] for account in applied)


def test_a_fault_of_one_record_costs_that_record_only(outcome: Outcome) -> None:
    faulty = [row for fault in DEADLY for row in outcome.alone(fault)]
    assert_sound(faulty)
    given_up = {row["accounted"]["dead_lettered"] for row in faulty if row["status"] == "complete"}
    assert 1 in given_up
    assert given_up <= {0, 1}, "a column that is not kept may hold anything"


def assert_sound(rows: Sequence[dict[str, Any]]) -> None:
    """A sound file may still have to wait for one before it, until a newer full file overtakes it; and a full file for
    an operator, when one before it brought a person by a flipped byte who is not in it.
    """
    for row in rows:
        assert (row["status"], row["code"]) in SOUND, row


def test_a_file_that_comes_again_is_noted_as_a_repeat_and_not_applied_again(outcome: Outcome) -> None:
    twice = Counter((one.vpd, one.name, one.content) for one in outcome.deliveries)
    for one in outcome.deliveries:
        assert outcome.row(one)["repeats"] == twice[one.vpd, one.name, one.content] - 1


def test_the_series_holds_faults_of_every_kind_and_every_way_to_end(outcome: Outcome) -> None:
    assert {fault for one in outcome.deliveries for fault in one.faults} == set(FAULTS)
    ends = Counter(row["status"] for row in outcome.rows.values())
    assert {"complete", "quarantined", "held", "refused"} <= set(ends)
    assert ends["complete"] > len(outcome.rows) // 4
    codes = {row["code"] for row in outcome.rows.values()} - {""}
    assert {"F001", "F002", "F003", "F004", "F005", "F006", "F009", "F010", "F012", "F013", "F014"} <= codes
