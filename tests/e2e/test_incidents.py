"""Outages that a peer of this bridge lived through, each told again here: this bridge has to come through them.

The numbers are those of the project's list of incidents (docs/incidents.md).
"""

import io
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from esrbridge.embedded import STATE
from esrbridge.local.postgres import postgres
from esrbridge.once import log_file
from services.console import store as console
from services.console.actions import Operator
from services.ingest import splitter
from shared.accounting import Fate
from shared.errors import ConfigurationError, FileRefusedError
from shared.esr.writer import write_records
from shared.messaging.consumer import BATCH
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from tests.e2e import feed, story
from tests.e2e.trusts import LMS, Trust, act, later, open_trust, put, status

DAY = date(2026, 3, 2)
STAFF = range(1001, 1101)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A one-shot folder whose PostgreSQL runs on between the tests, and whose log is written."""
    folder = tmp_path_factory.mktemp("incidents")
    with log_file(folder), postgres(folder / STATE / "postgres", prefer_wheel=True):
        yield folder


@pytest.fixture(scope="module")
def vpds() -> Iterator[str]:
    """Numbers of trusts that no test has used."""
    return iter(str(number) for number in range(101, 999))


@pytest.fixture
async def staffed(folder: Path, vpds: Iterator[str]) -> AsyncIterator[Trust]:
    """A trust of a hundred people, loaded from a full file."""
    async with open_trust(folder, next(vpds)) as trust:
        put(trust, DAY, 1, STAFF, full=True)
        await trust.night()
        yield trust


async def test_incident_5_any_byte_in_any_field_keeps_back_one_record_at_most(staffed: Trust) -> None:
    """A backslash and an over-long field lost a whole batch of 85."""
    on = DAY + timedelta(days=1)
    odd = [byte for byte in range(256) if byte != ord("~")]  # the delimiter is no content: it makes another column
    marks = {byte: f"<{byte:03d}>" for byte in odd}
    records = [record for byte in odd for record in _employee(5000 + byte, f"A{marks[byte]}B")]
    records += _employee(6000, "y" * 150)
    content = feed.feed(staffed.vpd, on, 2, records).replace(b"y" * 150, b"y" * 151)
    for byte, mark in marks.items():
        content = content.replace(mark.encode(), bytes([byte]))
    name = feed.name(staffed.vpd, on, 2)
    staffed.put(name, content)
    report = await staffed.night()

    assert status(report, name) == ("complete", "")
    (file,) = [one for one in report["files"] if one["name"] == name]
    assert (file["accounted"]["applied"], file["accounted"]["dead_lettered"]) == (len(records) - 4, 4)
    assert report["dead_letters"] == {"R102": 1, "R106": 3}  # too long; NUL, CR and LF
    lms = story.prepare_lms(staffed.folder / LMS.format(vpd=staffed.vpd), staffed.vpd)
    names = {account["idnumber"]: account["lastname"] for account in lms.accounts()}
    kept = [byte for byte in odd if byte not in b"\0\r\n"]
    assert {byte: names[f"{staffed.vpd}-{5000 + byte}"] for byte in kept} == {byte: f"A{chr(byte)}B" for byte in kept}


def _employee(person_id: int, last_name: str) -> list[tuple[str, dict[str, str]]]:
    return [feed.person(person_id, last_name=last_name), feed.assignment(person_id)]


async def test_incident_6_a_record_is_corrected_and_replayed_and_the_change_is_kept(staffed: Trust) -> None:
    """A backslash again: it was mended by editing the file by hand and running it once more."""
    on = DAY + timedelta(days=1)
    content = feed.feed(staffed.vpd, on, 2, [feed.person(1001, last_name="O!Sample"), feed.person(1002)])
    staffed.put(feed.name(staffed.vpd, on, 2), content.replace(b"O!Sample", b"O\0Sample"))
    report = await staffed.night()
    (letter,) = report["dead_letter_list"]
    assert (letter["code"], letter["line"]) == ("R106", 2)

    work = staffed.bridge.components["console"].work
    operator = Operator(work, "a.nother")
    await operator.edit(staffed.vpd, letter["id"], {"last_name": "O'Sample"}, "a control character in the name")
    await operator.replay(staffed.vpd, letter["id"], "mended")
    report = await staffed.night()

    assert report["dead_letters"] == {}
    assert (await staffed.fates(feed.name(staffed.vpd, on, 2)))[2] is Fate.APPLIED
    async with work.engine.connect() as connection:
        row = await console.find(connection, staffed.vpd, letter["id"])
        actions = (await connection.execute(console.ACTIONS.select().where(console.ACTIONS.c.vpd == staffed.vpd))).all()
    assert row is not None
    assert b"\xef\xbf\xbd" in bytes(row.message)  # the record as it came, its bad character replaced
    assert b"O'Sample" in bytes(row.edited)
    assert [(one.action, one.who, one.columns) for one in actions] == [
        ("edit", "a.nother", ["last_name"]),
        ("replay", "a.nother", []),
    ]


@dataclass
class _Loads:
    """The largest batch each consumer was given, the most that one queue and its consumer had in hand, and which files
    were completed in turn.
    """

    batches: dict[str, int] = field(default_factory=dict)
    deepest: int = 0
    completed: list[str] = field(default_factory=list)

    def watch(self, trust: Trust) -> None:
        broker: MemoryBroker = trust.bridge.broker
        publish = broker.publish

        async def measured(messages: Sequence[Message]) -> None:
            await publish(messages)
            self.completed += [one.file for one in messages if one.type == "ingest.FileCompleted"]
            on_their_way = [len(queue.ready) + queue.unacked for queue in broker._queues.values()]
            self.deepest = max(self.deepest, *on_their_way)

        broker.publish = measured  # type: ignore[method-assign]
        for part in trust.bridge.components.values():
            for consumer in part.consumers:
                consumer._handle = self._counted(consumer.queue, consumer._handle)

    def _counted(self, queue: str, handle: Any) -> Any:
        async def counted(messages: Sequence[Message]) -> None:
            self.batches[queue] = max(self.batches.get(queue, 0), len(messages))
            await handle(messages)

        return counted


async def test_incident_7_batches_stay_bounded_however_many_records_a_file_holds(
    staffed: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than five hundred records in one call restarted a service."""
    monkeypatch.setattr(splitter, "IN_FLIGHT", 1_000)
    loads = _Loads()
    loads.watch(staffed)
    name = put(staffed, DAY + timedelta(days=1), 2, range(2001, 4501))
    report = await staffed.night()

    assert status(report, name) == ("complete", "")
    assert report["people"] == {"employee": 2_600}
    assert 0 < max(loads.batches.values()) <= BATCH
    assert 0 < loads.deepest <= 1_000


async def test_incident_8_full_files_beyond_the_number_agreed_are_parked_and_reported(staffed: Trust) -> None:
    """Nine full files came where three a week were agreed, and the database fell over three times."""
    names = [put(staffed, DAY, seq, STAFF, full=True) for seq in range(2, 10)]
    report = await staffed.night()

    assert [status(report, name) for name in names] == [("complete", "")] * 2 + [("held", "F017")] * 6
    assert report["events"]["ingest.FullFilesSurplus"] == 6
    changes = put(staffed, DAY + timedelta(days=1), 10, [2001])
    report = await staffed.night()
    assert status(report, changes) == ("complete", "")  # the day's changes do not wait for the surplus


async def test_incident_8_the_newest_surplus_file_can_be_let_in_and_the_others_are_then_too_old(staffed: Trust) -> None:
    names = [put(staffed, DAY, seq, STAFF, full=True) for seq in range(2, 10)]
    await staffed.night()
    await act(staffed, "release", names[-1], "ESR made it after a mend")
    report = await staffed.night()

    assert [status(report, name) for name in names[2:]] == [("refused", "F015")] * 5 + [("complete", "")]


async def test_incident_9_a_trust_whose_vpd_does_not_fit_its_profile_is_refused_before_anything_runs(
    folder: Path,
) -> None:
    """The specification said three digits, the programs disagreed, and the trust noticed first."""
    with pytest.raises(ConfigurationError, match=r"trust 1234: VPD '1234' does not fit profile esr-cstf"):
        async with open_trust(folder, "1234"):
            pass


async def test_incident_9_a_file_that_breaks_its_contract_does_not_leave(
    staffed: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(staffed.sent("CTC"))

    def forgetful(target: BinaryIO, *parts: Any, **more: Any) -> int:
        """A writer with a mistake in it: its trailer counts one record too few."""
        whole = io.BytesIO()
        written = write_records(whole, *parts, **more)
        target.write(whole.getvalue().replace(b"TRL~1", b"TRL~0"))
        return written

    with monkeypatch.context() as patch:
        patch.setattr("services.ingest.answers.write_records", forgetful)
        put(staffed, DAY + timedelta(days=1), 2, [2001])
        with pytest.raises(FileRefusedError, match="F005"):
            await staffed.night()
    assert len(staffed.sent("CTC")) == before

    await staffed.night()  # with the mistake mended it leaves, and no number was lost
    assert [sent[0][1][-12:-4] for sent in staffed.sent("CTC")] == ["00000001", "00000002"]


@pytest.fixture
async def learning(folder: Path, vpds: Iterator[str]) -> AsyncIterator[Trust]:
    """A trust with a cut-off at six, in whose LMS two things were learnt today that wait for it."""
    cut_off = {"cut_off": "18:00", "resend_after_days": 0}
    async with open_trust(folder, next(vpds), now="2026-03-03T16:00", completions=cut_off) as trust:
        for name, content in story.files(trust.vpd)[:3]:
            trust.put(name, content)
        await trust.bridge.until_idle(at_once=False)
        assert trust.sent("CMP") == []
        yield trust


def _set(trust: Trust, moment: str) -> None:
    trust.clock.set(datetime.fromisoformat(moment))


def _references(trust: Trust) -> list[list[str]]:
    """What each completion file holds, by reference."""
    return [[line[1] for line in file if line[0] == "TCA"] for file in trust.sent("CMP")]


def _both(trust: Trust) -> list[str]:
    return [f"L{trust.vpd}-000000000{number}" for number in (1, 2)]


async def test_incident_10_what_was_not_exported_one_night_is_exported_once_when_the_service_is_back(
    learning: Trust,
) -> None:
    """Records were not exported one night, and commands were put on a queue by hand."""
    _set(learning, "2026-03-04T07:00")  # nothing ran over the cut-off
    await learning.bridge.until_idle(at_once=False)
    assert _references(learning) == [_both(learning)]

    for time in ("08:00", "12:00", "18:00", "19:00"):
        _set(learning, f"2026-03-04T{time}")
        await learning.bridge.until_idle(at_once=False)
    assert _references(learning) == [_both(learning)]
    nights = learning.bridge.components["outbound"].nights
    assert nights is not None
    async with learning.bridge.readers["outbound"].trust(learning.vpd) as connection:
        (missed,) = (await nights.overview(connection, learning.vpd, date(2026, 3, 3)))["steps"]
    assert (missed["state"], missed["late"], missed["result"]["completions"]) == ("done", True, 2)


async def test_incident_10_any_step_can_be_run_again_for_its_night_and_nothing_is_exported_twice(
    learning: Trust,
) -> None:
    _set(learning, "2026-03-04T07:00")
    nights = learning.bridge.components["outbound"].nights
    assert nights is not None
    night = date(2026, 3, 3)
    told = [await nights.again(learning.vpd, "completion-file", night, "a.nother", "missed") for _ in range(3)]
    await learning.bridge.until_idle(at_once=False)

    assert [one["result"]["completions"] for one in told] == [2, 0, 0]
    assert _references(learning) == [_both(learning)]
    assert [one["who"] for one in told[-1]["steps"][0]["asked"]] == ["a.nother"] * 3
    for name, part in learning.bridge.components.items():
        for step in part.nights.steps(learning.vpd) if part.nights else ():
            again = await part.nights.again(learning.vpd, step, night, "a.nother", "an exercise")  # type: ignore[union-attr]
            assert (name, step, again["code"]) == (name, step, "")
    await learning.bridge.until_idle(at_once=False)
    assert _references(learning) == [_both(learning)]


async def test_incident_13_silence_alerts_and_the_backlog_drains_in_order_with_bounded_load(
    staffed: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ESR sent nothing for three days, then several days' files within two."""
    monkeypatch.setattr(splitter, "IN_FLIGHT", 500)
    later(staffed, days=3)
    report = await staffed.night()
    assert report["events"]["ingest.FeedSilent"] == 1

    loads = _Loads()
    loads.watch(staffed)
    days = range(1, 5)
    names = [put(staffed, DAY + timedelta(days=day), 1 + day, range(2001, 2001 + 200 * day)) for day in reversed(days)]
    report = await staffed.night()

    assert [status(report, name) for name in names] == [("complete", "")] * 4
    assert loads.completed == names[::-1]
    assert report["people"] == {"employee": 900}
    assert 0 < loads.deepest <= 500


async def test_incident_13_the_completion_file_leaves_on_time_while_the_backlog_drains(
    learning: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the night of the backlog no notifications were made."""
    for day in (3, 4, 5, 6):
        _set(learning, f"2026-03-0{day}T18:00")
        await learning.bridge.until_idle(at_once=False)
    assert len(learning.sent("CMP")) == 1
    monkeypatch.setattr(splitter, "IN_FLIGHT", 100)
    _set(learning, "2026-03-07T17:30")
    rows = ["reference,user_idnumber,certification_idnumber,completed_at,expires_on,course_idnumber,method"]
    rows.append(f"C0000000006,{learning.vpd}-9000001,BLS,2026-03-07T12:00:00+00:00,2027-03-07,BLS-F2F,Course")
    learning.put(f"completions_{learning.vpd}_20260307_00000002.csv", "\r\n".join([*rows, ""]).encode())
    await learning.bridge.until_idle(at_once=False)

    names = [put(learning, date(2026, 3, day), day - 1, range(2001, 2301)) for day in (4, 5, 6, 7)]
    broker: MemoryBroker = learning.bridge.broker
    publish = broker.publish
    told: list[str] = []

    async def publish_and_let_time_pass(messages: Sequence[Message]) -> None:
        await publish(messages)
        for one in messages:
            if one.type == "ingest.FileCompleted":
                told.append(one.file)
                if len(told) == 1:  # in the midst of it the cut-off comes
                    _set(learning, "2026-03-07T18:00")
            elif one.type == "outbound.CompletionSent":
                told.append(one.type)

    broker.publish = publish_and_let_time_pass  # type: ignore[method-assign]
    await learning.bridge.until_idle(at_once=False)

    assert [one for one in told if one in names] == names
    assert told.index("outbound.CompletionSent") < told.index(names[-1])
    assert _references(learning)[1:] == [[f"L{learning.vpd}-0000000003"]]
