"""Profiles are data: what they may say, and how mistakes in them are told."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError, FileRefusedError
from shared.esr import Control, check_fields, load_profile
from shared.esr.control import Sequence, Window

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
        assert held >= profile.routing.keys()
        assert {code for code in held if profile.records[code].routing} == profile.routing.keys()
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
    st.lists(st.tuples(st.dates(), st.integers(1, 99_999_999), st.sampled_from(["CSF", "CSC"])), min_size=2, max_size=2)
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
        ("column_count: strict", "column_count: lenient", "supported: record, strict"),
        ("timezone: Europe/London", "timezone: UTC", "supported: Europe/London"),
        ('interface_versions: ["01"]', "interface_versions: []", "at least one version"),
        ("structural_error: quarantine", "structural_error: load", "supported: quarantine_whole_file"),
        ("record_error: reject_record_continue", "record_error: stop", "supported: reject_record_continue"),
        ("duplicate: ignore_with_warning", "duplicate: load", "supported: ignore_with_warning"),
        ("gap: hold ", "gap: skip ", "supported: accept, hold"),
        ("reset_on_full: false", "reset_on_full: maybe", "must be true or false"),
        ("start: 1 ", "start: -1 ", "whole number from 0"),
        ("start: 1 ", "begin: 1 ", "begin is not a setting"),
        ("check: previous_run_equals_last_current_run", "check: overlap", "supported: none, previous_run"),
        ("on_break: hold_and_offer_full", "on_break: load", "supported: hold_and_offer_full, hold_and_request_full"),
        ("on_break:", "on_gap:", "on_gap is not a setting"),
        ("{CTC: exceptions_only,", "{CTC: nothing,", "supported: every_record, exceptions_only, file_only"),
        ("CMC: every_record}", "CMC: exceptions_only}", "supported: every_record"),
        ("{CTC: exceptions_only,", "{CSF: exceptions_only,", "must name the confirming kinds: CMC, CTC"),
        ("confirmed_by: CMC,", "confirmed_by: CTC,", "confirms and confirmed_by do not fit"),
        ("confirms: [CMP],", "confirms: [CSF],", "confirms and confirmed_by do not fit"),
        ("confirms: [CMP],", "confirms: [CMP, CSF],", "confirms and confirmed_by do not fit"),
        ("seed: CSF", "seed: CSX", "CSX is not a kind"),
        ("seed: CSF", "seed: CSC", "names a full kind"),
        ("counter: fixed_1", "counter: requests", "supported: fixed_1"),
        ("PRD: [record_type F(3) M, person_id", "PRD: [record_type F(3) M, people_id", "record of person.delete must"),
        ("X(30) M key]", "X(30) M]", "must have one key column"),
        ("  ORD: [record_type F(3)", "  Ord: [record_type F(3)", "written in capitals and digits"),
        ("ignore_silently: [LOV]", "ignore_silently: [lov]", "'lov' is not a record type"),
        ("  yes_no: {values", "  unused: {values: [A]}\n  yes_no: {values", "list unused stands at no column"),
        ('["Y", "N", "Yes", "No"]', "[Y, N, Yes, No]", "in quotes"),
        ('profile_version: "0.1"', "profile_version: 0.1", "in quotes"),
        ('profile_version: "0.1"', "", "profile_version is missing"),
        ("standing: inferred", "standng: inferred", "standng is not a setting"),
        ("  TCD: [record_type", "  TCA: [record_type", "TCA is given twice on line"),
        ("  TCD: [record_type F(3) M,", "  TCD: [record_type F(2) M,", "first column must be"),
        ("TCD: [record_type F(3) M, lms_reference X(50) M key]", "TCD: []", "has no columns"),
        ("TCD: [record_type F(3) M, lms_reference X(50) M key]", "TCD: 7", "must be a list of texts"),
        ("kinds:\n", "kinds: [\n", "is not readable YAML"),
        ("lists:", "rules: 7\nlists:", "rules is not a setting"),
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


def test_the_profiles_say_how_files_follow_each_other_and_are_answered() -> None:
    for profile in (PROFILE, GDW):
        control = profile.control
        assert (control.interface_versions, control.trailer_count) == (("01",), "data_records")
        assert (profile.interface_versions, profile.trailer_count) == (("01",), "data_records")
        assert control.sequence == Sequence(start=1, gap="hold", reset_on_full=False)
        assert control.window == Window("previous_run_equals_last_current_run", "hold_and_offer_full")
    assert PROFILE.control.confirm_detail == {"CTC": "exceptions_only", "CMC": "every_record"}
    assert GDW.control.confirm_detail == {}


def test_every_switch_of_control_can_be_thrown(tmp_path: Path) -> None:
    text = SOURCE
    for old, new in (
        ('interface_versions: ["01"]', 'interface_versions: ["02", "01"]'),
        ("trailer_count: data_records", "trailer_count: ignore"),
        ("start: 1 ", "start: 412 "),
        ("gap: hold ", "gap: accept "),
        ("reset_on_full: false", "reset_on_full: true"),
        ("check: previous_run_equals_last_current_run", "check: none"),
        ("on_break: hold_and_offer_full", "on_break: hold_and_request_full"),
        ("{CTC: exceptions_only,", "{CTC: file_only,"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "trust.yaml").write_text(text, encoding="utf-8")
    profile = load_profile(tmp_path / "trust.yaml")
    assert profile.control == Control(
        ("02", "01"),
        "ignore",
        Sequence(start=412, gap="accept", reset_on_full=True),
        Window("none", "hold_and_request_full"),
        {"CTC": "file_only", "CMC": "every_record"},
    )
    assert profile.parse_file_name("CS_999_CST_CSF_20260302_00000412.DAT").seq == 412
    with pytest.raises(FileRefusedError):
        profile.parse_file_name("CS_999_CST_CSF_20260302_00000411.DAT")
    with pytest.raises(ValueError, match="number 411"):
        profile.file_name("999", "CSF", date(2026, 3, 2), 411)
    assert profile.file_name("999", "CSR", date(2026, 3, 2), 1).endswith("_00000001.DAT")  # requests are not counted


def test_a_record_that_nothing_uses_has_a_layout_and_no_routing() -> None:
    unused = {"PI", "ET", "ST", "TR", "AB", "CO", "DT", "EL", "QL"}
    held = GDW.kinds["GOC"].records
    assert {code[:2] for code in held if not GDW.records[code].routing} == unused
    assert {code for code in held if code[:2] in unused} == {entity + action for entity in unused for action in "AD"}
    assert len(held) == 32
    assert GDW.kinds["GOF"].records == {code for code in held if code.endswith("A")}


@pytest.mark.parametrize(
    ("code", "width"),
    [
        ("PIA", 57), ("ETA", 57), ("STA", 58), ("TRA", 30), ("ABA", 48), ("COA", 16), ("DTA", 15), ("ELA", 26),
        ("QLA", 13),
    ],
)  # fmt: skip
def test_layouts_of_records_that_nothing_uses_have_their_public_width(code: str, width: int) -> None:
    columns = GDW.records[code].columns
    assert len(columns) == width
    (key,) = GDW.records[code[:2] + "D"].key
    assert GDW.records[code].key[0] == key


def test_what_is_sensitive_in_records_that_nothing_uses_is_not_kept() -> None:
    kept = {code: {c.name for c in GDW.records[code].columns if c.kept} for code in GDW.records}
    assert kept["ABA"] == {"person_id", "absence_attendance_id", "last_update"}
    assert kept["TRA"] == kept["ABA"]
    assert kept["DTA"] == {"person_id", "disability_id"}
    assert not {name for names in kept.values() for name in names if "segment_" in name or "entry_value" in name}
    assert not {name for name in kept["ETA"] | kept["PIA"] | kept["STA"] if "attribute" in name or name[-1].isdigit()}


def test_a_key_column_must_be_filled_whatever_its_use(tmp_path: Path) -> None:
    changed = tmp_path / "trust.yaml"
    text = SOURCE.replace("ORD: [record_type F(3) M, organisation_id X(30) M key]",
                          "ORD: [record_type F(3) M, organisation_id X(30) O key]")  # fmt: skip
    assert text != SOURCE
    changed.write_text(text, encoding="utf-8")
    faults = check_fields(load_profile(changed), "ORD", {})
    assert [(fault.code, fault.column) for fault in faults] == [("R101", "organisation_id")]
