"""A full file may be named like the request it answers: a request is one line, anything longer is a full file."""

from pathlib import Path

import pytest

from shared.esr import Profile, Structure, check_structure, load_profile, read_records
from shared.esr.seeds import kind_of

PROFILES = {"esr-cstf": ("CS_999_CST_CSR", "CSF"), "esr-go-gdw": ("GO_999_GDW_GDR", "GOF")}
RECORDS = ["ORA~500001~Example~~20200401~~~~~~~~~~~", "LOV~LKUP~x"]


@pytest.fixture(params=sorted(PROFILES))
def profile(request: pytest.FixtureRequest) -> Profile:
    return load_profile(request.param)


def name_of(profile: Profile, seq: int = 1632) -> str:
    return f"{PROFILES[profile.name][0]}_20260302_{seq:08d}.DAT"


def full_of(profile: Profile) -> str:
    return PROFILES[profile.name][1]


def header(name: str) -> str:
    return f"HDR~{name}~20260302 031500~999~00000000 000000~20260302 000000~01"


def request_line(name: str) -> str:
    return f"HDR~{name}~20260302 000000"


def check(profile: Profile, name: str, *lines: str, end: str = "\r\n") -> Structure:
    content = "".join(line + end for line in lines).encode()
    return check_structure(content, profile, name=name, vpd="999", flow="esr_to_lms")


def test_a_single_line_is_a_request_and_does_not_come_from_esr(profile: Profile) -> None:
    for seq in (1, 1632):
        name = name_of(profile, seq)
        found = check(profile, name, request_line(name))
        assert [fault.code for fault in found.faults] == ["F011"]
        assert found.kind is not None
        assert (found.kind.mode, found.data_records) == ("request", 0)


@pytest.mark.parametrize("seq", [1, 1632])
def test_a_file_of_that_name_with_records_is_a_full_file_of_the_feed(profile: Profile, seq: int) -> None:
    name = name_of(profile, seq)
    found = check(profile, name, header(name), *RECORDS, "TRL~2")
    assert found.faults == ()
    assert found.kind is profile.kinds[full_of(profile)]
    assert (found.kind.mode, found.kind.counter, found.data_records) == ("full", "feed", 2)
    assert found.name is not None
    assert (found.name.name, found.name.seq) == (name, seq)


def test_the_records_of_such_a_file_are_read(profile: Profile, tmp_path: Path) -> None:
    path = tmp_path / name_of(profile)
    path.write_text("\n".join(["", header(path.name), *RECORDS, "TRL~2"]))
    records = list(read_records(path, profile))
    assert [(record.code, record.line, record.ignored) for record in records] == [("ORA", 3, False), ("LOV", 4, True)]
    assert list(read_records(path, profile, start=records[0].after)) == records[1:]


def test_its_header_may_name_it_as_a_full_file(profile: Profile) -> None:
    name = name_of(profile)
    other = name.replace(name.split("_")[3], full_of(profile))
    assert check(profile, name, header(other), *RECORDS, "TRL~2").faults == ()
    wrong = check(profile, name, header(other.replace("1632", "1633")), *RECORDS, "TRL~2")
    assert [fault.code for fault in wrong.faults] == ["F003"]


def test_a_full_file_cut_off_after_its_header_is_no_request(profile: Profile) -> None:
    name = name_of(profile)
    assert [fault.code for fault in check(profile, name, header(name)).faults] == ["F005"]


def test_records_behind_the_header_of_a_request_make_a_full_file_with_a_wrong_header(profile: Profile) -> None:
    name = name_of(profile)
    found = check(profile, name, request_line(name), *RECORDS, "TRL~2")
    assert [fault.text for fault in found.faults] == ["Header has 3 columns, 7 expected"]


def test_blank_lines_and_a_missing_end_make_no_difference(profile: Profile) -> None:
    name = name_of(profile)
    code = name.split("_")[3]
    for text in (request_line(name), f"\n \r\n{request_line(name)}\r\n\n", ""):
        assert kind_of(profile, code, text.encode()).mode == "request"
    for text in (f"{request_line(name)}\nx", f"\n{header(name)}", "x" * 200_000 + "\nx"):
        assert kind_of(profile, code, text.encode()).mode == "full"


def test_without_a_seed_in_the_profile_the_name_alone_decides(tmp_path: Path) -> None:
    source = (Path(__file__).parents[3] / "shared/esr/profiles/esr-go-gdw.yaml").read_text(encoding="utf-8")
    assert ", seed: GOF" in source
    (tmp_path / "trust.yaml").write_text(source.replace(", seed: GOF", ""), encoding="utf-8")
    profile = load_profile(tmp_path / "trust.yaml")
    assert kind_of(profile, "GDR", header("x").encode() + b"\nx\n").mode == "request"
