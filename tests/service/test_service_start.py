"""How a service process starts, what it says when it cannot, and how it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from esrbridge.embedded import as_role
from esrbridge.local.processes import free_ports, wait_until
from shared.db.migrate import SERVICES

SECRET = "Secr3t-of-the-database"
CONFIG = "trusts:\n  - vpd: '991'\n"
GOOD = {
    "ESRBRIDGE_DATABASE_URL": f"postgresql://esrbridge_people:{SECRET}@127.0.0.1:1/esrbridge",
    "ESRBRIDGE_BROKER_URL": f"amqp://guest:{SECRET}@127.0.0.1:1/",
}


def environment(tmp_path: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """The given settings only, whatever this machine has."""
    secrets = tmp_path / "secrets"
    secrets.mkdir(exist_ok=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ESRBRIDGE_")}
    return plain | {"ESRBRIDGE_SECRETS_DIR": str(secrets)} | dict(settings)


def start(tmp_path: Path, settings: Mapping[str, str], service: str = "people") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}.main"],
        env=environment(tmp_path, settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def config(tmp_path: Path, said: str = CONFIG) -> dict[str, str]:
    path = tmp_path / "bridge.yaml"
    path.write_text(said)
    return {"ESRBRIDGE_CONFIG": str(path)}


def assert_refused(ended: subprocess.CompletedProcess[str], *wanted: str) -> None:
    """One sentence for an operator: what is wrong, all of it, and no secret."""
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.strip().splitlines()) == 1
    assert ended.stderr.startswith("CONFIGURATION: ")
    for word in wanted:
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_without_settings_names_every_one_it_misses_and_ends(tmp_path: Path, service: str) -> None:
    assert_refused(start(tmp_path, {}, service), "ESRBRIDGE_", "database_url", "broker_url", "config")


@pytest.mark.parametrize("missing", ["ESRBRIDGE_DATABASE_URL", "ESRBRIDGE_BROKER_URL", "ESRBRIDGE_CONFIG"])
def test_one_missing_setting_is_named_alone(tmp_path: Path, missing: str) -> None:
    settings = GOOD | config(tmp_path)
    del settings[missing]
    ended = start(tmp_path, settings)
    assert_refused(ended, missing.removeprefix("ESRBRIDGE_").lower())
    assert ended.stderr.count("Field required") == 1


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
def test_a_wrong_setting_is_named_without_its_value(tmp_path: Path, name: str, value: str) -> None:
    ended = start(tmp_path, GOOD | config(tmp_path) | {name: value})
    assert_refused(ended, name.removeprefix("ESRBRIDGE_").lower())
    assert not value or value not in ended.stderr


def test_two_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    settings = GOOD | config(tmp_path) | {"ESRBRIDGE_PORT": "0", "ESRBRIDGE_LOG_LEVEL": "LOUD"}
    assert_refused(start(tmp_path, settings), "port", "log_level")


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
def test_a_wrong_bridge_yaml_is_refused_with_the_place_of_its_fault(tmp_path: Path, said: str, wanted: str) -> None:
    ended = start(tmp_path, GOOD | config(tmp_path, said))
    assert ended.returncode == 1
    assert ended.stderr.startswith("CONFIGURATION: ")
    assert wanted in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_bridge_yaml_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert_refused(start(tmp_path, GOOD | {"ESRBRIDGE_CONFIG": f"{tmp_path}/none.yaml"}), "none.yaml")


@pytest.mark.parametrize(
    ("service", "said", "wanted"),
    [
        ("ingest", "profile: esr-unknown", "esr-unknown"),
        ("ingest", "profile: none.yaml", "none.yaml"),
        ("outbound", "lms: {driver: sandbox, url: 'http://lms.example', token_file: none.token}", "none.token"),
    ],
)
def test_a_file_that_bridge_yaml_points_to_and_is_not_there_is_named(
    tmp_path: Path, service: str, said: str, wanted: str
) -> None:
    ended = start(tmp_path, GOOD | config(tmp_path, f"trusts:\n  - vpd: '991'\n    {said}\n"), service)
    assert_refused(ended, wanted)


def test_settings_may_come_from_secret_files(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name, value in GOOD.items():
        (tmp_path / "secrets" / name.lower()).write_text(f"{value}\n")
    assert_refused(start(tmp_path, {"ESRBRIDGE_CONFIG": f"{tmp_path}/none.yaml"}), "none.yaml")


def test_a_login_that_the_database_refuses_ends_the_process_without_telling_the_password(
    tmp_path: Path, database: str, rabbitmq_url: str
) -> None:
    wrong = as_role(database, "people", SECRET)
    settings = config(tmp_path) | {"ESRBRIDGE_DATABASE_URL": wrong, "ESRBRIDGE_BROKER_URL": rabbitmq_url}
    ended = start(tmp_path, settings | {"ESRBRIDGE_PORT": str(free_ports(1)[0])})
    print(ended.stderr)
    assert ended.returncode != 0
    assert "InvalidPasswordError" in ended.stderr
    assert SECRET not in ended.stderr
    assert "did not start; the log says why" in ended.stderr


def test_a_service_runs_until_it_is_told_to_stop_and_then_ends_in_order(
    tmp_path: Path, database: str, passwords: Mapping[str, str], rabbitmq_url: str
) -> None:
    [port] = free_ports(1)
    settings = config(tmp_path) | {
        "ESRBRIDGE_DATABASE_URL": as_role(database, "people", passwords["people"]),
        "ESRBRIDGE_BROKER_URL": rabbitmq_url,
        "ESRBRIDGE_PORT": str(port),
        "ESRBRIDGE_API_TOKEN": "a token",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "services.people.main"],
        env=environment(tmp_path, settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert wait_until(lambda: process.poll() is not None or ready(port), 60)
            headers = {"Authorization": "Bearer a token"}
            summary = httpx.get(f"http://127.0.0.1:{port}/v1/trusts/991/people/summary", headers=headers)
            assert (summary.status_code, summary.json()) == (200, {})
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
