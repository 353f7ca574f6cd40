"""The command line as users run it: each run is a process of its own. Runs are shared between tests, to be quick."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from esrbridge.cli import app
from shared.config import BridgeConfig
from shared.db.migrate import SERVICES
from tests.e2e import story

VPD = "999"
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
PERSONAL = (
    "Sampleton", "Fern", "Mockford", "Rowan", "Placeholder", "Zo\u00eb", "Specimen", "Orla", "QQ1234", "19900115",
    "1990-01-15", "@trust", "@mail",
)  # fmt: skip
BAD_DATE = "20260231"
"""What the faulty record of the sample story holds."""

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the runs share compiled modules, also where Python is told to write none: they start in half the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


def _run(*arguments: str | Path, code: int = 0, reveal: bool = False) -> Done:
    """Run a command in an environment without settings; nothing personal may be printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ESRBRIDGE_")}
    environment |= {"COLUMNS": "200", "ESRBRIDGE_SECRETS_DIR": "/nonexistent"}
    command = [sys.executable, "-m", "esrbridge.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if not reveal:
        assert [secret for secret in (*PERSONAL, BAD_DATE) if secret in done.stdout + done.stderr] == []
    return done


def _refused(*arguments: str | Path) -> str:
    """Run a command that cannot run; return the sentence it ends with."""
    done = _run(*arguments, code=2)
    assert done.stdout == ""
    return done.stderr.strip()


def _inputs(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for part in ("from-esr", "from-lms")
        for path in sorted(folder.glob(f"*/{part}/*"))
    }


def _outputs(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("to-esr", "to-lms")
        for path in sorted(folder.glob(f"*/{part}/*"))
    }


@dataclass(frozen=True)
class Told:
    """The sample story in a folder, with an LMS that is a folder too, and what runs on it printed."""

    folder: Path
    inputs: dict[str, tuple[bytes, int]]
    outputs: dict[str, bytes]
    first: Done
    second: Done
    status: Done
    text: Done

    @property
    def trust(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.first.stdout)["trusts"][VPD]
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("story")
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [story.trust(VPD, {"driver": "files"})]}))
    bad_row = f"C0000000009,{VPD}-9000002,FIRE,{BAD_DATE[:4]}-02-31T10:00:00+00:00,,FIRE-EL-01,e-Learning\r\n"
    story.put(folder, VPD, story.FULL, story.sample(VPD, story.FULL))
    story.put(folder, VPD, story.FIRST_CHANGES, story.sample(VPD, story.FIRST_CHANGES))
    story.put(folder, VPD, story.COMPLETED, story.completions(VPD) + bad_row.encode())
    story.put(folder, VPD, story.LAST_CHANGES, story.last_changes(VPD))
    inputs = _inputs(folder)
    first = _run("once", folder, "--now", story.NOW, "--json", code=1)
    outputs = _outputs(folder)
    second = _run("once", folder, "--now", story.NOW, "--json", code=1)
    status = _run("status", folder, "--now", story.NOW, "--json", code=1)
    text = _run("status", folder, "--now", story.NOW, code=1)
    return Told(folder, inputs, outputs, first, second, status, text)


def test_once_prints_one_json_object_and_nothing_else(told: Told) -> None:
    report = json.loads(told.first.stdout)

    assert (report["exit"], report["waiting_for"], list(report["trusts"])) == (1, "", [VPD])
    assert told.first.stderr == ""


def test_once_accounts_for_every_line(told: Told) -> None:
    assert [file["status"] for file in told.trust["files"]] == ["complete"] * 4
    assert all(sum(file["accounted"].values()) == file["records"] > 0 for file in told.trust["files"])
    assert told.trust["dead_letters"] == {"R103": 1, "L103": 1}
    assert told.trust["people"] == {"employee": 3, "leaver": 1}


def test_once_never_moves_or_edits_what_it_was_given(told: Told) -> None:
    assert _inputs(told.folder) == told.inputs


def test_once_writes_completions_for_esr_and_operations_for_an_lms_that_is_a_folder(told: Told) -> None:
    sent = told.outputs[f"{VPD}/to-esr/{story.SENT.format(vpd=VPD)}"].decode("iso-8859-1").splitlines()
    assert [line[:3] for line in sent] == ["HDR", "TCA", "TRL"]
    accounts = [
        row
        for name, content in told.outputs.items()
        if Path(name).name.startswith("ensure_account")
        for row in content.decode().splitlines()[1:]
    ]
    assert sorted(row.split(",")[0] for row in accounts) == [
        f"{VPD}-{id_}" for id_ in ("9000001", "9000002", "9000099")
    ]
    operations = {Path(name).name.partition(f"_{VPD}_")[0] for name in told.outputs if "/to-lms/" in name}
    operations.discard("update_account")  # only where an account was made before its person's changes were known
    assert operations == {"ensure_account", "record_completion", "add_evidence"}


def test_a_second_run_changes_nothing(told: Told) -> None:
    first, second = json.loads(told.first.stdout), json.loads(told.second.stdout)

    assert second["trusts"][VPD]["events"] == {}
    second["trusts"][VPD]["events"] = first["trusts"][VPD]["events"]
    assert second == first
    assert _outputs(told.folder).items() >= told.outputs.items()


def test_status_shows_the_same_as_the_last_run(told: Told) -> None:
    assert json.loads(told.status.stdout) == json.loads(told.second.stdout)


def test_the_text_of_a_report_names_files_counts_and_dead_letters(told: Told) -> None:
    assert "Every line accounted for" in told.text.stdout
    assert all(file["name"] in told.text.stdout for file in told.trust["files"])
    assert told.text.stdout.count("dead letter ") == 2
    assert "R103: date_from is not a valid date" in told.text.stdout


def test_the_log_holds_nothing_personal(told: Told) -> None:
    log = (told.folder / "state" / "bridge.log").read_text("utf-8")

    assert [json.loads(line)["event"] for line in log.splitlines()].count("file complete") == 4
    assert [secret for secret in (*PERSONAL, BAD_DATE) if secret in log] == []


def test_a_folder_that_another_command_works_on_is_refused(told: Told) -> None:
    with (told.folder / "state" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sentence = _refused("status", told.folder)

    assert sentence == f"CONFIGURATION: another command is at work on {told.folder}; try again when it has ended"


@dataclass(frozen=True)
class Mended:
    """What the commands on dead letters printed, in the order they were run."""

    listed: Done
    masked: Done
    revealed: Done
    ambiguous: str
    unknown: str
    discarded: Done
    discarded_twice: str
    not_column: str
    edited: Done
    replayed: Done
    once: Done

    @property
    def letter(self) -> dict[str, Any]:
        """The record of the last changes that cannot succeed as it stands."""
        (found,) = [letter for letter in json.loads(self.listed.stdout) if letter["code"] == "R103"]
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def mended(told: Told) -> Mended:
    folder = told.folder
    listed = _run("dead", "list", folder, "--json")
    ids = {letter["code"]: letter["id"] for letter in json.loads(listed.stdout)}
    record, row = ids["R103"], ids["L103"]
    short = next(record[:end] for end in range(1, 33) if not row.startswith(record[:end]))
    why = ("--why", "told to")
    return Mended(
        listed=listed,
        masked=_run("dead", "show", folder, short),
        revealed=_run("dead", "show", folder, record, "--reveal", reveal=True),
        ambiguous=_refused("dead", "show", folder, ""),
        unknown=_refused("dead", "discard", folder, "nosuchletter", *why),
        discarded=_run("dead", "discard", folder, row, *why),
        discarded_twice=_refused("dead", "discard", folder, row, *why),
        not_column=_refused("dead", "edit", folder, record, "--set", "date_from", *why),
        edited=_run("dead", "edit", folder, record, "--set", "date_from=2026-02-28", *why),
        replayed=_run("dead", "replay", folder, record, *why, "--now", story.NOW, "--json"),
        once=_run("once", folder, "--now", story.NOW, "--json"),
    )


def test_dead_letters_survive_restarts_and_are_listed_with_file_line_code_and_reason(
    mended: Mended, told: Told
) -> None:
    assert json.loads(mended.listed.stdout) == told.trust["dead_letter_list"]
    assert (mended.letter["file"], mended.letter["line"]) == (story.LAST_CHANGES.format(vpd=VPD), 5)
    assert mended.letter["reason"] == "date_from is not a valid date"


def test_values_of_a_dead_letter_are_masked_unless_revealed(mended: Mended) -> None:
    masked, revealed = json.loads(mended.masked.stdout), json.loads(mended.revealed.stdout)

    assert set(masked["columns"].values()) == {"***"}
    assert revealed["columns"]["date_from"] == BAD_DATE
    assert masked["columns"].keys() == revealed["columns"].keys()
    assert masked["id"] == mended.letter["id"]


def test_a_letter_that_is_not_known_or_not_one_is_refused_in_a_sentence(mended: Mended) -> None:
    assert mended.ambiguous == "CONFIGURATION: 2 dead letters begin with ; one is needed"
    assert mended.unknown == "CONFIGURATION: 0 dead letters begin with nosuchletter; one is needed"
    assert mended.not_column == "CONFIGURATION: --set takes column=value"


def test_a_discarded_letter_is_closed_and_cannot_be_discarded_again(mended: Mended) -> None:
    assert json.loads(mended.discarded.stdout)["state"] == "discarded"
    assert mended.discarded_twice.endswith("is discarded; only an open one can be discarded")


def test_a_record_that_was_edited_and_replayed_is_applied(mended: Mended) -> None:
    assert json.loads(mended.edited.stdout) == {"id": mended.letter["id"], "changed": ["date_from"]}
    (letter,) = json.loads(mended.replayed.stdout)
    assert (letter["id"], letter["state"], letter["edited"]) == (mended.letter["id"], "resolved", True)


def test_once_exits_0_when_every_dead_letter_is_closed(mended: Mended, told: Told) -> None:
    report = json.loads(mended.once.stdout)
    trust = report["trusts"][VPD]

    assert (report["exit"], trust["dead_letters"], trust["dead_letter_list"]) == (0, {}, [])
    accounted = {file["name"]: file["accounted"] for file in trust["files"]}
    assert accounted[story.LAST_CHANGES.format(vpd=VPD)]["applied"] == 5
    assert accounted[story.COMPLETED.format(vpd=VPD)]["dead_lettered"] == 1  # the line was closed, not applied
    evidence = [name for name in _outputs(told.folder).keys() - told.outputs.keys() if "add_evidence" in name]
    assert len(evidence) == 1


REFUSALS: dict[str, tuple[tuple[str, ...], str]] = {
    "no bridge.yaml": (("once", "none"), "CONFIGURATION: none/bridge.yaml cannot be read: No such file or directory"),
    "bad YAML": (("once", "bad"), "CONFIGURATION: bad/bridge.yaml is not valid YAML: look at line 2, column 1"),
    "an unknown key": (
        ("status", "unknown"),
        "CONFIGURATION: unknown/bridge.yaml: trusts.0.vpdd: Extra inputs are not permitted",
    ),
    "an unknown profile": (
        ("once", "profile"),
        "CONFIGURATION: There is no built-in profile 'esr-9'; known are esr-cstf",
    ),
    "a state folder that is a file": (("once", "file"), "file/state: File exists"),
    "nothing to replay": (("dead", "replay", "none"), "CONFIGURATION: name the letters to replay, or use --all"),
    "an unknown state": (("dead", "list", "none", "--state", "opened"), "Invalid value for '--state'"),
    "a discard without a reason": (("dead", "discard", "none", "abc"), "Missing option '--why'"),
    "an unknown command": (("twice",), "No such command 'twice'"),
    "a moment that is none": (("once", "none", "--now", "tomorrow"), "Invalid value for '--now'"),
    "a folder without files to validate": (("validate", "empty"), "CONFIGURATION: empty holds no files"),
    "a file that is not there": (("validate", "nothing.DAT"), "does not exist"),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each refused command says, two at a time."""
    folder = tmp_path_factory.mktemp("refusals")
    contents = {
        "bad": "trusts:\n\t- vpd: 'Sampleton'\n",
        "unknown": "trusts: [{vpd: '999', vpdd: Sampleton}]\n",
        "profile": "trusts: [{vpd: '999', profile: esr-9}]\n",
        "file": "trusts: [{vpd: '999'}]\n",
    }
    for name, content in contents.items():
        (folder / name).mkdir()
        (folder / name / "bridge.yaml").write_text(content)
    (folder / "file" / "state").touch()
    (folder / "empty").mkdir()
    here = Path.cwd()

    def refused(arguments: tuple[str, ...]) -> str:
        return _refused(*arguments)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setenv("PYTHONPATH", str(here))
        patch.chdir(folder)
        said = pool.map(refused, [arguments for arguments, _ in REFUSALS.values()])
        yield dict(zip(REFUSALS, said, strict=True))


@pytest.mark.parametrize("case", REFUSALS)
def test_a_command_that_cannot_run_exits_2_and_says_why_on_standard_error(refusals: dict[str, str], case: str) -> None:
    _, sentence = REFUSALS[case]

    assert sentence in refusals[case]
    if "Usage:" not in refusals[case]:
        assert len(refusals[case].splitlines()) == 1


def test_migrate_without_settings_names_each_that_is_missing() -> None:
    sentence = _refused("migrate")

    assert "ESRBRIDGE_ADMIN_DATABASE_URL" in sentence
    assert [name for name in SERVICES if f"ESRBRIDGE_{name.upper()}_PASSWORD" not in sentence] == []


def test_serve_without_settings_is_refused_with_the_name_of_each() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ESRBRIDGE_")}
    command = [sys.executable, "-m", "esrbridge.cli", "serve", "people"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)

    assert done.returncode != 0
    (sentence,) = done.stderr.strip().splitlines()
    assert sentence.startswith("CONFIGURATION: settings (ESRBRIDGE_*): ")
    assert [
        name for name in ("database_url", "broker_url", "config") if f"{name}: Field required" not in sentence
    ] == []


@dataclass(frozen=True)
class Validated:
    """What ``validate`` printed."""

    good: Done
    faulty: Done
    text: Done
    folder: Done
    other_trust: Done


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Validated:
    folder = tmp_path_factory.mktemp("validate")
    good = story.put(folder, VPD, story.FULL, story.sample(VPD, story.FULL))
    faulty = story.put(folder, VPD, story.LAST_CHANGES, story.last_changes(VPD))
    stray = story.put(folder, VPD, "notes.txt", b"Fern Sampleton\n")
    with ThreadPoolExecutor(2) as pool:
        runs = (
            pool.submit(_run, "validate", good, "--json"),
            pool.submit(_run, "validate", faulty, "--json", code=1),
            pool.submit(_run, "validate", faulty, code=1),
            pool.submit(_run, "validate", stray.parent, "--json", code=1),
            pool.submit(_run, "validate", good, "--vpd", "998", "--json", code=1),
        )
        result = Validated(*(run.result() for run in runs))
    assert sorted(path.name for path in folder.rglob("*")) == sorted(
        [VPD, "from-esr", good.name, faulty.name, stray.name]
    )
    return result


def test_validate_says_that_a_good_file_is_valid_and_counts_its_records(validated: Validated) -> None:
    result = json.loads(validated.good.stdout)

    assert (result["status"], result["faults"], result["faulty_records"]) == ("valid", [], 0)
    assert result["records"] == sum(result["records_by_type"].values()) == 19
    assert validated.good.stderr == ""


def test_validate_tells_each_fault_with_line_column_code_text_and_advice(validated: Validated) -> None:
    result = json.loads(validated.faulty.stdout)

    assert (result["status"], result["faulty_records"], result["faults_by_code"]) == ("faults", 1, {"R103": 1})
    (fault,) = result["faults"]
    assert (fault["line"], fault["column"], fault["code"]) == (5, "date_from", "R103")
    assert (fault["text"], fault["warning"]) == ("date_from is not a valid date", False)
    assert fault["advice"].startswith("Correct the date")
    assert "line 5, date_from: R103: date_from is not a valid date. Correct the date" in validated.text.stdout


def test_validate_of_a_folder_gives_one_result_a_file(validated: Validated) -> None:
    results = json.loads(validated.folder.stdout)

    assert [(one["file"], one["status"]) for one in results] == [
        (story.LAST_CHANGES.format(vpd=VPD), "faults"),
        (story.FULL.format(vpd=VPD), "valid"),
        ("notes.txt", "refused"),
    ]


def test_validate_for_another_trust_refuses_the_file(validated: Validated) -> None:
    result = json.loads(validated.other_trust.stdout)

    assert result["status"] == "refused"
    assert result["faults_by_code"]["F004"] >= 1


@dataclass(frozen=True)
class Simulated:
    """The files of two runs with one seed and one with another, and what ``once`` made of the first."""

    same: tuple[dict[str, bytes], dict[str, bytes]]
    other: dict[str, bytes]
    once: dict[str, Any]
    faulty: list[dict[str, Any]]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two", "three")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_simulate, folders, ("5", "5", "6")))
    files = [{name: content for name, (content, _) in _inputs(folder).items()} for folder in folders]
    for folder, held in zip(folders, files, strict=True):
        held["bridge.yaml"] = (folder / "bridge.yaml").read_bytes()
    faulty = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        for vpd in ("901", "902"):
            result = CliRunner().invoke(app, ["validate", str(folders[0] / vpd / "from-esr"), "--json"])
            faulty += json.loads(result.stdout)
    done = subprocess.run(
        [sys.executable, "-m", "esrbridge.cli", "once", folders[0], "--now", "2026-03-04T06:00", "--json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["exit"] == done.returncode
    shutil.rmtree(folders[0] / "state")
    return Simulated((files[0], files[1]), files[2], report, faulty)


def _simulate(folder: Path, seed: str) -> Done:
    return _run("simulate", folder, "--trusts", "2", "--people", "30", "--days", "2", "--seed", seed)


def test_simulate_writes_the_same_bytes_for_the_same_seed_and_others_for_another(simulated: Simulated) -> None:
    one, two = simulated.same

    assert one == two
    assert len(one) == 2 * 3 + 1
    assert simulated.other != one


def test_once_on_simulated_files_accounts_for_every_line_and_exits_as_their_faults_require(
    simulated: Simulated,
) -> None:
    faulty = sum(result["faulty_records"] for result in simulated.faulty)
    trusts = simulated.once["trusts"].values()

    assert [file["adds_up"] for trust in trusts for file in trust["files"]] == [True] * 6
    assert sum(sum(trust["dead_letters"].values()) for trust in trusts) == faulty
    assert simulated.once["exit"] == int(faulty > 0)


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from _commands(one, (*path, name))
    else:
        yield path, command


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*path, "--help"])

    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert (COMMANDS[path].help or "").split(".")[0].split("\n")[0][:60] in result.output


def test_help_works_as_a_process_and_lists_the_commands() -> None:
    done = _run("--help")

    assert [path[0] for path in COMMANDS if path[0] not in done.stdout] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_in_the_documentation(path: tuple[str, ...]) -> None:
    text = DOCS.read_text("utf-8")
    options = [name for one in COMMANDS[path].params for name in one.opts if name.startswith("--")]
    (section,) = re.findall(rf"^### `esrbridge {' '.join(path)}\b.*?(?=^##)", text, re.DOTALL | re.MULTILINE)

    assert [name for name in options if f"`{name}" not in section] == []


def _keys(value: Any, *, skip: bool = False) -> set[str]:
    """Every key of a JSON value; with ``skip`` its own keys are data (a VPD, a state, a code), those below are not."""
    if isinstance(value, list):
        return {key for one in value for key in _keys(one)}
    if not isinstance(value, dict):
        return set()
    own = set() if skip else set(value)
    return own | {key for name, one in value.items() for key in _keys(one, skip=name in DATA and isinstance(one, dict))}


DATA = {
    "trusts", "people", "accounts", "certifications", "evidence", "completions", "refused_by_esr", "decisions",
    "events", "dead_letters", "reasons", "columns", "records_by_type", "faults_by_code",
}  # fmt: skip
"""Objects whose keys are data."""


def test_every_key_of_the_json_that_commands_print_is_in_the_documentation(
    told: Told, mended: Mended, validated: Validated
) -> None:
    documented = set(re.findall(r"`([a-z0-9_]+)`", DOCS.read_text("utf-8")))
    printed = [
        told.first, mended.listed, mended.masked, mended.discarded, mended.edited, mended.replayed, validated.faulty,
    ]  # fmt: skip

    keys = {key for done in printed for key in _keys(json.loads(done.stdout))}
    assert {"exit", "trusts", "files", "accounted", "adds_up", "parked", "waits_for", "advice", "columns"} <= keys
    assert sorted(keys - documented) == []


def test_every_state_type_and_verdict_that_is_counted_is_in_the_documentation(told: Told) -> None:
    documented = set(re.findall(r"`([A-Za-z0-9_.]+)`", DOCS.read_text("utf-8")))
    groups = ("people", "accounts", "certifications", "evidence", "completions", "decisions", "events")

    assert sorted({name for group in groups for name in told.trust[group]} - documented) == []


def test_every_key_of_bridge_yaml_is_in_the_documentation() -> None:
    rows = set(re.findall(r"^\| `([a-z_.\[\]]+)` \|", DOCS.read_text("utf-8"), re.MULTILINE))
    connections = (DOCS.parent / "connections.md").read_text("utf-8")
    of_a_connection = {key for row in re.findall(r"^\| (`[a-z_]+`.*?) \|", connections, re.MULTILINE) for key in
                       re.findall(r"`([a-z_]+)`", row)}  # fmt: skip
    for place in (
        "trusts[].esr",
        "trusts[].lms.connection",
        "trusts[].lms.hr_import.connection",
        "trusts[].lms.completion_upload.connection",
    ):
        rows |= {f"{place}.{key}" for key in of_a_connection}

    assert sorted(set(_settings(BridgeConfig)) - rows) == []


def _settings(model: type[BaseModel], place: str = "") -> Iterator[str]:
    for own, field in model.model_fields.items():
        name = field.alias or own
        yield place + name
        many = getattr(field.annotation, "__args__", ())
        inner = many[0] if many else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            optional = type(None) in many
            yield from _settings(inner, f"{place}{name}{'[]' if many and not optional else ''}.")


def test_the_example_of_bridge_yaml_in_the_documentation_is_valid() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)

    assert BridgeConfig.model_validate(yaml.safe_load(example)).trusts[0].vpd == "999"
