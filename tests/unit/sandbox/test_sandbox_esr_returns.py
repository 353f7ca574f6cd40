"""What the sandbox's ESR makes of confirmations of its own files, and of requests for a full one."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.esr import SandboxEsr
from sandbox.esr_confirmations import BrokenReturnError, Confirmed, read_confirmation
from sandbox.esr_format import FileName, compose, line, lines_of, midnight, split
from sandbox.esr_watch import take_in, watch
from shared.clock import FixedClock
from shared.errors import ConfigurationError

PUBLISHED = Path(__file__).parent / "published"
FULL = "CS_999_CST_CSF_20260302_00000001.DAT"
CHANGES = "CS_999_CST_CSC_20260303_00000002.DAT"
CONFIRMATION = "CS_999_CST_CTC_20260303_00000002.DAT"
DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 3, 12)  # noqa: DTZ001 - UK local time, as the files have it


class Trust:
    """An ESR that sent the published files, and its two folders."""

    def __init__(self, folder: Path) -> None:
        self.esr = SandboxEsr(folder / "esr.sqlite", "999")
        self.to_esr, self.from_esr = folder / "to-esr", folder / "from-esr"
        self.to_esr.mkdir(exist_ok=True)
        self.from_esr.mkdir(exist_ok=True)
        for name in (FULL, CHANGES):
            shutil.copy(PUBLISHED / name, self.from_esr / name)
        take_in(folder / "esr.sqlite", "999", self.from_esr)

    def put(self, name: str, content: bytes, now: datetime = NOON) -> list[str]:
        """Let ESR find a file; return all its complaints."""
        (self.to_esr / name).write_bytes(content)
        assert self.esr.answer(self.to_esr, self.from_esr, now) == []
        return self.esr.truth().complaints()

    def confirm(self, number: int = 2, **changes: str) -> list[str]:
        """Send the published confirmation under a number, with columns changed; return all complaints."""
        summary, detail = CFH | pick(changes, CFH), CFD | pick(changes, CFD)
        return self.put(*ctc(number, line("CFH", summary), line("CFD", detail)))


CFH = {
    "confirmed_file": CHANGES,
    "file_status": "PARTIAL",
    "records_read": "9",
    "records_success": "8",
    "records_warning": "0",
    "records_failed": "1",
    "message_type": "WARNING",
    "message_code": "F000",
    "message_text": "1 of 9 records was not loaded",
}
CFD = {
    "record_position": "8",
    "confirmed_record_type": "CMA",
    "echoed_reference": "12000032",
    "load_status": "FAIL",
    "message_type": "ERROR",
    "message_code": "B201",
    "message_text": "Person ID 9000099 is not known to the receiver",
    "person_id": "9000099",
}


def pick(changes: dict[str, str], of: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in changes.items() if name in of}


def ctc(number: int, *records: str) -> tuple[str, bytes]:
    name = FileName("999", "CTC", date(2026, 3, 3), number)
    created, previous = "20260303 041000", "20260302 040000"
    return str(name), compose(name, created=created, previous=previous, current="20260303 040000", records=records)


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


# --- confirmations ----------------------------------------------------------------------------------------------


def test_the_published_confirmation_is_understood(trust: Trust) -> None:
    assert trust.esr.truth().confirmed(CHANGES) is None
    assert trust.put(CONFIRMATION, (PUBLISHED / CONFIRMATION).read_bytes()) == []
    assert trust.esr.truth().confirmed(CHANGES) == Confirmed(CONFIRMATION, CHANGES, "PARTIAL", 9, 8, 0, 1)
    assert trust.esr.truth().refused_records(CHANGES) == [(8, "B201")]
    assert trust.esr.truth().confirmed(FULL) is None
    assert trust.esr.truth().refused_records(FULL) == []


def test_a_confirmation_stands_however_often_it_is_looked_at(trust: Trust) -> None:
    content = (PUBLISHED / CONFIRMATION).read_bytes()
    for _ in range(2):
        assert trust.put(CONFIRMATION, content) == []
    (trust.to_esr / CONFIRMATION).unlink()
    assert trust.put(CONFIRMATION, content) == []
    assert trust.esr.truth().refused_records(CHANGES) == [(8, "B201")]


def test_an_esr_that_invented_its_trust_knows_what_it_sent(tmp_path: Path) -> None:
    esr = SandboxEsr(tmp_path / "esr.sqlite", "999")
    esr.populate(30, DAY)
    files = [esr.write_full(tmp_path / "out", DAY), esr.write_changes(tmp_path / "out", DAY + timedelta(1))]
    for number, path in enumerate(files, start=1):
        sent = [split(one) for one in lines_of(path.read_bytes())[1:-1]]
        person = next(place for place, fields in enumerate(sent, start=1) if fields[0] == "ASA")
        count = {"records_read": str(len(sent)), "records_success": str(len(sent) - 1)}
        summary = CFH | {"confirmed_file": path.name} | count
        detail = {"record_position": str(person), "confirmed_record_type": "ASA", "person_id": ""}
        name, content = ctc(
            number,
            line("CFH", summary),
            line("CFD", CFD | detail | {"echoed_reference": sent[person - 1][2]}),
        )
        (tmp_path / name).write_bytes(content)
        esr.answer(tmp_path, tmp_path / "out", NOON)
        assert esr.truth().complaints() == []
        assert esr.truth().refused_records(path.name) == [(person, "B201")]


@pytest.mark.parametrize(
    "changes",
    [
        {"file_status": "SUCCESS", "message_type": "", "message_code": "", "message_text": ""},
        {"file_status": "FAIL", "message_type": "ERROR", "message_code": "F005"},
        {"file_status": "DUPLICATE", "message_code": "F007"},
    ],
)
def test_a_file_may_be_taken_whole_refused_whole_or_known_already(trust: Trust, changes: dict[str, str]) -> None:
    taken = changes["file_status"] == "SUCCESS"
    counts = {"records_read": "9" if taken else "0", "records_success": "9" if taken else "0", "records_failed": "0"}
    assert trust.put(*ctc(1, line("CFH", CFH | counts | changes))) == []
    said = trust.esr.truth().confirmed(CHANGES)
    assert said is not None
    assert (said.status, said.records_read, said.records_failed) == (changes["file_status"], 9 if taken else 0, 0)


def test_a_duplicate_does_not_hide_what_was_said_before(trust: Trust) -> None:
    nothing = {"records_read": "0", "records_success": "0", "records_failed": "0"}
    twice = CFH | nothing | {"file_status": "DUPLICATE", "message_code": "F007"}
    assert trust.confirm(1) == []
    assert trust.put(*ctc(2, line("CFH", twice))) == []
    said = trust.esr.truth().confirmed(CHANGES)
    assert said is not None
    assert said.status == "PARTIAL"


def test_a_file_that_was_refused_may_be_taken_after_all(trust: Trust) -> None:
    nothing = {"records_read": "0", "records_success": "0", "records_failed": "0"}
    refused = CFH | nothing | {"file_status": "FAIL", "message_type": "ERROR", "message_code": "F005"}
    assert trust.put(*ctc(1, line("CFH", refused))) == []
    assert trust.confirm(2) == []
    said = trust.esr.truth().confirmed(CHANGES)
    assert said is not None
    assert said.status == "PARTIAL"


def test_a_record_that_was_loaded_with_a_warning_is_not_refused(trust: Trust) -> None:
    warned = CFD | {"record_position": "9", "confirmed_record_type": "CMD", "echoed_reference": "12000002"}
    warned |= {"load_status": "SUCCESS", "message_type": "WARNING", "message_code": "R109", "person_id": ""}
    name, content = ctc(1, line("CFH", CFH | {"records_warning": "1"}), line("CFD", CFD), line("CFD", warned))
    assert trust.put(name, content) == []
    assert trust.esr.truth().refused_records(CHANGES) == [(8, "B201")]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"confirmed_file": FULL.replace("CSF", "CSC")}, "was never sent"),
        ({"confirmed_file": FULL}, "9 records read, 19 were sent"),
        ({"records_read": "10", "records_success": "9"}, "10 records read, 9 were sent"),
        ({"records_success": "9"}, "CFH: 9 read, 9 loaded"),
        ({"records_warning": "9"}, "CFH: 9 read, 8 loaded (9 with a warning)"),
        ({"records_read": "nine"}, "a count is not a number"),
        ({"records_read": "9.0"}, "a count is not a number"),
        ({"records_read": "\xb2"}, "a count is not a number"),
        ({"record_position": "\xb2"}, "is out of order or was never sent"),
        ({"file_status": "SUCCESS"}, "status SUCCESS does not go"),
        ({"file_status": "FAIL"}, "status FAIL does not go"),
        ({"file_status": "DUPLICATE"}, "status DUPLICATE does not go"),
        ({"file_status": "GOOD"}, "status GOOD does not go"),
        ({"file_status": ""}, "status blank does not go"),
        ({"records_success": "9", "records_failed": "0"}, "status PARTIAL does not go"),
        ({"records_success": "7", "records_failed": "2"}, "CFH counts 2 failed, 1 are told"),
        ({"record_position": "10"}, "record 10 is out of order or was never sent"),
        ({"record_position": "0"}, "record 0 is out of order or was never sent"),
        ({"record_position": "x"}, "record x is out of order or was never sent"),
        ({"record_position": "7"}, "another record than this was sent at place 7"),
        ({"confirmed_record_type": "CMD"}, "another record than this was sent at place 8"),
        ({"echoed_reference": "9000099"}, "another record than this was sent at place 8"),
        ({"load_status": "SUCCESS"}, "record 8 is neither"),
        ({"message_type": "", "message_code": ""}, "does not go with its counts and message"),
        ({"message_code": "F" * 11}, "message code or text is too long"),
        ({"message_text": "x" * 201}, "message code or text is too long"),
        ({"message_code": ""}, "message type and code do not go together"),
    ],
)
def test_a_confirmation_that_is_not_true_or_does_not_add_up_is_complained_of(
    trust: Trust, changes: dict[str, str], complaint: str
) -> None:
    [said] = trust.confirm(2, **changes)
    assert said.startswith(f"{CONFIRMATION}: ")
    assert complaint in said
    assert trust.esr.truth().confirmed(CHANGES) is None


def test_a_record_told_twice_or_out_of_order_is_complained_of(trust: Trust) -> None:
    two = CFH | {"records_success": "7", "records_failed": "2"}
    [said] = trust.put(*ctc(1, line("CFH", two), line("CFD", CFD), line("CFD", CFD)))
    assert "record 8 is out of order" in said


def test_a_success_with_an_error_or_a_failure_with_an_id_is_complained_of(trust: Trust) -> None:
    with_id = line("CFD", CFD | {"esr_record_id": "12000032"})
    [said] = trust.put(*ctc(1, line("CFH", CFH), with_id))
    assert "record 8 is neither" in said


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"HDR~CS_999", b"HDR~CS_998", "the header names another file or trust"),
        (b"041000~999~", b"041000~998~", "the header names another file or trust"),
        (b"~20260303 041000", b"~20260303 246000", "something that is no time"),
        (b"~20260302 040000", b"~20260230 040000", "something that is no time"),
        (b"~20260302 040000", b"~20260304 040000", "go backwards"),
        (b"~20260303 040000", b"~20260304 040000", "another day than the name's"),
        (b"~01\r\n", b"~02\r\n", "version 01"),
        (b"~01\r\n", b"~01~\r\n", "seven columns"),
        (b"HDR~", b"HDX~", "the header is not HDR"),
        (b"TRL~2", b"TRL~3", "does not count 2 records"),
        (b"TRL~2\r\n", b"", "does not count 1 records"),
        (b"TRL~2\r\n", b"TRL~2", "not every line ends with CR LF"),
        (b"\r\nCFD", b"\nCFD", "not every line ends with CR LF"),
        (b"\r\nCFD", b"\r\n\r\nCFD", "or one is blank"),
        (b"~9000099~~", b"~9000099~", "CFD has 10 columns, not 11"),
        (b"CFD~8", b"CFX~8", "one CFH and then CFD only"),
        (b"CFH~", b"CFD~", "one CFH and then CFD only"),
    ],
)
def test_a_confirmation_that_breaks_the_format_is_complained_of(
    trust: Trust, old: bytes, new: bytes, complaint: str
) -> None:
    content = (PUBLISHED / CONFIRMATION).read_bytes()
    assert content.count(old) == 1
    [said] = trust.put(CONFIRMATION, content.replace(old, new))
    assert complaint in said
    assert trust.esr.truth().confirmed(CHANGES) is None


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (CONFIRMATION.lower(), "not spelt as the format has it"),
        (CONFIRMATION.replace("_00000002", "_2"), "not spelt as the format has it"),
        (CONFIRMATION.replace("999", "998"), "VPD 998 is not this trust's"),
    ],
)
def test_a_confirmation_under_another_name_is_complained_of(trust: Trust, name: str, complaint: str) -> None:
    [said] = trust.put(name, (PUBLISHED / CONFIRMATION).read_bytes())
    assert complaint in said


def test_a_confirmation_that_changes_or_comes_under_a_second_name_is_complained_of(trust: Trust) -> None:
    assert trust.confirm(2) == []
    [said] = trust.confirm(2, message_text="other")
    assert said == f"{CONFIRMATION}: came again with other bytes"
    [_, said] = trust.confirm(3)
    assert said.endswith(f"{CONFIRMATION} has confirmed {CHANGES} before")
    assert trust.esr.truth().refused_records(CHANGES) == [(8, "B201")]


def test_confirmations_are_numbered_without_a_gap(trust: Trust) -> None:
    summary = CFH | {"confirmed_file": FULL, "file_status": "SUCCESS", "records_read": "19", "records_success": "19"}
    summary |= {"records_failed": "0", "message_type": "", "message_code": "", "message_text": ""}
    assert trust.put(*ctc(7, line("CFH", summary))) == []
    [said] = trust.confirm(9)
    assert said.endswith("number 00000008 was expected")
    assert trust.esr.truth().confirmed(CHANGES) is not None


def test_confirmations_that_lie_there_together_are_read_in_the_order_of_their_numbers(trust: Trust) -> None:
    summary = CFH | {"confirmed_file": FULL, "file_status": "SUCCESS", "records_read": "19", "records_success": "19"}
    summary |= {"records_failed": "0", "message_type": "", "message_code": "", "message_text": ""}
    name, content = ctc(9, line("CFH", summary))
    (trust.to_esr / name).write_bytes(content)
    assert trust.confirm(10) == []


@given(data=st.data())
def test_a_damaged_confirmation_is_broken_or_says_the_same(data: st.DataObject) -> None:
    whole = (PUBLISHED / CONFIRMATION).read_bytes()
    sent = [("", "")] * 7 + [("CMA", "12000032"), ("CMD", "12000002")]
    at = data.draw(st.integers(0, len(whole) - 1))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"~", b"\r\n", b"0"]))
    damaged = whole[:at] + put + whole[at + data.draw(st.integers(0, 5)) :]
    try:
        confirmed, refused = read_confirmation(CONFIRMATION, damaged, "999", {CHANGES: sent}.get)
    except BrokenReturnError:
        return
    # What is left is damage to a code or a text, which may be anything, or to a count of warnings that adds up.
    assert (confirmed.file, confirmed.records_read, confirmed.records_failed) == (CHANGES, 9, 1)
    assert [one.position for one in refused] == [8]


# --- requests ---------------------------------------------------------------------------------------------------


def csr(day: str, moment: str = "", number: int = 1) -> tuple[str, bytes]:
    name = f"CS_999_CST_CSR_{day}_{number:08d}.DAT"
    return name, f"HDR~{name}~{moment or day + ' 000000'}\r\n".encode()


@pytest.fixture
def living(tmp_path: Path) -> Trust:
    """An ESR that invented its trust and sent a full file up to 2 March and changes up to 3 March."""
    (tmp_path / "own").mkdir()
    trust = Trust(tmp_path)
    trust.esr = SandboxEsr(tmp_path / "own" / "esr.sqlite", "999")
    trust.esr.populate(40, DAY)
    trust.esr.write_full(trust.from_esr, DAY)
    trust.esr.write_changes(trust.from_esr, DAY + timedelta(1))
    return trust


def header(path: Path) -> list[str]:
    return split(lines_of(path.read_bytes())[0])


def test_a_full_file_is_written_once_the_moment_has_come_and_changes_go_on_from_there(living: Trust) -> None:
    assert living.put(*csr("20260304")) == []
    assert living.esr.write_requested(living.from_esr, datetime(2026, 3, 3, 23, 59)) == []  # noqa: DTZ001
    [full] = living.esr.write_requested(living.from_esr, datetime(2026, 3, 4, 3, 15))  # noqa: DTZ001
    assert full.name == "CS_999_CST_CSF_20260304_00000003.DAT"
    assert header(full)[4:6] == ["00000000 000000", "20260304 000000"]
    changes = living.esr.write_changes(living.from_esr, date(2026, 3, 5))
    assert changes.name == "CS_999_CST_CSC_20260305_00000004.DAT"
    assert header(changes)[4:6] == ["20260304 000000", "20260305 000000"]
    assert living.esr.write_requested(living.from_esr, datetime(2026, 3, 5, 3, 15)) == []  # noqa: DTZ001


def test_the_same_full_file_comes_whether_or_not_the_days_changes_came_before_it(tmp_path: Path) -> None:
    bodies = []
    for changes_first in (False, True):
        folder = tmp_path / str(changes_first)
        folder.mkdir()
        esr = SandboxEsr(folder / "esr.sqlite", "999")
        esr.populate(40, DAY)
        esr.write_full(folder, DAY)
        name, content = csr("20260303")
        (folder / name).write_bytes(content)
        esr.answer(folder, folder, datetime(2026, 3, 2, 18))  # noqa: DTZ001
        if changes_first:
            esr.write_changes(folder, date(2026, 3, 3), with_faults=False)
        [full] = esr.write_requested(folder, datetime(2026, 3, 3, 6))  # noqa: DTZ001
        assert header(full)[5] == midnight(date(2026, 3, 3))
        assert full.name.endswith("3.DAT" if changes_first else "2.DAT")
        bodies.append(lines_of(full.read_bytes())[1:])
        assert header(esr.write_changes(folder, date(2026, 3, 4)))[4] == "20260303 000000"
    assert bodies[0] == bodies[1]


def test_no_changes_file_passes_by_a_full_file_that_was_asked_for(living: Trust) -> None:
    assert living.put(*csr("20260304")) == []
    with pytest.raises(ConfigurationError, match="as at 2026-03-04 was asked for"):
        living.esr.write_changes(living.from_esr, date(2026, 3, 5))
    living.esr.write_changes(living.from_esr, date(2026, 3, 4))
    living.esr.write_requested(living.from_esr, datetime(2026, 3, 4, 6))  # noqa: DTZ001
    living.esr.write_changes(living.from_esr, date(2026, 3, 5))


def test_a_request_is_taken_once_however_often_it_is_looked_at(living: Trust) -> None:
    for _ in range(2):
        assert living.put(*csr("20260304")) == []
    moment = datetime(2026, 3, 4, 6, tzinfo=UTC)
    assert len(living.esr.write_requested(living.from_esr, moment)) == 1
    assert living.esr.answer(living.to_esr, living.from_esr, moment) == []
    assert living.esr.write_requested(living.from_esr, moment) == []
    assert living.esr.truth().complaints() == []


def test_several_requests_are_fulfilled_in_their_order(living: Trust) -> None:
    for day in ("20260305", "20260304"):
        assert living.put(*csr(day)) == []
    paths = living.esr.write_requested(living.from_esr, datetime(2026, 3, 5, 6))  # noqa: DTZ001
    assert [path.name[-21:-4] for path in paths] == ["20260304_00000003", "20260305_00000004"]


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (csr("20260303"), "came after its moment"),
        (csr("20260302"), "came after its moment"),
        (csr("20260304", "20260304 120000"), "no midnight"),
        (csr("20260304", "20260304 000001"), "no midnight"),
        (csr("20260304", "20260305 000000"), "another day than the moment"),
        (csr("20260304", "20260231 000000"), "the moment is none"),
        (csr("20260304", "20260304"), "the moment is none"),
        (csr("20260304", number=2), "numbered 00000001"),
        ((csr("20260304")[0].replace("999", "998"), csr("20260304")[1]), "VPD 998"),
        ((csr("20260304")[0], csr("20260305")[1]), "its own name"),
        ((csr("20260304")[0], csr("20260304")[1] + b"TRL~0\r\n"), "one line"),
        ((csr("20260304")[0], csr("20260304")[1].replace(b" 000000", b" 000000~01")), "one line"),
        ((csr("20260304")[0], csr("20260304")[1].strip()), "CR LF"),
        ((csr("20260304")[0], b""), "one line"),
        ((csr("20260304")[0].lower(), csr("20260304")[1]), "not spelt"),
    ],
)
def test_a_request_that_could_leave_a_gap_or_breaks_the_format_is_complained_of_and_not_fulfilled(
    living: Trust, request_: tuple[str, bytes], complaint: str
) -> None:
    [said] = living.put(*request_)
    assert complaint in said
    assert living.esr.write_requested(living.from_esr, datetime(2026, 3, 9)) == []  # noqa: DTZ001


def test_a_request_is_in_time_until_its_midnight_in_the_uk(living: Trust) -> None:
    last = datetime(2026, 6, 3, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in the UK's summer
    name, content = csr("20260604")
    assert living.put(name, content, last) == []
    [said] = living.put(*csr("20260605"), last + timedelta(days=1, seconds=1))
    assert "came after its moment" in said


def test_a_request_for_a_window_that_is_sent_already_is_complained_of(living: Trust) -> None:
    living.esr.write_changes(living.from_esr, date(2026, 3, 6))
    [said] = living.put(*csr("20260305"))
    assert "that window is closed" in said


def test_a_watching_esr_reads_what_comes_back_and_writes_what_was_asked_for(trust: Trust, tmp_path: Path) -> None:
    state = tmp_path / "esr.sqlite"
    (trust.to_esr / CONFIRMATION).write_bytes((PUBLISHED / CONFIRMATION).read_bytes())
    name, content = csr("20260304")
    (trust.to_esr / name).write_bytes(content)
    clock = FixedClock(NOON)
    assert list(watch(state, "999", tmp_path, rounds=1, clock=clock)) == []
    assert trust.esr.truth().complaints() == []
    assert trust.esr.truth().refused_records(CHANGES) == [(8, "B201")]
    clock.set(NOON + timedelta(days=1))
    wanted = "CS_999_CST_CSF_20260304_00000003.DAT"
    assert list(watch(state, "999", tmp_path, rounds=2, clock=clock)) == [f"wrote {wanted}"]  # and is not taken in
    assert people(tmp_path / "from-esr" / wanted) == people(PUBLISHED / FULL)  # and nobody was invented


def people(path: Path) -> set[str]:
    return {fields[6] for one in lines_of(path.read_bytes()) if (fields := split(one))[0] == "PRA"}
