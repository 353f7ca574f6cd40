"""Settings of a process: environment first, then secret files; every mistake at once, no value repeated."""

import os
import traceback
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from shared.clock import FixedClock, SystemClock
from shared.errors import ConfigurationError
from shared.settings import Settings, load_settings

PASSWORD = "canary-password-4711"
GOOD = {
    "DATABASE_URL": f"postgresql://esrbridge_people:{PASSWORD}@db.example/esrbridge",
    "BROKER_URL": "amqps://broker.example",
    "CONFIG": "/etc/esrbridge/bridge.yaml",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own environment, and an empty folder of secrets."""
    for name in list(os.environ):
        if name.upper().startswith("ESRBRIDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ESRBRIDGE_SECRETS_DIR", str(tmp_path))


def load(monkeypatch: pytest.MonkeyPatch, **said: str) -> Settings:
    for name, value in (GOOD | said).items():
        monkeypatch.setenv(f"ESRBRIDGE_{name}", value)
    return load_settings()


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, PORT="9000", LOG_LEVEL="DEBUG", SCAN_SECONDS="0.5", API_TOKEN="t", HOST="::1")
    assert settings.database_url == GOOD["DATABASE_URL"]
    assert settings.config == Path(GOOD["CONFIG"])
    assert (settings.port, settings.log_level, settings.scan_seconds) == (9000, "DEBUG", 0.5)
    assert (settings.api_token, settings.host) == ("t", "::1")


def test_defaults_are_those_of_a_container_that_listens_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert (settings.host, settings.port, settings.api_token, settings.log_level) == ("127.0.0.1", 8000, "", "INFO")


def test_a_secret_file_is_read_without_its_line_break(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "esrbridge_api_token").write_text("from-a-file\n")
    assert load(monkeypatch).api_token == "from-a-file"


def test_a_mandatory_setting_may_come_from_a_secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "esrbridge_database_url").write_text(GOOD["DATABASE_URL"])
    for name in ("BROKER_URL", "CONFIG"):
        monkeypatch.setenv(f"ESRBRIDGE_{name}", GOOD[name])
    assert load_settings().database_url == GOOD["DATABASE_URL"]


def test_the_environment_stands_above_a_secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "esrbridge_api_token").write_text("from-a-file")
    assert load(monkeypatch, API_TOKEN="from-the-environment").api_token == "from-the-environment"


def test_a_folder_of_secrets_that_is_not_there_is_no_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load(monkeypatch, SECRETS_DIR=str(tmp_path / "absent")).port == 8000


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL", "CONFIG"])
def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for given in GOOD.keys() - {name}:
        monkeypatch.setenv(f"ESRBRIDGE_{given}", GOOD[given])
    with pytest.raises(ConfigurationError, match=name.lower()):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://u:{PASSWORD}@db"),
        ("DATABASE_URL", ""),
        ("BROKER_URL", f"http://u:{PASSWORD}@b"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", PASSWORD),
        ("LOG_LEVEL", PASSWORD),
        ("LOG_LEVEL", "info"),
        ("SCAN_SECONDS", "0"),
        ("SETTLE_SECONDS", "-1"),
        ("CLAIM_SECONDS", "0"),
        ("NOW", PASSWORD),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(monkeypatch, **{name: value})
    assert name.lower() in str(refused.value)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))


def test_all_wrong_settings_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(monkeypatch, PORT="x", LOG_LEVEL="loud", DATABASE_URL="x")
    assert all(name in str(refused.value) for name in ("port", "log_level", "database_url"))


def test_the_clock_is_the_machines_unless_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(load(monkeypatch).clock(), SystemClock)


def test_a_stopped_clock_stands_at_uk_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = load(monkeypatch, NOW="2026-06-02T00:30").clock()
    assert isinstance(clock, FixedClock)
    assert clock.now() == datetime(2026, 6, 1, 23, 30, tzinfo=UTC)
    assert clock.today() == date(2026, 6, 2)
