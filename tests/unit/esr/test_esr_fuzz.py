"""Whatever bytes come, there is no crash: only named codes, exact counts, and texts without values."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import FileRefusedError
from shared.esr import FileCode, RecordCode, Validation, load_profile, read_records, validate_file

PROFILE = load_profile("esr-cstf")
SAMPLES = {path.name: path.read_bytes() for path in (Path(__file__).parents[2] / "samples").glob("*.DAT")}
CODES = {*FileCode, *RecordCode}
VALUES = ("Sampleton", "Fern", "Mockford", "Rowan", "Placeholder", "Mildred", "QQ123456", "trust.example", "Zo\xeb")


def validate(name: str, content: bytes) -> Validation:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        found = validate_file(path, PROFILE)
        with contextlib.suppress(FileRefusedError):  # structural faults show here too, as an error with a code
            records = list(read_records(path, PROFILE))
            if found.status != "refused":
                assert len(records) == found.structure.data_records
                assert [record.position for record in records] == list(range(1, len(records) + 1))
    assert found.structure.size == len(content)
    assert {fault.code for fault in found.faults} <= CODES
    assert found.fault_counts.keys() <= CODES
    assert (found.status == "refused") == bool(found.structure.faults)
    for fault in found.faults:
        assert not any(value in fault.text for value in VALUES)
    assert not any(value.upper() == code for value in VALUES for code in found.records_by_type)
    return found


@given(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=400))
def test_random_bytes_are_refused_with_named_codes(name: str, content: bytes) -> None:
    assert validate(name, content).status == "refused"


@settings(max_examples=300)
@given(data=st.data())
def test_a_sample_with_changed_bytes_yields_only_named_codes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    content = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content) - 1))
        removed = data.draw(st.integers(0, 3))
        content[start : start + removed] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"~", b"\r", b"\n", b"\r\n", b"\0", b"\\", b'"', b"TRL~"])
        )
        if not content:
            break
    validate(name, bytes(content))


@given(data=st.data())
def test_a_sample_with_shuffled_or_repeated_lines_yields_only_named_codes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    lines = st.sampled_from(SAMPLES[name].splitlines(keepends=True))
    validate(name, b"".join(data.draw(st.lists(lines, max_size=30))))


@given(data=st.data())
def test_one_odd_byte_inside_a_value_touches_at_most_its_record(data: st.DataObject) -> None:
    name = "CS_999_CST_CSF_20260302_00000001.DAT"
    content = bytearray(SAMPLES[name])
    first = content.index(b"\n") + 1
    places = [
        place
        for place in range(first, content.rindex(b"TRL"))
        if content[place] not in b"~\r\n" and content.rfind(b"~", first, place) > content.rfind(b"\n", 0, place)
    ]
    byte = data.draw(st.integers(0, 255).filter(lambda number: number not in b"~\n"))
    content[data.draw(st.sampled_from(places))] = byte
    found = validate(name, bytes(content))
    assert found.status in ("valid", "faults")
    assert found.faulty_records <= 1
