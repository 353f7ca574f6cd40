"""A very long file with one record that can never succeed: all the others are applied, and that one says why not.

Continuous integration takes a shorter file; ``make million`` takes one of a million records.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from esrbridge.embedded import open_bridge
from esrbridge.report import collect
from services.console import store as console
from shared.accounting import Fate
from shared.clock import FixedClock
from shared.config import BridgeConfig, TrustConfig
from tests.e2e.scale_files import NOW, full_name, location, put_full

VPD = "999"
RECORDS = int(os.environ.get("ESRBRIDGE_TEST_RECORDS", "20000"))

BEFORE = 1
"""Lines before the first record: the header."""


async def test_one_poison_record_leaves_all_others_of_a_long_file_applied_and_one_dead_letter_with_a_plain_reason(
    tmp_path: Path,
) -> None:
    poison = random.Random(RECORDS).randrange(1, RECORDS + 1)

    def records() -> Iterator[bytes]:
        for number in range(1, RECORDS + 1):
            yield location(number, last_update="20260231 091200" if number == poison else "20251103 091200")

    put_full(tmp_path, VPD, records())
    config = BridgeConfig(trusts=(TrustConfig(vpd=VPD),))
    async with open_bridge(config, tmp_path, FixedClock(datetime.fromisoformat(NOW))) as bridge:
        await bridge.until_idle()
        report = await collect(bridge)
        async with bridge.readers["console"].trust(VPD) as connection:
            letters = await console.listing(connection, VPD)
        ledger = bridge.components["ingest"].work.ledger
        async with bridge.readers["ingest"].trust(VPD) as connection:
            blocks = await ledger.blocks(connection, (VPD, full_name(VPD)))

    (file,) = report["trusts"][VPD]["files"]
    nothing = dict.fromkeys(file["accounted"], 0)
    assert (file["status"], file["records"], file["adds_up"]) == ("complete", RECORDS, True)
    assert file["accounted"] == nothing | {"applied": RECORDS - 1, "dead_lettered": 1}
    assert sum(file["accounted"].values()) == file["records"]

    [letter] = letters
    assert (letter.file, letter.line, letter.code) == (full_name(VPD), poison + BEFORE, "R103")
    assert "last_update" in letter.reason
    assert "20260231" not in letter.reason

    fates = {one.line: one.fate for block in blocks for one in block.lines()}
    assert fates.pop(poison + BEFORE) is Fate.DEAD_LETTERED
    assert Counter(fates.values()) == {Fate.APPLIED: RECORDS - 1}
    assert set(fates) | {poison + BEFORE} == set(range(1 + BEFORE, RECORDS + 1 + BEFORE))
