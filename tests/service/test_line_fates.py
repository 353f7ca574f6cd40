"""What is said of one line of a file."""

from collections.abc import Mapping

from esrbridge.embedded import as_role
from services.ingest import answers_store
from services.ingest.api import line_fate
from shared.accounting import Fate
from shared.db.engine import make_engine
from shared.db.ledger import Ledger

VPD = "991"
FILE = "CS_991_CST_CSC_20260303_00000002.DAT"


async def test_a_dead_line_tells_its_own_code_and_no_other_lines(database: str, passwords: Mapping[str, str]) -> None:
    engine = make_engine(as_role(database, "ingest", passwords["ingest"]), name="test", pool=1)
    ledger = Ledger("ingest")
    fates = {2: Fate.DEAD_LETTERED, 3: Fate.DEAD_LETTERED, 4: Fate.DEAD_LETTERED, 5: Fate.APPLIED}
    async with engine.begin() as connection:
        await ledger.decide(connection, [((VPD, FILE), line, fate) for line, fate in fates.items()])
        said = [(VPD, FILE, 2, "R103"), (VPD, FILE, 3, "R902"), (VPD, FILE, 5, "R101"), ("992", FILE, 4, "R111")]
        await answers_store.keep_codes(connection, said)
        told = {line: await line_fate(connection, ledger, VPD, FILE, line) for line in range(1, 6)}
    await engine.dispose()
    assert told.pop(1) is None
    assert {line: one and one.get("code") for line, one in told.items()} == {2: "R103", 3: "R902", 4: None, 5: None}
    assert [one["fate"] for one in told.values() if one] == ["dead_lettered"] * 3 + ["applied"]
