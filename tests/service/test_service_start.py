"""How a service process starts, what it says when it cannot, and how it ends."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import httpx
import pytest
import structlog

from esrbridge.embedded import as_role
from esrbridge.local.processes import free_ports, wait_until
from shared.db.migrate import SERVICES
from shared.runtime import serve

Start = Callable[..., str]

SECRET = "Secr3t-of-the-database"
CONFIG = "trusts:\n  - vpd: '991'\n"
GOOD = {
    "ESRBRIDGE_DATABASE_URL": f"postgresql://esrbridge_people:{SECRET}@127.0.0.1:1/esrbridge",
    "ESRBRIDGE_BROKER_URL": f"amqp://guest:{SECRET}@127.0.0.1:1/",
}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def start(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a service that must refuse its settings, in this process, and return its last words."""

    def refuse(settings: Mapping[str, str], service: str = "people") -> str:
        monkeypatch.setenv("ESRBRIDGE_SECRETS_DIR", str(secrets))
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        try:
            with pytest.raises(SystemExit) as ended:
                serve(service, import_module(f"services.{service}.main").build)
        finally:
            structlog.reset_defaults()
            logging.getLogger().handlers.clear()
        return str(ended.value)

    return refuse


def config(tmp_path: Path, said: str = CONFIG) -> dict[str, str]:
    path = tmp_path / "bridge.yaml"
    path.write_text(said)
    return {"ESRBRIDGE_CONFIG": str(path)}


def assert_refused(said: str, *wanted: str) -> None:
    """One sentence for an operator: what is wrong, all of it, and no secret."""
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("CONFIGURATION: ")
    for word in wanted:
        assert word in said
    assert "Traceback" not in said
    assert SECRET not in said


# --- as processes: what the shell sees --------------------------------------------------------------------------


def command(settings: Mapping[str, str], secrets: Path) -> tuple[list[str], dict[str, str]]:
    """The given settings only, whatever this machine has."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ESRBRIDGE_")}
    told = {"ESRBRIDGE_SECRETS_DIR": str(secrets)} | dict(settings)
    return [sys.executable, "-m", "services.people.main"], plain | told


def run(settings: Mapping[str, str], secrets: Path) -> subprocess.CompletedProcess[str]:
    arguments, environment = command(settings, secrets)
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_process_without_settings_ends_with_one_sentence_that_names_every_one_it_misses(secrets: Path) -> None:
    ended = run({}, secrets)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert_refused(ended.stderr, "ESRBRIDGE_", "database_url", "broker_url", "config")


def test_a_process_with_wrong_settings_ends_with_one_sentence_without_their_values(
    tmp_path: Path, secrets: Path
) -> None:
    wrong = {"ESRBRIDGE_DATABASE_URL": f"mysql://user:{SECRET}@db/esrbridge", "ESRBRIDGE_PORT": "0"}
    ended = run(GOOD | config(tmp_path) | wrong, secrets)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert_refused(ended.stderr, "database_url", "port")
    assert "broker_url" not in ended.stderr


def test_a_login_that_the_database_refuses_ends_the_process_without_telling_the_password(
    tmp_path: Path, secrets: Path, database: str, rabbitmq_url: str
) -> None:
    wrong = {"ESRBRIDGE_DATABASE_URL": as_role(database, "people", SECRET), "ESRBRIDGE_BROKER_URL": rabbitmq_url}
    ended = run(config(tmp_path) | wrong | {"ESRBRIDGE_PORT": str(free_ports(1)[0])}, secrets)
    assert ended.returncode != 0
    assert "InvalidPasswordError" in ended.stderr
    assert SECRET not in ended.stderr
    assert [line for line in ended.stderr.splitlines() if not line.startswith("{")] == []


def test_a_service_runs_until_it_is_told_to_stop_and_then_ends_in_order(
    tmp_path: Path, secrets: Path, database: str, passwords: Mapping[str, str], rabbitmq_url: str
) -> None:
    [port] = free_ports(1)
    settings = config(tmp_path) | {
        "ESRBRIDGE_DATABASE_URL": as_role(database, "people", passwords["people"]),
        "ESRBRIDGE_BROKER_URL": rabbitmq_url,
        "ESRBRIDGE_PORT": str(port),
        "ESRBRIDGE_API_TOKEN": "a token",
    }
    arguments, environment = command(settings, secrets)
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert wait_until(lambda: process.poll() is not None or ready(port), 60)
            headers = {"Authorization": "Bearer a token"}
            summary = httpx.get(f"http://127.0.0.1:{port}/v1/trusts/991/people/summary", headers=headers)
            assert summary.status_code == 200, summary.text
            process.terminate()
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode in {0, -signal.SIGTERM}
    assert [line for line in log.splitlines() if not line.startswith("{")] == []
    for secret in (passwords["people"], "a token"):
        assert secret not in log


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


# --- in this process, which is quicker: what is refused ---------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_names_every_setting_it_misses(start: Start, service: str) -> None:
    assert_refused(start({}, service), "ESRBRIDGE_", "database_url", "broker_url", "config")


@pytest.mark.parametrize("missing", ["ESRBRIDGE_DATABASE_URL", "ESRBRIDGE_BROKER_URL", "ESRBRIDGE_CONFIG"])
def test_one_missing_setting_is_named_alone(start: Start, tmp_path: Path, missing: str) -> None:
    settings = GOOD | config(tmp_path)
    del settings[missing]
    said = start(settings)
    assert_refused(said, missing.removeprefix("ESRBRIDGE_").lower())
    assert said.count("Field required") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ESRBRIDGE_DATABASE_URL", f"mysql://user:{SECRET}@db/esrbridge"),
        ("ESRBRIDGE_DATABASE_URL", ""),
        ("ESRBRIDGE_BROKER_URL", f"http://guest:{SECRET}@broker"),
        ("ESRBRIDGE_PORT", "0"),
        ("ESRBRIDGE_PORT", SECRET),
        ("ESRBRIDGE_LOG_LEVEL", "LOUD"),
        ("ESRBRIDGE_SCAN_SECONDS", "0"),
        ("ESRBRIDGE_SETTLE_SECONDS", "-1"),
        ("ESRBRIDGE_CLAIM_SECONDS", "soon"),
        ("ESRBRIDGE_NOW", "yesterday"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(start: Start, tmp_path: Path, name: str, value: str) -> None:
    said = start(GOOD | config(tmp_path) | {name: value})
    assert_refused(said, name.removeprefix("ESRBRIDGE_").lower())
    assert len(value) < 3 or value not in said


def test_two_wrong_settings_are_told_at_once(start: Start, tmp_path: Path) -> None:
    settings = GOOD | config(tmp_path) | {"ESRBRIDGE_PORT": "0", "ESRBRIDGE_LOG_LEVEL": "LOUD"}
    assert_refused(start(settings), "port", "log_level")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("trusts: []\n", "trusts"),
        ("trusts:\n  - vpd: 'x'\n", "trusts.0.vpd"),
        ("trusts:\n  - vpd: '991'\n    colour: blue\n", "trusts.0.colour"),
        ("trusts:\n  - vpd: '991'\n  - vpd: '991'\n", "trust 991 stands more than once"),
        ("trusts: [\n", "not valid YAML"),
        ("", "bridge.yaml"),
    ],
)
def test_a_wrong_bridge_yaml_is_refused_with_the_place_of_its_fault(
    start: Start, tmp_path: Path, said: str, wanted: str
) -> None:
    told = start(GOOD | config(tmp_path, said))
    assert told.startswith("CONFIGURATION: ")
    assert wanted in told


def test_a_bridge_yaml_that_is_not_there_is_named(start: Start, tmp_path: Path) -> None:
    assert_refused(start(GOOD | {"ESRBRIDGE_CONFIG": f"{tmp_path}/none.yaml"}), "none.yaml")


@pytest.mark.parametrize(
    ("service", "said", "wanted"),
    [
        ("ingest", "profile: esr-unknown", "esr-unknown"),
        ("ingest", "profile: none.yaml", "none.yaml"),
        ("outbound", "lms: {driver: sandbox, url: 'http://lms.example', token_file: none.token}", "none.token"),
    ],
)
def test_a_file_that_bridge_yaml_points_to_and_is_not_there_is_named(
    start: Start, tmp_path: Path, service: str, said: str, wanted: str
) -> None:
    told = start(GOOD | config(tmp_path, f"trusts:\n  - vpd: '991'\n    {said}\n"), service)
    assert_refused(told, wanted)


def test_settings_may_come_from_secret_files(start: Start, tmp_path: Path, secrets: Path) -> None:
    for name, value in GOOD.items():
        (secrets / name.lower()).write_text(f"{value}\n")
    assert_refused(start({"ESRBRIDGE_CONFIG": f"{tmp_path}/none.yaml"}), "none.yaml")
