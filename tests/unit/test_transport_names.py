"""Which names from outside may become names of files here."""

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.transport.names import LONGEST_NAME, decoded, is_safe, wanted_by


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../A.DAT",
        "/etc/passwd",
        "a/b.DAT",
        "a\\b.DAT",
        ".hidden.DAT",
        "A.DAT.part",
        "A.DAT.PART",
        "A.DAT.tmp",
        "A\n.DAT",
        "A\x00.DAT",
        "A\r\nDELE B.DAT",
        "A\u202eTAD.DAT",
        "é" * 101,
    ],
)
def test_a_name_that_could_leave_the_folder_hide_or_mislead_is_not_wanted(name: str) -> None:
    assert not wanted_by("*")(name)


@pytest.mark.parametrize("name", ["CS_999_CST_CSF_20260302_00000001.DAT", "a b.dat", "Zoë.csv", "x" * LONGEST_NAME])
def test_an_ordinary_name_is_wanted(name: str) -> None:
    assert wanted_by("*")(name)


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("*.DAT", "a.dat", True),
        ("*.dat", "A.DAT", True),
        ("*.DAT", "a.dat.txt", False),
        ("CS_999_*_CS[FC]_*", "cs_999_cst_csf_1", True),
        ("CS_999_*_CS[FC]_*", "cs_999_cst_cmc_1", False),
        ("A?.DAT", "AB.DAT", True),
        ("A?.DAT", "ABC.DAT", False),
    ],
)
def test_a_pattern_does_not_look_at_case(pattern: str, name: str, wanted: bool) -> None:
    assert wanted_by(pattern)(name) is wanted


@given(st.text(max_size=300))
def test_a_safe_name_is_one_visible_part_of_a_path(name: str) -> None:
    if is_safe(name):
        assert PurePosixPath("folder", name).parts == ("folder", name)
        assert name[0] != "."
        assert len(os.fsencode(f".collecting.{name}.part")) <= 255


@given(st.binary(max_size=300))
def test_bytes_that_are_a_name_come_back_the_same_and_others_are_no_name(raw: bytes) -> None:
    name = decoded(raw)
    assert name.encode() == raw or name == ""
    assert decoded(os.fsdecode(raw)) == name
