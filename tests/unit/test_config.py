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
        (trust("    lms: {batch: 10001}"), "trusts.0.lms.batch"),
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


# --- connections ------------------------------------------------------------------------------------------------

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHzBEb9l3nkQpYtkfwmsiSBBnqOGFSbqTGfvbp4mrjyn"
SFTP = f"transport: sftp, host: esr.example, user: t999, key_file: keys/esr, host_key: {HOST_KEY}"
FTPS = "transport: ftps, host: esr.example, user: t999, password_file: keys/word"


def esr(said: str) -> str:
    return trust(f"    esr: {{{said}}}")


def test_without_a_connection_nothing_is_connected(tmp_path: Path) -> None:
    one = load(tmp_path, 'trusts: [{vpd: "999"}]').trusts[0]
    assert (one.esr.transport, one.esr.remote, one.lms.connection.remote) == ("folder", False, False)
    assert not load(tmp_path, esr("transport: folder")).trusts[0].esr.remote


def test_a_connection_by_sftp_is_read_and_its_files_lie_beside_bridge_yaml(tmp_path: Path) -> None:
    said = f"{SFTP}, pattern: '*.dat', remove: yes, every_seconds: 300, timeout_seconds: 9.5, deliver_to: ''"
    read = load(tmp_path, esr(said)).trusts[0].esr
    assert (read.remote, read.address, read.user, read.host_key) == (True, "esr.example:22", "t999", HOST_KEY)
    assert read.key_file == tmp_path / "keys" / "esr"
    assert (read.collect_from, read.deliver_to, read.pattern, read.remove) == ("Out", "", "*.dat", True)
    assert (read.every_seconds, read.timeout_seconds, read.transfer_seconds) == (300, 9.5, 3600)


def test_a_connection_by_ftps_is_read_and_the_lms_may_have_one_too(tmp_path: Path) -> None:
    text = trust(f"    lms: {{connection: {{{FTPS}, port: 2121, ca_file: /etc/ca.pem, collect_from: /exports}}}}")
    read = load(tmp_path, text).trusts[0].lms.connection
    assert (read.remote, read.address, read.collect_from) == (True, "esr.example:2121", "/exports")
    assert (read.password_file, read.ca_file) == (tmp_path / "keys" / "word", Path("/etc/ca.pem"))


def test_a_shared_folder_needs_only_its_path(tmp_path: Path) -> None:
    read = load(tmp_path, esr("path: share")).trusts[0].esr
    assert (read.remote, read.path, read.address) == (True, tmp_path / "share", str(tmp_path / "share"))


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("transport: ftp", "transport"),
        (SFTP.replace("host: esr.example, ", ""), "'host'"),
        (SFTP.replace("user: t999, ", ""), "'user'"),
        (SFTP.replace("host: esr.example, user: t999, ", ""), "'host' and 'user'"),
        (SFTP.replace("esr.example", "'esr example'"), "host"),
        (SFTP.replace("esr.example", "sftp://esr.example"), "host"),
        (f"{SFTP}, port: 0", "port"),
        (f"{SFTP}, port: 65536", "port"),
        (f"{SFTP}, port: ssh", "port"),
        (f"{SFTP}, password_file: word", "not both"),
        (SFTP.replace("key_file: keys/esr, ", ""), "'key_file' or 'password_file'"),
        (SFTP.replace("key_file: keys/esr", "password_file: word, key_passphrase_file: x"), "key_passphrase_file"),
        (SFTP.partition(", host_key")[0], "'host_key' or 'host_key_file'"),
        (f"{SFTP}, host_key_file: keys", "not both"),
        (SFTP.replace(HOST_KEY, "ssh-ed25519"), "host key cannot be read"),
        (SFTP.replace(HOST_KEY, HOST_KEY[:-4]), "host key cannot be read"),
        (SFTP.replace(HOST_KEY, HOST_KEY + "AAAA"), "host key cannot be read"),
        (SFTP.replace(HOST_KEY, HOST_KEY.replace("ssh-ed25519", "ssh-rsa")), "host key cannot be read"),
        (SFTP.replace(HOST_KEY, f"esr.example {HOST_KEY}"), "host key cannot be read"),
        (SFTP.replace(HOST_KEY, HOST_KEY.replace("AAAA", "AA%A")), "host key cannot be read"),
        (SFTP.replace(HOST_KEY, '"# none"'), "no host key"),
        (f"{SFTP}, ca_file: x", "'ca_file' is not for transport 'sftp'"),
        (f"{SFTP}, path: x", "'path' is not for transport 'sftp'"),
        (FTPS.replace(", password_file: keys/word", ""), "needs 'password_file'"),
        (f"{FTPS}, key_file: x", "'key_file' is not for transport 'ftps'"),
        (f"{FTPS}, host_key: {HOST_KEY}", "'host_key' is not for transport 'ftps'"),
        (f"{FTPS}, password: x", "password"),
        (f"{FTPS}, collect_from: '', deliver_to: ''", "nothing to do"),
        (f'{FTPS}, collect_from: "Out\\r\\nDELE x"', "collect_from"),
        (f'{FTPS}, user: "t999\\r\\nDELE x"', "user"),
        (f"{FTPS}, pattern: ''", "pattern"),
        (f"{FTPS}, pattern: 'a/*'", "pattern"),
        (f"{FTPS}, every_seconds: 0", "every_seconds"),
        (f"{FTPS}, timeout_seconds: 0", "timeout_seconds"),
        (f"{FTPS}, timeout_seconds: 101", "timeout_seconds"),
        ("collect_from: Out", "nothing is connected"),
        ("host: esr.example", "'host' is not for transport 'folder'"),
        ("path: x, user: y", "'user' is not for transport 'folder'"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_with_what_is_wrong(tmp_path: Path, said: str, word: str) -> None:
    refused = refusal(tmp_path, esr(said))
    assert "trusts.0.esr" in refused
    assert word in refused


@pytest.mark.parametrize("key", ["password", "host_key", "host", "transport", "port"])
def test_a_secret_in_a_wrong_place_is_not_repeated(tmp_path: Path, key: str) -> None:
    said = f"{SFTP}, {key}: '{SECRET} {SECRET}'" if key not in SFTP else f"{key}: '{SECRET} {SECRET}'"
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path, esr(said))
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_several_host_keys_and_remarks_may_stand_in_one_text(tmp_path: Path) -> None:
    said = SFTP.replace(HOST_KEY, f'"# old\\n{HOST_KEY}\\n\\n# new\\n{HOST_KEY} a remark\\n"')
    assert load(tmp_path, esr(said)).trusts[0].esr.host_key.count(HOST_KEY) == 2


@pytest.mark.parametrize(
    ("lms", "place"),
    [
        ("{driver: moodle-rest, url: 'http://lms.example', token_file: t}", "https"),
        ("{driver: moodle-rest, url: 'https://lms.example'}", "token_file"),
        ("{driver: totara-graphql, url: 'https://lms.example'}", "graphql.client_id"),
        ("{driver: moodle-rest, token_file: t}", "url"),
        ("{routes: {jobs: moodle-rest}, url: 'https://lms.example', token_file: t}", "job assignments"),
        ("{routes: {learning: totara-hr-import}}", "completions"),
    ],
)
def test_a_driver_that_could_not_work_is_refused(tmp_path: Path, lms: str, place: str) -> None:
    assert place in refusal(tmp_path, trust(f"    lms: {lms}"))


def test_an_lms_without_jobs_cannot_be_asked_for_them(tmp_path: Path) -> None:
    said = trust("    lms: {driver: moodle-rest, url: 'https://lms.example', token_file: t}\n") + (
        "    accounts: {hierarchies: true}\n"
    )
    assert "hierarchies" in refusal(tmp_path, said)
