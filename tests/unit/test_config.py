"""``bridge.yaml``: what is refused, where the fault stands, and that values are not repeated."""

import traceback
from pathlib import Path

import pytest

from shared.config import BridgeConfig, load_config
from shared.errors import ConfigurationError

SECRET = "canary-secret-4711"

WHOLE = """
trusts:
  - vpd: "999"
    name: Invented Trust
    profile: mine.yaml
    lms: {driver: sandbox, url: "http://lms.example", token_file: secrets/token, batch: 50}
    mappings:
      - {competence: "NHS|CSTF|Fire Safety - 1 Year|", certification: FIRE}
      - {competence_id: "5002", certification: MOVING}
    accounts: {username: email, suspend_on_termination: false}
    completions: {cut_off: "07:05", first_sequence: 15}
  - {vpd: "1000"}
"""


def load(folder: Path, text: str) -> BridgeConfig:
    path = folder / "bridge.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(folder, text)
    return str(refused.value)


def trust(more: str) -> str:
    return f'trusts:\n  - vpd: "999"\n{more}'


def test_everything_that_is_said_is_read(tmp_path: Path) -> None:
    first = load(tmp_path, WHOLE).trusts[0]
    assert (first.vpd, first.name) == ("999", "Invented Trust")
    assert (first.lms.driver, first.lms.url, first.lms.batch) == ("sandbox", "http://lms.example", 50)
    assert [(one.competence, one.competence_id, one.certification) for one in first.mappings] == [
        ("NHS|CSTF|Fire Safety - 1 Year|", "", "FIRE"),
        ("", "5002", "MOVING"),
    ]
    assert (first.accounts.username, first.accounts.suspend_on_termination) == ("email", False)
    assert (first.completions.cut_off, first.completions.first_sequence) == ("07:05", 15)


def test_a_trust_needs_only_its_vpd(tmp_path: Path) -> None:
    second = load(tmp_path, WHOLE).trusts[1]
    assert (second.profile, second.lms.driver, second.mappings) == ("esr-cstf", "files", ())
    assert (second.accounts.username, second.accounts.suspend_on_termination) == ("employee_number", True)
    assert (second.completions.cut_off, second.completions.first_sequence) == ("18:00", 1)


def test_paths_are_relative_to_the_file_and_names_of_profiles_are_not_paths(tmp_path: Path) -> None:
    first, second = load(tmp_path, WHOLE).trusts
    assert first.profile == str(tmp_path / "mine.yaml")
    assert first.lms.token_file == tmp_path / "secrets" / "token"
    assert second.profile == "esr-cstf"


def test_an_absolute_token_file_stays_where_it_is(tmp_path: Path) -> None:
    read = load(tmp_path, trust("    lms: {token_file: /run/secrets/token}"))
    assert read.trusts[0].lms.token_file == Path("/run/secrets/token")


def test_a_trust_is_found_by_its_vpd_and_a_stranger_is_not(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    assert config.trust("1000") is config.trusts[1]
    assert config.trust("998") is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "the file"),
        ("[]", "the file"),
        ("trusts: []", "trusts"),
        ("trusts: 999", "trusts"),
        ('trusts: [{vpd: "999"}]\ntrust: {}', "trust:"),
        ("trusts: [{name: x}]", "trusts.0.vpd"),
        ("trusts: [{vpd: 99}]", "trusts.0.vpd"),
        ('trusts: [{vpd: "99"}]', "trusts.0.vpd"),
        ('trusts: [{vpd: "99999"}]', "trusts.0.vpd"),
        ('trusts: [{vpd: "99a"}]', "trusts.0.vpd"),
        ('trusts: [{vpd: "999"}, {vpd: "1"}]', "trusts.1.vpd"),
        (trust("    colour: red"), "trusts.0.colour"),
        (trust("    lms: {driver: totara}"), "trusts.0.lms.driver"),
        (trust("    lms: {driver: sandbox}"), "trusts.0.lms"),
        (trust("    lms: {token: x}"), "trusts.0.lms.token"),
        (trust("    lms: {batch: 0}"), "trusts.0.lms.batch"),
        (trust("    lms: {batch: 1001}"), "trusts.0.lms.batch"),
        (trust("    lms: {batch: many}"), "trusts.0.lms.batch"),
        (trust("    mappings: [{certification: X}]"), "trusts.0.mappings.0"),
        (trust('    mappings: [{competence: "", competence_id: "", certification: X}]'), "trusts.0.mappings.0"),
        (trust("    mappings: [{competence: X}]"), "trusts.0.mappings.0.certification"),
        (trust('    mappings: [{competence: X, certification: ""}]'), "trusts.0.mappings.0.certification"),
        (trust("    mappings: [{competence_id: [5], certification: X}]"), "trusts.0.mappings.0.competence_id"),
        (trust("    accounts: {username: surname}"), "trusts.0.accounts.username"),
        (trust("    accounts: {suspend_on_termination: perhaps}"), "trusts.0.accounts.suspend_on_termination"),
        (trust('    completions: {cut_off: "24:00"}'), "trusts.0.completions.cut_off"),
        (trust('    completions: {cut_off: "7:00"}'), "trusts.0.completions.cut_off"),
        (trust('    completions: {cut_off: "18:60"}'), "trusts.0.completions.cut_off"),
        (trust("    completions: {first_sequence: 0}"), "trusts.0.completions.first_sequence"),
    ],
)
def test_a_mistake_is_refused_with_the_file_and_the_place(tmp_path: Path, text: str, place: str) -> None:
    said = refusal(tmp_path, text)
    assert said.startswith(f"CONFIGURATION: {tmp_path / 'bridge.yaml'}")
    assert place in said


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, 'trusts: [{vpd: "9"}, {vpd: "999", accounts: {username: x}}]')
    assert "trusts.0.vpd" in said
    assert "trusts.1.accounts.username" in said


def test_a_trust_that_stands_twice_is_refused_by_its_number(tmp_path: Path) -> None:
    assert "trust 999 stands more than once" in refusal(tmp_path, 'trusts: [{vpd: "999"}, {vpd: "999", name: x}]')


@pytest.mark.parametrize(
    "text",
    [
        trust(f"    lms: {{driver: {SECRET}}}"),
        trust(f"    lms: {{token: {SECRET}}}"),
        trust(f"    accounts: {{username: {SECRET}}}"),
        trust(f"    completions: {{cut_off: {SECRET}}}"),
        f"trusts: {SECRET}",
        f"trusts: [{{vpd: {SECRET}}}]",
        f'trusts:\n  - vpd: "999"\n    lms: {{url: "http://{SECRET}" token: x}}\n',
        f'trusts: "{SECRET}',
        f"trusts: *{SECRET}",
        f"trusts: !{SECRET} x",
    ],
)
def test_a_refusal_does_not_repeat_values_which_may_be_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, text)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_bad_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, 'trusts:\n  - vpd: "999"\n  name: x\n')
    assert "YAML" in said
    assert "line 3" in said


def test_a_control_character_is_refused(tmp_path: Path) -> None:
    assert "YAML" in refusal(tmp_path, "trusts: \x07")


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml cannot be read"):
        load_config(tmp_path / "absent.yaml")


def test_a_file_that_is_not_utf_8_is_refused_like_any_other_mistake(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_bytes("trusts: [{vpd: '999', name: Zoë}]".encode("iso-8859-1"))
    with pytest.raises(ConfigurationError, match=r"bridge\.yaml .*UTF-8"):
        load_config(path)


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    assert "YAML" in refusal(tmp_path, "trusts: !!python/object/apply:os.getcwd []")


@pytest.mark.parametrize("vpd", ["999", "012", "0777", "1e3"])
def test_a_number_is_read_as_it_is_written_with_or_without_quotes(tmp_path: Path, vpd: str) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(f"trusts: [{{vpd: {vpd}, completions: {{cut_off: 18:00, first_sequence: 15}}}}]")

    if vpd == "1e3":
        with pytest.raises(ConfigurationError, match=r"trusts\.0\.vpd"):
            load_config(path)
    else:
        (trust,) = load_config(path).trusts
        assert (trust.vpd, trust.completions.cut_off, trust.completions.first_sequence) == (vpd, "18:00", 15)
