"""Profiles of completion files: what may stand in one, and how mistakes in it are told."""

from pathlib import Path

import pytest

from shared.config import load_config
from shared.errors import ConfigurationError
from shared.lms_csv import NON_STAFF, OWN, is_lms_profile, lms_profiles, load_lms_profile

SOUND = """
lms_profile: ours
profile_version: "1"
file: {encoding: windows-1252, delimiter: ";", quote: none, further_columns: ignore}
person: person_id
times: {zone: Europe/Paris, completed_at: ["%d.%m.%Y %H:%M"], expires_on: [iso]}
columns:
  reference: {derived: true}
  user_idnumber: {header: Person, needed: value}
  certification_idnumber: {fixed: FIRE}
  completed_at: {header: Done, needed: value}
  expires_on: {header: Until, needed: nothing}
ignore_rows_without: completed_at
"""


def put(folder: Path, text: str) -> Path:
    path = folder / "ours.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_built_in_profiles_load() -> None:
    assert lms_profiles() == [OWN, NON_STAFF, "totara-certification-history", "totara-certification-report"]
    for name in lms_profiles():
        profile = load_lms_profile(name)
        assert profile.name == name
        named = {field.name for field in profile.fields}
        assert set(profile.subject.mandatory) <= named <= set(profile.subject.fields)


def test_a_trusts_own_profile_is_a_file(tmp_path: Path) -> None:
    profile = load_lms_profile(put(tmp_path, SOUND))
    assert (profile.name, profile.version, profile.encoding) == ("ours", "1", "windows-1252")
    assert (profile.delimiter, profile.quote, profile.further_columns) == (";", "", "ignore")
    assert (profile.person, profile.zone.key, profile.ignore_rows_without) == (
        "person_id",
        "Europe/Paris",
        "completed_at",
    )
    assert [(field.name, field.header, field.fixed, field.derived, field.needed) for field in profile.fields] == [
        ("reference", "", "", True, "nothing"),
        ("user_idnumber", "Person", "", False, "value"),
        ("certification_idnumber", "", "FIRE", False, "nothing"),
        ("completed_at", "Done", "", False, "value"),
        ("expires_on", "Until", "", False, "nothing"),
    ]


def test_what_a_profile_leaves_out_is_as_in_our_own_form(tmp_path: Path) -> None:
    short = """
lms_profile: ours
profile_version: "1"
file: {}
times: {}
columns:
  reference: {header: a, needed: value}
  user_idnumber: {header: b, needed: value}
  certification_idnumber: {header: c, needed: value}
  completed_at: {header: d, needed: value}
"""
    profile, own = load_lms_profile(put(tmp_path, short)), load_lms_profile(OWN)
    for setting in ("encoding", "delimiter", "quote", "further_columns", "person", "zone", "formats"):
        assert getattr(profile, setting) == getattr(own, setting)


def test_a_profile_tells_by_itself_whether_it_is_of_completions_or_of_esr_files(tmp_path: Path) -> None:
    assert is_lms_profile(OWN)
    assert is_lms_profile(put(tmp_path, SOUND))
    assert not is_lms_profile("esr-cstf")
    assert not is_lms_profile("shared/esr/profiles/esr-cstf.yaml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("lms_profile: ours", "colour: red", "colour is not a setting"),
        ("encoding: windows-1252", "encoding: utf-16", "encoding is 'utf-16'"),
        ("encoding:", "codepage:", "codepage is not a setting"),
        ('delimiter: ";"', 'delimiter: ";;"', "must each be one sign"),
        ('delimiter: ";"', 'delimiter: "\\n"', "must each be one sign"),
        ('delimiter: ";"', 'delimiter: "a"', "must each be one sign"),
        ("quote: none", 'quote: ";"', "delimiter and quote must differ"),
        ("further_columns: ignore", "further_columns: keep", "further_columns is 'keep'"),
        ("person: person_id", "person: email", "person is 'email'"),
        ("zone: Europe/Paris", "zone: Europe/Nowhere", "Europe/Nowhere is not the name of a time zone"),
        ("zone: Europe/Paris", "zone: ../../etc/passwd", "is not the name of a time zone"),
        ("%d.%m.%Y %H:%M", "%d.%m. %H:%M", "tells a whole date"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %f", "tells a whole date"),
        ("%d.%m.%Y %H:%M", "day", "tells a whole date"),
        ('["%d.%m.%Y %H:%M"]', "[]", "at least one format"),
        ("{derived: true}", "{derived: false}", "'derived: true'"),
        ("{derived: true}", "{header: x}", "reference is needed in every row"),
        ("{fixed: FIRE}", "{derived: true}", "only reference may be derived"),
        ("{fixed: FIRE}", "{fixed: FIRE, header: x}", "one of header, fixed and derived"),
        ("{fixed: FIRE}", "{fixed: FIRE, needed: value}", "there is none"),
        ("{fixed: FIRE}", "{}", "one of header, fixed and derived"),
        ("  reference: {derived: true}\n", "", "reference is needed"),
        ("header: Until", "header: Done", "Done is the header of more than one"),
        ("needed: nothing", "needed: no", "needed must be text"),
        ("  expires_on:", "  until:", "until is not a setting"),
        ("ignore_rows_without: completed_at", "ignore_rows_without: method", "names no column"),
        ("ignore_rows_without: completed_at", "ignore_rows_without: reference", "names no column"),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert SOUND.count(old) == 1
    with pytest.raises(ConfigurationError, match="Completion profile") as raised:
        load_lms_profile(put(tmp_path, SOUND.replace(old, new)))
    assert told in raised.value.sentence


def test_the_profile_shown_in_the_documentation_loads(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "lms-files.md").read_text(encoding="utf-8")
    shown = document.split("```yaml\n")[1].split("```")[0]
    profile = load_lms_profile(put(tmp_path, shown))
    assert (profile.name, profile.encoding, profile.further_columns) == ("our-lms", "windows-1252", "ignore")
    assert all(name in document for name in lms_profiles())


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    known = "esrbridge-completions, esrbridge-non-staff, totara-certification-history, totara-certification-report"
    with pytest.raises(ConfigurationError, match=f"known are {known}"):
        load_lms_profile("moodle")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ours.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_lms_profile(str(path))


def test_a_trust_names_its_profile_beside_bridge_yaml(tmp_path: Path) -> None:
    put(tmp_path, SOUND)
    (tmp_path / "bridge.yaml").write_text(
        "trusts: [{vpd: 999, lms: {completions_profile: ours.yaml}}, {vpd: 998}]", encoding="utf-8"
    )
    ours, other = load_config(tmp_path / "bridge.yaml").trusts
    assert load_lms_profile(ours.lms.completions_profile).name == "ours"
    assert other.lms.completions_profile == OWN
