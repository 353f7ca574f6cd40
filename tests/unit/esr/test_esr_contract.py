"""What leaves is read first as strictly as what comes in; a trust's VPD is proved against its profile."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigurationError, FileRefusedError
from shared.esr import check_vpd, load_profile, prove_file
from tests.unit.esr.esr_writing import DAY, kind_with, plain_record, records_of, write

CSTF = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
NAME = CSTF.file_name("999", "CMP", DAY, 15)
GOOD = write(CSTF, "CMP", [("TCA", plain_record(CSTF, "TCA")), ("TCD", {"lms_reference": "L1"})])
SOURCE = (Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml").read_text(encoding="utf-8")


def refusal(content: bytes, name: str = NAME, vpd: str = "999") -> FileRefusedError:
    with pytest.raises(FileRefusedError) as refused:
        prove_file(CSTF, name, content, vpd=vpd)
    return refused.value


@settings(max_examples=60)
@given(data=st.data())
def test_what_the_writer_writes_is_proved(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(CSTF.kinds["CMP"].records | CSTF.kinds["CTC"].records)))
    kind = kind_with(CSTF, code)
    content = write(CSTF, kind, [(code, fields) for fields in data.draw(st.lists(records_of(CSTF, code), max_size=3))])
    prove_file(CSTF, CSTF.file_name("999", kind, DAY, 15), content, vpd="999")


def test_a_request_is_proved_in_either_profile(tmp_path: Path) -> None:
    for profile, kind in ((CSTF, "CSR"), (GDW, "GDR")):
        path = tmp_path / profile.file_name("999", kind, DAY, 1)
        path.write_bytes(write(profile, kind, [], seq=1))
        prove_file(profile, path.name, path, vpd="999")


def test_a_file_on_disk_is_proved_under_the_name_it_will_have(tmp_path: Path) -> None:
    path = tmp_path / "5f1c.part"
    path.write_bytes(GOOD)
    prove_file(CSTF, NAME, path, vpd="999")
    with pytest.raises(FileRefusedError, match="F003"):
        prove_file(CSTF, CSTF.file_name("999", "CMP", DAY, 16), path, vpd="999")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (GOOD[:-8], "F005"),
        (GOOD.replace(b"~999~2026", b"~998~2026"), "F004"),
        (GOOD.replace(b"TCD~L1", b"TCD~L1~x"), "F010"),
        (GOOD.replace(b"TCD~L1", b"TCD~"), "R101"),
        (GOOD.replace(b"TCD~L1", b"TCD~L\n1"), "R106"),
        (GOOD.replace(b"TCD~L1", b"TCD~" + b"x" * 51), "R102"),
        (GOOD.replace(b"TCD~L1", b"PRD~L1"), "R105"),
        (b"", "F013"),
    ],
)
def test_what_esr_would_find_wrong_does_not_leave(content: bytes, code: str) -> None:
    error = refusal(content)
    assert error.file_code == code
    assert "L1" not in str(error)


def test_a_line_of_list_values_does_not_leave_either() -> None:
    assert refusal(GOOD.replace(b"TCD~L1", b"LOV~L1")).file_code == "R105"


def test_the_first_fault_is_told_with_its_line() -> None:
    error = refusal(GOOD.replace(b"TCD~L1", b"TCD~"))
    assert error.sentence == "Line 3: lms_reference is mandatory."


def test_a_value_outside_an_open_list_may_leave_and_one_outside_a_closed_list_may_not(tmp_path: Path) -> None:
    content = GOOD.replace(b"~CORRECTION~", b"~UNDO~")
    assert refusal(content).file_code == "R104"
    (tmp_path / "trust.yaml").write_text(SOURCE.replace("RESEND], closed: true", "RESEND]"), encoding="utf-8")
    prove_file(load_profile(tmp_path / "trust.yaml"), NAME, content, vpd="999")


def test_a_file_that_travels_the_other_way_does_not_leave() -> None:
    name = CSTF.file_name("999", "CSF", DAY, 15)
    assert refusal(write(CSTF, "CSF", []), name=name).file_code == "F011"


def test_another_trusts_file_and_another_kind_of_name_do_not_leave() -> None:
    assert refusal(GOOD, vpd="277").file_code == "F004"
    assert refusal(GOOD, name="Sampleton.DAT").file_code == "F001"


def test_a_vpd_that_fits_its_profile_is_taken() -> None:
    for profile in (CSTF, GDW):
        check_vpd(profile, "999")


@pytest.mark.parametrize("vpd", ["99", "1234", "", "A12", "99 "])
def test_a_vpd_that_the_names_of_a_profile_cannot_spell_is_a_configuration_error(vpd: str) -> None:
    for profile in (CSTF, GDW):
        with pytest.raises(ConfigurationError, match=r"VPD '.*' does not fit profile .*: .* files are named .*_<vpd>_"):
            check_vpd(profile, vpd)


@pytest.mark.parametrize(("width", "sentence"), [("L(3)", "vpd of HDR is L(3)"), ("L(4)", "vpd_code of CDA is X(3)")])
def test_a_vpd_that_a_column_cannot_hold_is_a_configuration_error(tmp_path: Path, width: str, sentence: str) -> None:
    text = SOURCE.replace("(?P<vpd>[0-9]{3})", "(?P<vpd>[0-9]{3,4})").replace("- vpd L(3) M", f"- vpd {width} M")
    (tmp_path / "trust.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        check_vpd(load_profile(tmp_path / "trust.yaml"), "1234")
    assert sentence in error.value.sentence
