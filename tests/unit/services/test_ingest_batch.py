"""A batch of completions by HTTP: what is taken, what is refused, and the file that a batch becomes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.batch import MOST, Batch, TooManyError, read_batch
from services.ingest.lms_files import API_NAME, LmsFiles
from services.ingest.source import Line, Place
from shared.codes import LmsCode
from shared.esr.faults import RecordCode
from shared.lms_csv import FIELDS, lms_profiles, load_lms_profile

ITEM = {
    "reference": "r1",
    "user_idnumber": "999-9000001",
    "certification_idnumber": "FIRE",
    "completed_at": "2026-03-03T14:22:10+00:00",
    "expires_on": "2028-03-03",
    "course_idnumber": "C1",
    "method": "e-Learning",
}


def body(*items: object, **more: object) -> bytes:
    return json.dumps({"completions": list(items), **more}).encode()


def taken(*items: object) -> Batch:
    batch = read_batch("999", body(*items))
    assert isinstance(batch, Batch), batch
    return batch


def faults(*items: object) -> list[tuple[int | None, str, str]]:
    return told(body(*items))


def told(said: bytes) -> list[tuple[int | None, str, str]]:
    found = read_batch("999", said)
    assert isinstance(found, list), "the batch was taken"
    return [(fault.index, fault.field, fault.code) for fault in found]


def read_back(batch: Batch, folder: Path, profile: str = "esrbridge-completions") -> list[Line]:
    path = folder / "batch.csv"
    path.write_bytes(batch.content)
    source = LmsFiles(load_lms_profile(profile), "999")
    checked = source.check(path, batch.name, "999")
    assert (checked.faults, checked.records) == ((), batch.records)
    return list(source.lines(path, batch.name, Place()))


@pytest.mark.parametrize("profile", lms_profiles())
def test_a_batch_becomes_a_file_that_is_read_back_whatever_the_trusts_own_profile(profile: str, tmp_path: Path) -> None:
    batch = taken(ITEM, ITEM | {"reference": "r2", "expires_on": ""})
    assert API_NAME.fullmatch(batch.name)
    assert batch.sha256.startswith(batch.receipt)
    first, second = read_back(batch, tmp_path, profile)
    assert (first.fields, first.faults, first.line) == (ITEM, (), 2)
    assert second.fields == {
        name: value for name, value in (ITEM | {"reference": "r2"}).items() if name != "expires_on"
    }


def test_a_person_may_be_named_by_the_person_id_alone(tmp_path: Path) -> None:
    item = {name: value for name, value in ITEM.items() if name != "user_idnumber"} | {"person_id": "9000001"}
    assert taken(item) == taken(ITEM)


def test_what_a_sender_leaves_out_may_as_well_be_null_or_blank() -> None:
    short = {name: ITEM[name] for name in FIELDS[:4]}
    nothing = {"expires_on": None, "course_idnumber": "", "method": " ", "person_id": None}
    assert taken(short) == taken(short | nothing)


def test_the_same_completions_give_the_same_receipt_however_they_are_spelt() -> None:
    spelt = json.dumps({"event": "x", "completions": [{key: f" {ITEM[key]} " for key in reversed(ITEM)}]}, indent=4)
    assert read_batch("999", spelt.encode()) == taken(ITEM)
    assert taken(ITEM).receipt != taken(ITEM | {"expires_on": "2028-03-04"}).receipt


def test_a_completion_that_stands_twice_counts_once() -> None:
    other = ITEM | {"reference": "r2"}
    assert taken(ITEM, other, ITEM, other | {"method": "e-Learning "}) == taken(ITEM, other)
    assert taken(ITEM, other, ITEM).records == 2


def test_a_reference_with_two_contents_is_l106_and_says_where_the_first_stands() -> None:
    again = ITEM | {"completed_at": "2026-03-04T09:00:00+00:00"}
    [fault] = read_batch("999", body(ITEM | {"reference": "r0"}, ITEM, again))  # type: ignore[misc]
    assert (fault.index, fault.field, fault.code) == (2, "reference", "L106")
    assert fault.text.endswith("see number 1 too")


def test_every_fault_of_every_completion_is_told() -> None:
    assert faults(
        ITEM | {"reference": "", "completed_at": "soon"},
        ITEM,
        {"reference": "r3", "colour": "red", "method": 5, "user_idnumber": "998-1"},
        "r4",
        ITEM | {"reference": "r5", "certification_idnumber": "F" * 256, "course_idnumber": "\0"},
    ) == [
        (0, "completed_at", "L103"),
        (0, "reference", "L101"),
        (2, "colour", "L105"),
        (2, "method", "L105"),
        (2, "user_idnumber", "L102"),
        (2, "certification_idnumber", "L101"),
        (2, "completed_at", "L101"),
        (3, "", "L105"),
        (4, "certification_idnumber", "L104"),
        (4, "course_idnumber", "R106"),
    ]


def test_a_person_named_twice_or_by_a_number_is_l105_and_nothing_else() -> None:
    assert faults(ITEM | {"person_id": "9000001"}) == [(0, "person_id", "L105")]
    short = {name: value for name, value in ITEM.items() if name != "user_idnumber"}
    assert faults(short | {"person_id": 9000001}) == [(0, "person_id", "L105")]
    assert faults(short) == [(0, "user_idnumber", "L101")]


def test_no_fault_repeats_a_value() -> None:
    canary = dict.fromkeys(FIELDS, "Canary\0" * 50)
    found = read_batch("999", body(canary | {"person_id": "Canary"}, canary | {"method": "Canary"}))
    assert isinstance(found, list)
    assert {*LmsCode, RecordCode.R106} >= {fault.code for fault in found}
    assert "Canary" not in repr(found)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"completions": []}',
        b'{"completions": {}}',
        b'{"completions": null}',
        b'{"completions": [',
        b'{"completions": ["\xff"]}',
        b'{"completions": ["\\ud800"]}',
        b'{"completions": [NaN]}',
        b'{"completions": [1e999]}',
        b"[" * 200_000,
        b"\x00",
    ],
)
def test_what_is_no_list_of_completions_is_l005(said: bytes) -> None:
    assert told(said) == [(None, "completions", "L005")]


def test_one_too_many_is_too_many_and_the_most_is_not() -> None:
    items = [ITEM | {"reference": str(number)} for number in range(MOST)]
    assert taken(*items).records == MOST
    with pytest.raises(TooManyError):
        read_batch("999", body(*items, ITEM))


VALUES = st.text(max_size=12) | st.text(st.sampled_from('a,";\r\n\t \x1c\x85\ufeff é'), max_size=12)


@given(
    items=st.lists(
        st.fixed_dictionaries(
            {
                "certification_idnumber": VALUES,
                "completed_at": st.datetimes().map(lambda moment: moment.isoformat()),
                "user_idnumber": VALUES.map(lambda text: f"999-{text}"),
            },
            optional={"course_idnumber": VALUES, "method": VALUES, "expires_on": st.dates().map(str)},
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_taken_is_read_back_equal(
    items: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    items = [item | {"reference": f"r{number}"} for number, item in enumerate(items)]
    batch = read_batch("999", msgspec.json.encode({"completions": items}))
    if isinstance(batch, Batch):
        lines = read_back(batch, tmp_path_factory.mktemp("batch"))
        assert all(not line.faults for line in lines)
        assert [line.fields for line in lines] == [
            {name: text for name in FIELDS if (text := item.get(name, "").strip())} for item in items
        ]
    else:
        assert {fault.code for fault in batch} <= {"L101", "L102", "R106"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*FIELDS, "person_id", "x"]), inner),
    max_leaves=20,
)


@given(said=JSON.map(lambda items: {"completions": items}) | JSON)
def test_any_json_ends_in_a_batch_or_in_named_codes(said: Any) -> None:
    found = read_batch("999", msgspec.json.encode(said))
    if not isinstance(found, Batch):
        assert found
        assert all(fault.code in {*LmsCode, RecordCode.R106} for fault in found)


@given(said=st.binary(max_size=60))
def test_any_bytes_end_in_named_codes(said: bytes) -> None:
    assert told(said) == [(None, "completions", "L005")]


def test_a_batch_says_what_was_taken_back_and_one_without_keeps_its_bytes(tmp_path: Path) -> None:
    plain, taken_back = taken(ITEM), taken(ITEM | {"withdrawn": "yes"})
    assert b"withdrawn" not in plain.content
    assert taken(ITEM | {"withdrawn": "no"}).receipt == plain.receipt != taken_back.receipt
    (read,) = read_back(taken_back, tmp_path)
    assert read.fields["withdrawn"] == "yes"
