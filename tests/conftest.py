"""Real servers for the tests that need them, started once a session and only when a test asks.

``postgres_url``     administrator's URL of a PostgreSQL: ``ESRBRIDGE_TEST_DATABASE_URL``, else one from the wheel.
``rabbitmq_server``  a RabbitMQ: ``ESRBRIDGE_TEST_BROKER_URL``, else what this machine has. ``rabbitmq_url`` is its URL.
``database``         administrator's URL of a migrated, empty database for this test alone.
``empty_database``   the same before any migration.
``module_database``  like ``database``, for all tests of a module; keep them apart by trusts of their own.
``passwords``        what each service logs in with there: ``as_role(database, "people", passwords["people"])``.

Roles belong to the whole server, so they are made once, with passwords that stay the same for the session; a new
database is a copy of one that was migrated. Queues have no such copies: a test that needs its own declares a small
``Topology`` with names of its own. It need not delete them: a broker that was started here ends with the session. (And
should not: RabbitMQ 3.10 stops dead-lettering for good when a queue is deleted while its dead-letter worker starts.)
"""

import asyncio
import os
import secrets
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from hypothesis import settings
from sqlalchemy.engine import make_url

from esrbridge.local import LocalRabbitMQ, postgres, rabbitmq
from shared.db.engine import make_engine
from shared.db.migrate import SERVICES, migrate

# No example is timed: a busy machine is no fault of the code. `make fuzz` asks for many more examples.
settings.register_profile(
    "esrbridge",
    deadline=None,
    print_blob=True,
    max_examples=int(os.environ.get("ESRBRIDGE_TEST_EXAMPLES", settings.default.max_examples)),  # type: ignore[union-attr]
)
settings.load_profile("esrbridge")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("ESRBRIDGE_TEST_DATABASE_URL")
    with postgres(tmp_path_factory.mktemp("postgres"), given=given, prefer_wheel=True) as server:
        if server.origin == "wheel":  # ours alone; processes are killed in tests, the machine is not
            _run(_execute(server.url, "ALTER SYSTEM SET fsync = off"))
            _run(_execute(server.url, "SELECT pg_reload_conf()"))
        yield server.url


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRabbitMQ]:
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq"), given=os.environ.get("ESRBRIDGE_TEST_BROKER_URL")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_url(rabbitmq_server: LocalRabbitMQ) -> str:
    return rabbitmq_server.url


@pytest.fixture(scope="session")
def passwords() -> Mapping[str, str]:
    return {service: secrets.token_urlsafe(18) for service in SERVICES}


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str, passwords: Mapping[str, str]) -> Iterator[str]:
    """Name of the migrated database that the others are copies of. Nobody may stay connected to it."""
    with _database(postgres_url, template="template1") as url:
        _run(_migrate(url, passwords))
        yield str(make_url(url).database)


@pytest.fixture
def database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    with _database(postgres_url, template=migrated_template) as url:
        yield url


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    with _database(postgres_url, template="template1") as url:
        yield url


@pytest.fixture(scope="module")
def module_database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    with _database(postgres_url, template=migrated_template) as url:
        yield url


@contextmanager
def _database(server: str, template: str) -> Iterator[str]:
    name = f"esrbridge_test_{secrets.token_hex(6)}"
    _run(_execute(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)  # type: ignore[no-untyped-call]
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(url: str, passwords: Mapping[str, str]) -> None:
    engine = make_engine(url, name="esrbridge-test-migrate")
    try:
        await migrate(engine, passwords)
    finally:
        await engine.dispose()


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread of its own: the test's event loop may be set here already, and must stay as it is."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, work).result()
