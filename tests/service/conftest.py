"""``serve``: starts one of the six services on a database of the module and on the real RabbitMQ."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aio_pika
import pytest

from shared.messaging.topology import QUEUES
from tests.service.harness import Running, running

Serve = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(autouse=True)
def without_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ESRBRIDGE_") and "TEST" not in name]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def service_queues(rabbitmq_url: str) -> Iterator[str]:
    """The broker's URL. Services use the queues of the product, which are removed after the module."""
    yield rabbitmq_url
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, _remove_queues(rabbitmq_url)).result()


async def _remove_queues(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for queue in QUEUES:
            await channel.queue_delete(queue.name)
            await channel.queue_delete(queue.dead)


@pytest.fixture
def serve(module_database: str, passwords: Mapping[str, str], service_queues: str, tmp_path: Path) -> Serve:
    """``async with serve("people") as service``; ``database`` and ``broker`` may name other ways to the same two."""

    def start(
        service: str, *, database: str = module_database, broker: str = service_queues, token: str | None = None
    ) -> AbstractAsyncContextManager[Running]:
        more = {} if token is None else {"token": token}
        return running(service, database=database, password=passwords[service], broker=broker, files=tmp_path, **more)

    return start
