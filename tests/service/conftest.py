"""``serve``: starts one of the six services on a database of the module and on the real RabbitMQ."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.service.harness import TOKEN, Running, running

Serve = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(autouse=True)
def without_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ESRBRIDGE_") and "TEST" not in name]:
        monkeypatch.delenv(name)


@pytest.fixture
def serve(module_database: str, passwords: Mapping[str, str], rabbitmq_url: str, tmp_path: Path) -> Serve:
    """``async with serve("people") as service``; ``database`` and ``broker`` may name other ways to the same two."""

    def start(
        service: str, *, database: str = module_database, broker: str = rabbitmq_url, token: str = TOKEN
    ) -> AbstractAsyncContextManager[Running]:
        return running(
            service, database=database, password=passwords[service], broker=broker, files=tmp_path, token=token
        )

    return start
