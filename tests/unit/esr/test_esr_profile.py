"""Profiles are data: what they may say, and how mistakes in them are told."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError, FileRefusedError
from shared.esr import check_fields, load_profile

PROFILE = load_profile("esr-cstf")
GDW = load_profile("esr-go-gdw")
SOURCE = (Path(__file__).parents[3] / "shared/esr/profiles/esr-cstf.yaml").read_text(encoding="utf-8")


def test_the_profile_knows_its_kinds_and_what_answers_them() -> None:
    assert {code: kind.confirmed_by for code, kind in PROFILE.kinds.items()} == {
        "CSF": "CTC",
        "CSC": "CTC",
        "CTC": None,
        "CMP": "CMC",
        "CMC": None,
        "CSR": None,
    }
    assert PROFILE.kinds["CTC"].confirms == ("CSF", "CSC")
    assert (PROFILE.kinds["CSR"].mode, PROFILE.kinds["CSR"].trailer) == ("request", None)


def test_every_record_a_file_may_hold_has_a_routing_key() -> None:
    for profile in (PROFILE, GDW):
        held = frozenset[str]().union(*(kind.records for kind in profile.kinds.values()))
        assert held == profile.routing.keys()
    assert PROFILE.routing["PRA"] == "person.upsert"
    assert PROFILE.routing["CFH"] == "confirmation_file.upsert"


def test_date_slices_are_keyed_by_id_and_start() -> None:
    assert PROFILE.records["PRA"].key == ("person_id", "effective_start")
    assert PROFILE.records["ASA"].key == ("assignment_id", "effective_start")
    assert PROFILE.records["PRD"].key == ("person_id",)


@pytest.mark.parametrize(
    ("code", "width"), [("PRA", 44), ("ASA", 51), ("CDA", 16), ("CMA", 27), ("ORA", 16), ("POA", 24), ("LCA", 22)]
)
def test_layouts_borrowed_from_generic_outbound_keep_their_width(code: str, width: int) -> None:
    assert len(PROFILE.records[code].columns) == len(GDW.records[code].columns) == width


def test_special_categories_and_pay_are_not_kept() -> None:
    dropped = {column.name for layout in PROFILE.records.values() for column in layout.columns if not column.kept}
    assert {"gender", "ethnic_origin", "country_of_birth", "disability_flag", "annual_salary_value"} <= dropped


def test_file_names_are_read_in_any_case_and_spelt_one_way() -> None:
    name = PROFILE.parse_file_name("cs_999_cst_csf_20260302_00000001.dat")
    assert name.name == "CS_999_CST_CSF_20260302_00000001.DAT"
    assert (name.vpd, name.kind, name.date, name.seq) == ("999", "CSF", date(2026, 3, 2), 1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "CS_999_CST_CSF_20260302_00000001.DAT\n",
        "CS_999_CST_CSF_20260231_00000001.DAT",  # no such day
        "CS_99_CST_CSF_20260302_00000001.DAT",
        "CS_999_CST_XXX_20260302_00000001.DAT",
        "CS_999_CST_CSF_20260302_0000001.DAT",
        "C\u017f_999_CST_CSF_20260302_00000001.DAT",  # the long s is no S
        "GO_999_GDW_GOF_20260302_00000001.DAT",
        "Fern Sampleton.DAT",
    ],
)
def test_a_name_outside_the_rule_is_refused_with_f001_and_not_repeated(name: str) -> None:
    with pytest.raises(FileRefusedError) as refused:
        PROFILE.parse_file_name(name)
    assert refused.value.file_code == "F001"
    assert "Sampleton" not in str(refused.value)


@given(
    st.lists(st.tuples(st.dates(), st.integers(0, 99_999_999), st.sampled_from(["CSF", "CSC"])), min_size=2, max_size=2)
)
def test_numbers_sort_as_date_and_sequence_do(parts: list[tuple[date, int, str]]) -> None:
    first, second = (PROFILE.parse_file_name(PROFILE.file_name("999", kind, day, seq)) for day, seq, kind in parts)
    assert (first.number < second.number) == ((first.date, first.seq) < (second.date, second.seq))
    assert (first.number == second.number) == (parts[0][:2] == parts[1][:2])


def test_the_number_reads_as_date_and_sequence() -> None:
    assert PROFILE.parse_file_name("CS_999_CST_CSF_20260302_00000017.DAT").number == 2026030200000017


@pytest.mark.parametrize(("vpd", "kind", "seq"), [("99", "CSF", 1), ("999", "GOF", 1), ("999", "CSF", 10**8)])
def test_a_name_the_profile_does_not_have_is_not_spelt(vpd: str, kind: str, seq: int) -> None:
    with pytest.raises(ValueError, match="no file name"):
        PROFILE.file_name(vpd, kind, date(2026, 3, 2), seq)


def test_generic_outbound_names_are_read_by_their_own_profile() -> None:
    name = GDW.parse_file_name("GO_277_GDW_GOC_20210409_00001945.DAT")
    assert (name.vpd, name.kind, name.seq) == ("277", "GOC", 1945)


def test_a_profile_is_loaded_from_a_file(tmp_path: Path) -> None:
    changed = tmp_path / "trust.yaml"
    text = SOURCE.replace("profile: esr-cstf", "profile: our-trust").replace('delimiter: "~"', 'delimiter: "|"')
    changed.write_text(text, encoding="utf-8")
    profile = load_profile(changed)
    assert (profile.name, profile.delimiter) == ("our-trust", "|")
    assert load_profile(str(changed)).name == "our-trust"


def test_an_unknown_built_in_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="known are esr-cstf, esr-go-gdw"):
        load_profile("esr-unknown")


def test_a_missing_or_undecodable_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_profile(tmp_path / "absent.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_profile(tmp_path / "bytes.yaml")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("person_id X(30) M key", "person_id Z(30) M key", "unknown type Z"),
        ("person_id X(30) M key", "person_id X(30) Q key", "unknown use Q"),
        ("person_id X(30) M key", "person_id X(30) I key", "must be kept"),
        ("person_id X(30) M key", "person_id X M key", "length that does not fit"),
        ("person_id X(30) M key", "Person ID X(30)", "is not of the form"),
        ("- effective_start D M key", "- effective_start D(8) M key", "length that does not fit"),
        ("budgeted_fte N(9,4) U", "budgeted_fte N(4,9) U", "length that does not fit"),
        ("- town X(60) O", "- county X(60) O", "county is given twice"),
        ("X(3) O @yes_no", "X(3) O @yes_or_no", "@yes_or_no is not a list"),
        ("CMP: [TCA, TCD]", "CMP: [TCA, TCX]", "unknown record TCX"),
        ("CMP: [TCA, TCD]", "CMP: [TCA, TRL]", "TRL has no entry in routing"),
        ("CMP: [TCA, TCD]", "CMQ: [TCA, TCD]", "CMQ is not a kind"),
        ("ignore_silently: [LOV]", "ignore_silently: [PRA]", "cannot be ignored"),
        ("TCD: completion.delete", "TCD: completion.remove", "person.upsert or person.delete"),
        ("TCD: completion.delete", "TCX: completion.delete", "TCX is not a record"),
        ("confirmed_by: CMC,", "confirmed_by: CMX,", "CMX is not a kind"),
        ("header: HDR_SHORT", "header: HDR_LONG", "is not a record"),
        ("header: HDR_SHORT", "header: TRL", "must hold"),
        ("trailer: none", "trailer: HDR", "must hold record_type and record_count"),
        ("flow: esr_to_lms, mode: full", "flow: sideways, mode: full", "supported: esr_to_lms, lms_to_esr"),
        ("mode: request", "mode: wish", "supported: changes, confirm, full, request"),
        ("regex: '^", "regex: '^(", "not a regular expression"),
        ("(?P<seq>[0-9]{8})", "([0-9]{8})", "must name the groups"),
        ("(?P<seq>[0-9]{8})", "(?P<seq>[0-9]{7})[0-9]", "do not fit each other"),
        ("{date}_{seq}.DAT", "{date}-{seq}.DAT", "do not fit each other"),
        ("{date}_{seq}.DAT", "{day}_{seq}.DAT", "do not fit each other"),
        ("seq_digits: 8", "seq_digits: 9", "whole number from 1 to 8"),
        ("order_by: [date, seq]", "order_by: [name]", "order_by must be"),
        ("encoding: iso-8859-1", "encoding: utf-16", "supported: iso-8859-1"),
        ('delimiter: "~"', 'delimiter: "~~"', "one ASCII sign"),
        ("quoting: none", "quoting: double", "supported: none"),
        ("header_row: false", "header_row: true", "not supported"),
        ("header_row: false", "header_row: 7", "must be true or false"),
        ('date: "YYYYMMDD"', 'date: "YYMMDD"', "is not made of"),
        ('date: "YYYYMMDD"', 'date: "YYYYMMDD HHMMSS"', "time of day"),
        ("trailer_count: data_records", "trailer_count: sum", "supported: all_lines"),
        ('["Y", "N", "Yes", "No"]', "[Y, N, Yes, No]", "in quotes"),
        ('profile_version: "0.1"', "profile_version: 0.1", "in quotes"),
        ('profile_version: "0.1"', "", "profile_version is missing"),
        ("standing: inferred", "standng: inferred", "standng is not a setting"),
        ("  TCD: [record_type", "  TCA: [record_type", "TCA is given twice on line"),
        ("  TCD: [record_type F(3) M,", "  TCD: [record_type F(2) M,", "first column must be"),
        ("TCD: [record_type F(3) M, lms_reference X(50) M key]", "TCD: []", "has no columns"),
        ("TCD: [record_type F(3) M, lms_reference X(50) M key]", "TCD: 7", "must be a list of texts"),
        ("kinds:\n", "kinds: [\n", "is not readable YAML"),
        ("rules:\n", "rules: 7\nother:\n", "other is not a setting"),
        ("yes_no: {", "7: {", "key 7 must be text"),
        ("yes_no: {values:", "yes_no: {value:", "value is not a setting"),
    ],
)
def test_a_mistake_in_a_profile_is_told_in_a_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in SOURCE
    changed = tmp_path / "wrong.yaml"
    changed.write_text(SOURCE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        load_profile(changed)
    assert sentence in error.value.sentence


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "7"])
def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must be a mapping"):
        load_profile(wrong)


def test_a_name_that_a_loose_pattern_lets_through_but_nobody_could_spell_is_f001(tmp_path: Path) -> None:
    loose = tmp_path / "loose.yaml"
    loose.write_text(SOURCE.replace("(?P<seq>[0-9]{8})", "(?P<seq>[0-9A-F]{8,9})"), encoding="utf-8")
    profile = load_profile(loose)
    for number in ("100000000", "0000000A"):
        with pytest.raises(FileRefusedError) as refused:
            profile.parse_file_name(f"CS_999_CST_CSF_20260302_{number}.DAT")
        assert refused.value.file_code == "F001"


def test_a_key_column_must_be_filled_whatever_its_use(tmp_path: Path) -> None:
    changed = tmp_path / "trust.yaml"
    text = SOURCE.replace("ORD: [record_type F(3) M, organisation_id X(30) M key]",
                          "ORD: [record_type F(3) M, organisation_id X(30) O key]")  # fmt: skip
    assert text != SOURCE
    changed.write_text(text, encoding="utf-8")
    faults = check_fields(load_profile(changed), "ORD", {})
    assert [(fault.code, fault.column) for fault in faults] == [("R101", "organisation_id")]
