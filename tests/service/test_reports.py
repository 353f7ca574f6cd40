"""Reports that tell everything anew each time: of each only what is new or different goes on, and who is gone."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest
from sqlalchemy import select, text

from esrbridge.embedded import as_role
from sandbox.totara import SandboxTotara
from sandbox.totara_cert_file import UploadSettings
from services.competency.reading import fact_of
from services.ingest import reported, store
from services.ingest.lms_files import LmsFiles
from services.ingest.schema import FILES
from services.ingest.splitter import STEP, Splitter
from services.ingest.store import AnyRow
from shared import records
from shared.accounting import Fate
from shared.clock import LONDON, FixedClock
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.errors import BrokerRefusedError
from shared.lms_csv import load_lms_profile
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import DEAD, LMS

CURRENT: Final = load_lms_profile("totara-certification-report")
HISTORY: Final = load_lms_profile("totara-certification-history")
HEADING: Final = "User ID Number,Certification ID Number,Status,Completion Date,Expiry Date"
FERN: Final = "999-1,FIRE,Certified,3 Mar 2026,3 Mar 2027"
ROWAN: Final = "999-2,FIRE,Assigned,,"


class Broker(MemoryBroker):
    """Keeps what it confirmed."""

    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Message] = []
        self.letters: list[Message] = []
        self.fails = False

    async def publish(self, messages: Sequence[Message]) -> None:
        told = [one for one in messages if one.exchange == LMS]
        if told and self.fails:
            raise BrokerRefusedError("a queue is full")
        self.records += told
        self.letters += [one for one in messages if one.exchange == DEAD]

    def take(self) -> list[Message]:
        """What was told since the last time."""
        taken, self.records = self.records, []
        return taken


class Ingest:
    """The splitter of one trust's reports."""

    def __init__(self, work: Work, folder: Path) -> None:
        self.work = work
        self.broker = Broker()
        work.outbox._broker = self.broker
        self._folder = folder
        self._number = 0
        self.sources = {(vpd, "lms"): LmsFiles(CURRENT, vpd, {"history*": HISTORY}) for vpd in ("999", "998")}

    async def come(self, *rows: str, name: str = "report", vpd: str = "999", heading: str = HEADING) -> str:
        """Let a report in, as the judge does; return its name."""
        name = f"{name}-{self._number + 1}.csv"
        (self._folder / name).write_text("\n".join((heading, *rows)), encoding="utf-8")
        await self.let_in(name, vpd)
        return name

    async def let_in(self, name: str, vpd: str = "999") -> None:
        """Let a file in that lies there, as the judge does."""
        self._number += 1
        path = self._folder / name
        checked = self.sources[vpd, "lms"].check(path, name, vpd)
        assert checked.faults == ()
        row = {
            "vpd": vpd, "name": name, "sha256": name, "origin": "lms", "size": 1, "mtime_ns": 1, "status": "ready",
            "received_at": datetime.now().astimezone(), "stream": checked.stream, "kind": checked.kind,
            "number": self._number, "records": checked.records,
        }  # fmt: skip
        async with self.work.engine.begin() as connection:
            await connection.execute(FILES.insert().values(row))

    async def split(self) -> None:
        """Let turns pass until nothing is left to send."""
        splitter = Splitter(self.work, self.broker, self.sources, lambda _, name: self._folder / name, 60.0)
        while await splitter.run():
            pass

    async def start_over(self) -> None:
        """What happens when the broker has forgotten what it held."""
        await Splitter(self.work, self.broker, self.sources, lambda _, name: self._folder / name, 60.0).start_over()

    async def night(self, *rows: str, name: str = "report", vpd: str = "999") -> list[dict[str, str]]:
        """Bring a report and return what was told of it."""
        await self.come(*rows, name=name, vpd=vpd)
        await self.split()
        return [msgspec.json.decode(one.body, type=dict[str, str]) for one in self.broker.take()]

    async def file(self, name: str) -> AnyRow:
        async with self.work.engine.connect() as connection:
            return (await connection.execute(select(FILES).where(FILES.c.name == name))).one()

    async def accounted(self) -> None:
        """The owner of the lines has spoken of every one."""
        async with self.work.engine.begin() as connection:
            await connection.execute(text("UPDATE ingest.files SET status = 'complete' WHERE status = 'split'"))

    async def fates(self, name: str) -> dict[Fate, int]:
        return {Fate(int(fate)): number for fate, number in (await self.file(name)).fates.items()}


@pytest.fixture
async def ingest(database: str, passwords: Mapping[str, str], tmp_path: Path) -> AsyncIterator[Ingest]:
    engine = make_engine(as_role(database, "ingest", passwords["ingest"]), name="test")
    work = Work("ingest", engine, Broker(), FixedClock(datetime.fromisoformat("2026-03-02T06:00")))
    try:
        yield Ingest(work, tmp_path)
    finally:
        await engine.dispose()


async def test_the_first_report_tells_of_everybody_also_of_those_who_completed_nothing(ingest: Ingest) -> None:
    first, second = await ingest.night(FERN, ROWAN)
    assert first == {
        "user_idnumber": "999-1",
        "certification_idnumber": "FIRE",
        "status": "certified",
        "completed_at": "2026-03-03T00:00:00",
        "expires_on": "2027-03-03",
        "method": "e-Learning",
    }
    assert second == {
        "user_idnumber": "999-2", "certification_idnumber": "FIRE", "status": "assigned", "method": "e-Learning",
    }  # fmt: skip


async def test_a_report_that_says_the_same_is_accounted_for_and_tells_nothing(ingest: Ingest) -> None:
    await ingest.night(FERN, ROWAN)
    name = await ingest.come(ROWAN, FERN)  # in whatever order
    await ingest.split()
    assert ingest.broker.take() == []
    assert await ingest.fates(name) == {Fate.UNCHANGED: 2}
    assert (await ingest.file(name)).status == "complete"


async def test_columns_in_another_order_are_no_change(ingest: Ingest) -> None:
    await ingest.night(FERN)
    await ingest.come("3 Mar 2027,3 Mar 2026,Certified,FIRE,999-1", heading=",".join(reversed(HEADING.split(","))))
    await ingest.split()
    assert ingest.broker.take() == []


async def test_a_report_that_gets_a_column_which_says_what_was_known_is_no_change(ingest: Ingest) -> None:
    await ingest.come("999-1,FIRE,3 Mar 2026,3 Mar 2027", heading=HEADING.replace("Status,", ""))
    await ingest.split()
    assert len(ingest.broker.take()) == 1
    assert await ingest.night(FERN) == []


async def test_a_row_that_changed_and_one_that_is_new_are_told_and_the_rest_is_unchanged(ingest: Ingest) -> None:
    await ingest.night(FERN, ROWAN)
    name = await ingest.come(FERN, "999-2,FIRE,Certified,4 Mar 2026,4 Mar 2027", "999-2,BLS,Assigned,,")
    await ingest.split()
    told = ingest.broker.take()
    assert [(one.type, one.line) for one in told] == [("certification.upsert", 3), ("certification.upsert", 4)]
    assert await ingest.fates(name) == {Fate.UNCHANGED: 1}
    assert (await ingest.file(name)).status == "split"  # the others' fate is their owner's matter


async def test_what_changes_back_is_told_too(ingest: Ingest) -> None:
    for row in (ROWAN, "999-2,FIRE,Certified,4 Mar 2026,4 Mar 2027", ROWAN):
        assert len(await ingest.night(row)) == 1


async def test_who_is_in_the_report_no_more_is_told_of_once_without_a_line(ingest: Ingest) -> None:
    await ingest.night(FERN, ROWAN)
    await ingest.come(FERN)
    await ingest.split()
    (gone,) = ingest.broker.take()
    assert (gone.line, gone.type, gone.file_no, gone.stream) == (0, "certification.upsert", 2, "lms")
    assert msgspec.json.decode(gone.body) == {
        "user_idnumber": "999-2", "certification_idnumber": "FIRE", "status": "gone",
    }  # fmt: skip
    fact = fact_of(records.decode(gone))
    assert (fact.key, fact.slice, fact.owner, fact.version.order) == ("999-2|FIRE", "", "2", (2, 0))
    assert await ingest.night(FERN) == []
    assert [one["status"] for one in await ingest.night(FERN, ROWAN)] == ["assigned"]  # and is told when they are back


async def test_an_empty_report_says_that_the_few_there_were_are_gone(ingest: Ingest) -> None:
    await ingest.night(FERN, ROWAN)
    assert [one["status"] for one in await ingest.night()] == ["gone", "gone"]


async def test_a_report_that_leaves_out_many_is_believed_when_the_next_one_does_so_too(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reported, "FEW", 1)
    rows = [f"999-{number},FIRE,Assigned,," for number in range(6)]
    await ingest.night(*rows)
    assert await ingest.night(*rows[:3]) == []  # cut short
    assert await ingest.night(*rows) == []
    assert await ingest.night(*rows[:3]) == []  # it was there in between
    gone = await ingest.night(*rows[1:4])
    assert [(one["user_idnumber"], one["status"]) for one in gone] == [("999-4", "gone"), ("999-5", "gone")]
    assert await ingest.night(*rows[1:4]) == [gone[0] | {"user_idnumber": "999-0"}]


async def test_a_row_at_fault_is_a_dead_letter_and_nobody_s_end(ingest: Ingest) -> None:
    await ingest.night(FERN)
    name = await ingest.come(FERN.replace("3 Mar 2026", "soon"))
    await ingest.split()
    assert ingest.broker.take() == []
    assert [(one.code, one.line) for one in ingest.broker.letters] == [("L103", 2)]
    assert await ingest.fates(name) == {Fate.DEAD_LETTERED: 1}
    assert await ingest.night(FERN) == []


async def test_a_report_without_a_status_tells_of_completions_and_ends_nobody_who_has_none(ingest: Ingest) -> None:
    heading = HEADING.replace("Status,", "")
    await ingest.come("999-1,FIRE,3 Mar 2026,", heading=heading)
    await ingest.split()
    assert [one.line for one in ingest.broker.take()] == [2]
    name = await ingest.come("999-1,FIRE,,", heading=heading)
    await ingest.split()
    assert ingest.broker.take() == []
    assert await ingest.fates(name) == {Fate.IGNORED_NOT_USED: 1}


async def test_history_is_told_once_and_what_is_left_out_of_it_is_not_gone(ingest: Ingest) -> None:
    rows = ["999-1,FIRE,,3 Mar 2025,3 Mar 2026", "999-1,FIRE,,3 Mar 2024,3 Mar 2025"]
    assert [one["status"] for one in await ingest.night(*rows, name="history")] == ["history"] * 2
    assert await ingest.night(*rows, name="history") == []
    assert await ingest.night(name="history") == []
    other = await ingest.night(*rows, "999-1,FIRE,,3 Mar 2024,10 Mar 2025", name="history")
    assert [one["expires_on"] for one in other] == ["2025-03-10"]  # one completion, two expiries


async def test_current_rows_and_history_are_compared_apart_and_so_are_trusts(ingest: Ingest) -> None:
    await ingest.night(FERN)
    assert len(await ingest.night("999-1,FIRE,,3 Mar 2026,3 Mar 2027", name="history")) == 1
    assert len(await ingest.night(FERN.replace("999-", "998-"), vpd="998")) == 1
    assert await ingest.night(FERN) == []


async def test_two_rows_of_one_certification_in_a_file_are_both_told_the_later_last(ingest: Ingest) -> None:
    other = FERN.replace("3 Mar 2026", "4 Mar 2026")
    await ingest.night(FERN)
    told = await ingest.night(other, FERN)
    assert [one["completed_at"][:10] for one in told] == ["2026-03-04", "2026-03-03"]


async def test_what_was_not_confirmed_is_told_by_the_next_attempt(ingest: Ingest) -> None:
    await ingest.night(FERN)
    await ingest.come(FERN, ROWAN)
    ingest.broker.fails = True
    with pytest.raises(BrokerRefusedError):
        await ingest.split()
    ingest.broker.fails = False
    await ingest.split()
    assert [one.line for one in ingest.broker.take()] == [3]


async def test_a_file_that_is_sent_again_because_the_broker_forgot_it_sends_the_same_messages(ingest: Ingest) -> None:
    await ingest.night(FERN)
    await ingest.accounted()
    name = await ingest.come(FERN, ROWAN)
    await ingest.split()
    first = ingest.broker.take()
    await ingest.start_over()
    await ingest.split()
    assert [one.message_id for one in ingest.broker.take()] == [one.message_id for one in first]
    assert len(first) == 1
    assert await ingest.fates(name) == {Fate.UNCHANGED: 1}


async def test_a_row_with_a_name_too_long_to_be_kept_is_told_each_time(ingest: Ingest) -> None:
    short, long = (f"999-{'й' * size},{'щ' * 250},Assigned,," for size in (240, 251))
    odd = long.replace("й", "\U00010330").replace("щ", "\U00010331")
    assert [len(await ingest.night(short)) for _ in range(2)] == [1, 0]
    assert [len(await ingest.night(short, odd)) for _ in range(2)] == [1, 1]


async def test_reports_that_lie_side_by_side_are_taken_in_the_order_they_were_written(ingest: Ingest) -> None:
    async with ingest.work.engine.begin() as connection:
        for name, mtime in (("A", 3), ("B", 1), ("C", 2)):
            arrival = store.Arrival("999", name, name, "lms", 1, mtime)
            assert await store.add(connection, arrival, ingest.work.clock.now()) == store.NEW
        assert [row.name for row in await store.unchecked(connection, ["999"])] == ["B", "C", "A"]


async def test_years_in_totara_are_told_state_by_state_and_each_once(ingest: Ingest, tmp_path: Path) -> None:
    clock = FixedClock(datetime(2026, 6, 1, 9, tzinfo=LONDON))
    site = SandboxTotara(tmp_path / "totara.sqlite", clock=lambda: clock.now().timestamp())
    site.add_user(username="amy", idnumber="999-1")
    site.add_certification("FIRE", "expiry")
    site.assign("amy", "FIRE")

    async def night(day: str) -> list[tuple[str, str]]:
        clock.set(datetime.fromisoformat(f"{day} 01:00"))
        site.cron()
        for history in (False, True):
            name = f"{'history' if history else 'report'}-{day}.csv"
            if site.write_certification_report(tmp_path / name, history=history):
                await ingest.let_in(name)
        await ingest.split()
        told = [msgspec.json.decode(one.body, type=dict[str, str]) for one in ingest.broker.take()]
        return sorted((one["status"], one.get("completed_at", "")[:10]) for one in told)

    def upload(day: str, due: str = "") -> None:
        text = f"username,certificationshortname,certificationidnumber,completiondate,duedate\namy,,FIRE,{day},{due}\n"
        site.upload_completions(text.encode(), settings=UploadSettings(action=1))
        site.run_adhoc()

    assert await night("2026-06-01") == [("assigned", "")]
    upload("2026-06-01")
    assert await night("2026-06-02") == [("certified", "2026-06-01")]
    assert await night("2026-06-03") == []
    assert await night("2027-05-02") == [("history", "2026-06-01"), ("window-open", "2026-06-01")]
    assert site.learner_completes("amy", "FIRE")
    assert await night("2027-05-03") == [("certified", "2027-05-02")]
    assert await night("2028-07-01") == [("expired", ""), ("history", "2027-05-02")]
    upload("2028-06-30", due="2028-06-01")
    assert await night("2028-07-02") == [("certified", "2028-06-30")]
    upload("2028-06-30")  # the same again is an echo in the history
    assert await night("2028-07-03") == [("history", "2028-06-30")]
    site.unassign("amy", "FIRE")
    site.add_user(username="bob", idnumber="999-2")
    site.assign("bob", "FIRE")
    assert await night("2028-07-04") == [("assigned", ""), ("gone", "")]


async def test_a_report_of_110000_rows_that_says_the_same_takes_seconds_and_no_message(ingest: Ingest) -> None:
    rows = [
        f"999-{person},CERT{number:02d},Certified,3 Mar 2026,3 Mar 2027"
        for person in range(10_000)
        for number in range(11)
    ]
    first = await ingest.come(*rows)
    while (await ingest.file(first)).status != "split":
        await ingest.split()
        async with ingest.work.engine.begin() as connection:  # as if their owner had spoken
            await connection.execute(text("UPDATE ingest.files SET fates = jsonb_build_object('16', position)"))
    assert len(ingest.broker.take()) == 110_000
    begun = time.monotonic()
    name = await ingest.come(*rows)
    await ingest.split()
    took = time.monotonic() - begun
    assert ingest.broker.take() == []
    assert await ingest.fates(name) == {Fate.UNCHANGED: 110_000}
    assert (await ingest.file(name)).status == "complete"
    assert took < 60, took
    assert len(rows) > 100 * STEP
