"""Schemas, roles and migrations: one schema, one login role and one Alembic history per service.

Run by ``esrbridge migrate`` with an administrator's login. Services log in with roles that can read and write their
own tables and nothing else; their read APIs switch to a reader role which row-level security confines to one trust.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

SERVICES: Final = ("ingest", "people", "competency", "outbound", "confirmations", "console")

ATTEMPTS: Final = 5
"""How often one schema is tried when a deadlock is lost."""

_DEADLOCK: Final = "40P01"
_LOCK: Final = 0x6573726272
"""Advisory lock: two hosts that migrate at once take turns."""


def login(service: str) -> str:
    """Return the name of the role a service logs in with."""
    return f"esrbridge_{service}"


async def migrate(engine: AsyncEngine, passwords: Mapping[str, str], services: Sequence[str] = SERVICES) -> None:
    """Bring the database to this release. Safe to run again, and while the previous release is still running."""
    async with engine.connect() as holder:
        await holder.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            for service in services:
                await _bring(engine, service, passwords[service])
        finally:
            await holder.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})


async def _bring(engine: AsyncEngine, service: str, password: str) -> None:
    """Bring one schema to this release, in one transaction.

    Its locks may cross those of services at work, or of PostgreSQL's own housekeeping: a deadlock that it loses is no
    failure.
    """
    for left in reversed(range(ATTEMPTS)):
        try:
            async with engine.begin() as connection:
                await _prepare(connection, service, password)
                await connection.run_sync(_upgrade, service)
                await _secure(connection, service)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != _DEADLOCK or not left:
                raise
        else:
            return


def run_environment(metadata: MetaData) -> None:
    """Run by each service's ``migrations/env.py``: migrate on the connection that ``migrate`` hands over."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=metadata.schema,
        include_schemas=True,
        transactional_ddl=True,
    )
    context.run_migrations()


def config_for(service: str, connection: Connection | None = None) -> Config:
    """Return the Alembic configuration of a service's history."""
    config = Config()
    config.set_main_option("script_location", f"services.{service}:migrations")
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, service: str) -> None:
    command.upgrade(config_for(service, connection), "head")


async def _prepare(connection: AsyncConnection, service: str, password: str) -> None:
    """Make roles and schema where they are missing, and set the login's password."""
    role, reader = login(service), f"{login(service)}_reader"
    for name, options in ((reader, "NOLOGIN"), (role, "LOGIN")):
        known = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name})
        if not known:
            await connection.execute(text(f"CREATE ROLE {name} {options} NOSUPERUSER NOBYPASSRLS NOINHERIT"))
    quoted = await connection.scalar(text("SELECT quote_literal(CAST(:password AS text))"), {"password": password})
    await connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD {quoted}")
    await connection.execute(text(f"GRANT {reader} TO {role}"))
    await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
    await connection.execute(text(f"GRANT USAGE ON SCHEMA {service} TO {role}, {reader}"))


async def _secure(connection: AsyncConnection, service: str) -> None:
    """Grant and confine: every table of the schema, so that a new one cannot be forgotten."""
    role, reader = login(service), f"{login(service)}_reader"
    await connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {service} TO {role}"))
    await connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {service} TO {role}"))
    await connection.execute(text(f"REVOKE ALL ON {service}.alembic_version FROM {role}"))
    tables = await connection.scalars(
        text("SELECT table_name FROM information_schema.columns WHERE table_schema = :schema AND column_name = 'vpd'"),
        {"schema": service},
    )
    for table in tables.all():
        name = f"{service}.{table}"
        await connection.execute(text(f"GRANT SELECT ON {name} TO {reader}"))
        await connection.execute(text(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"))
        await connection.execute(text(f"DROP POLICY IF EXISTS work ON {name}"))
        await connection.execute(text(f"CREATE POLICY work ON {name} TO {role} USING (true) WITH CHECK (true)"))
        await connection.execute(text(f"DROP POLICY IF EXISTS one_trust ON {name}"))
        await connection.execute(
            text(
                f"CREATE POLICY one_trust ON {name} FOR SELECT TO {reader} "
                "USING (vpd = current_setting('esrbridge.vpd', true))"
            )
        )


def migrate_now(engine: AsyncEngine, passwords: Mapping[str, str]) -> None:
    """Run ``migrate`` from code that is not asynchronous."""

    async def run() -> None:
        try:
            await migrate(engine, passwords)
        finally:
            await engine.dispose()

    asyncio.run(run())
