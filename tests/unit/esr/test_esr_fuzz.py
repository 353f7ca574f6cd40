"""Whatever bytes come, there is no crash and no hang: only named codes, exact counts, and texts without values."""

import contextlib
import tempfile
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import FileRefusedError
from shared.esr import (
    START,
    Fault,
    FileCode,
    Profile,
    RecordCode,
    Validation,
    check_structure,
    load_profile,
    read_records,
    validate_file,
)
from shared.esr.lines import MAX_LINE_BYTES, READ_BYTES
from tests.unit.esr.esr_writing import DAY, plain_record, write

CSTF = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
FULL = "CS_999_CST_CSF_20260302_00000001.DAT"
CODES = {*FileCode, *RecordCode}
VALUES = ("Sampleton", "Fern", "Mockford", "Rowan", "Placeholder", "Mildred", "QQ123456", "trust.example", "Zo\xeb")


def _files() -> dict[str, tuple[Profile, bytes]]:
    """The samples, and files with every record type of either profile."""
    files = {path.name: (CSTF, path.read_bytes()) for path in (Path(__file__).parents[2] / "samples").glob("*.DAT")}
    for profile in (CSTF, GDW):
        for kind in profile.kinds.values():
            records = [(code, plain_record(profile, code)) for code in sorted(kind.records)]
            seq = 1 if kind.mode == "request" else 77
            name = profile.file_name("999", kind.code, DAY, seq)
            files[name] = (profile, write(profile, kind.code, records, seq=seq))
    name = "GO_999_GDW_GDR_20260304_00000078.DAT"
    files[name] = (
        GDW,
        files["GO_999_GDW_GOF_20260303_00000077.DAT"][1].replace(b"GOF_20260303_00000077", b"GDR_20260304_00000078"),
    )
    return files


FILES = _files()
NAMES = sorted(FILES)


def validate(name: str, content: bytes) -> Validation:
    """Validate a file and hold everything against what may be said of any file."""
    profile = FILES[name][0]
    faults: list[Fault] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        found = validate_file(path, profile, on_fault=faults.append)
        with contextlib.suppress(FileRefusedError):  # structural faults show here too, as an error with a code
            records = list(read_records(path, profile))
            if found.status != "refused":
                assert len(records) == found.structure.data_records == sum(found.records_by_type.values())
                assert [record.position for record in records] == list(range(1, len(records) + 1))
                positions = [START, *(record.after for record in records)]
                for before, after in pairwise(positions):
                    assert before.offset < after.offset
                    assert before.line < after.line
                for record in records:
                    assert not any(set(value) & set("\0\r\n") for value in record.fields.values())
    assert found.structure.size == len(content)
    assert found.fault_counts == Counter(fault.code for fault in faults)
    assert found.fault_counts.keys() <= CODES
    assert (found.status == "refused") == bool(found.structure.faults)
    for fault in faults:
        assert not any(value in fault.text for value in VALUES)
    assert not any(value.upper() == code for value in VALUES for code in found.records_by_type)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_files_that_are_broken_here_are_sound_before(name: str) -> None:
    assert validate(name, FILES[name][1]).status == "valid"


@given(st.sampled_from(NAMES), st.binary(max_size=400))
def test_random_bytes_are_refused_with_named_codes(name: str, content: bytes) -> None:
    assert validate(name, content).status == "refused"


ODD = [b"~", b"\r", b"\n", b"\r\n", b"\0", b"\\", b'"', b"TRL~", b"HDR~", b"PRA~", b"\xa0", b"\xeb", b"\xff", b"~" * 60]


@settings(max_examples=300)
@given(data=st.data())
def test_a_file_with_changed_bytes_yields_only_named_codes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    content = bytearray(FILES[name][1])
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content) - 1))
        removed = data.draw(st.integers(0, 3))
        content[start : start + removed] = data.draw(st.binary(max_size=3) | st.sampled_from(ODD))
        if not content:
            break
    validate(name, bytes(content))


@given(data=st.data())
def test_a_file_with_one_bit_turned_yields_only_named_codes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    content = bytearray(FILES[name][1])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    validate(name, bytes(content))


@given(data=st.data())
def test_a_file_cut_off_anywhere_is_refused_unless_only_its_last_line_ending_is_missing(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in NAMES if b"TRL~" in FILES[name][1]]))
    content = FILES[name][1]
    kept = data.draw(st.integers(0, len(content) - 1))
    trailer = content.rindex(b"TRL~")
    whole = len(content[trailer:].rstrip(b"\r\n")) + trailer
    assert (validate(name, content[:kept]).status == "valid") == (kept >= whole)


@given(data=st.data())
def test_a_file_with_shuffled_or_repeated_lines_yields_only_named_codes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    lines = st.sampled_from(FILES[name][1].splitlines(keepends=True))
    validate(name, b"".join(data.draw(st.lists(lines, max_size=30))))


@given(data=st.data())
def test_one_odd_byte_inside_a_value_touches_at_most_its_record(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([FULL, "GO_999_GDW_GOC_20260303_00000077.DAT"]))
    content = bytearray(FILES[name][1])
    first = content.index(b"\n") + 1
    places = [
        place
        for place in range(first, content.rindex(b"TRL"))
        if content[place] not in b"~\r\n" and content.rfind(b"~", first, place) > content.rfind(b"\n", 0, place)
    ]
    byte = data.draw(st.integers(0, 255).filter(lambda number: number != ord("~")))
    content[data.draw(st.sampled_from(places))] = byte
    found = validate(name, bytes(content))
    assert found.status in ("valid", "faults")
    assert found.faulty_records <= 1


@given(name=st.sampled_from(NAMES), data=st.data())
def test_a_name_in_any_case_is_the_same_name(name: str, data: st.DataObject) -> None:
    profile, content = FILES[name]
    spelt = "".join(data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name)
    assert profile.parse_file_name(spelt).name == name
    assert check_structure(content, profile, name=spelt) == check_structure(content, profile, name=name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\r\n\r\n", b" \t\n", b"\xa0\n", b"\0", b"~", b"\r", b"HDR", b"TRL~0"]
)
def test_a_file_of_next_to_nothing_is_refused(name: str, content: bytes) -> None:
    assert validate(name, content).status == "refused"


@pytest.mark.parametrize("name", [FULL, "GO_999_GDW_GDR_20260304_00000078.DAT"])
@pytest.mark.parametrize("place", ["alone", "first", "amid", "last"])
def test_a_line_of_100_mb_is_f012_in_bounded_memory(tmp_path: Path, name: str, place: str) -> None:
    profile, content = FILES[name]
    lines = content.splitlines(keepends=True)
    before = {"alone": 0, "first": 0, "amid": 3, "last": len(lines)}[place]
    path = tmp_path / name
    with path.open("wb") as file:
        file.writelines(lines[:before])
        file.write(b"PRA~")
        file.seek(100_000_000, 1)  # a hole: NUL bytes that take no place on the disk
        if place != "alone":
            file.write(b"~x\n")
            file.writelines(lines[before:])
        else:
            file.write(b"x")
    tracemalloc.start()
    try:
        found = validate_file(path, profile)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.status == "refused"
    assert found.fault_counts["F012"] == 1
    assert found.structure.size == path.stat().st_size
    assert peak < 8_000_000
    if place == "amid":
        assert found.structure.data_records == len(lines) - 1
        with pytest.raises(FileRefusedError, match="Line 4 is too long"):
            list(read_records(path, profile))


def test_a_line_just_too_long_by_blanks_is_no_blank_line() -> None:
    _, content = FILES[FULL]
    for blanks in (MAX_LINE_BYTES, 3 * READ_BYTES):
        long = content.replace(b"\nTRL~", b"\n" + b" " * blanks + b"x" + b" " * blanks + b"\nTRL~")
        assert check_structure(long, CSTF, name=FULL).fault_counts == {"F012": 1, "F005": 1}
