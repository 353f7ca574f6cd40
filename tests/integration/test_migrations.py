"""What a migrated database is: the tables the code speaks of, and walls between services and between trusts."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
    text,
    update,
)
from sqlalchemy import delete as delete_rows
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from esrbridge.embedded import as_role
from shared.db.engine import Reader, make_engine
from shared.db.migrate import SERVICES, config_for, migrate

METADATA: Final[dict[str, MetaData]] = {
    service: importlib.import_module(f"services.{service}.store").METADATA for service in SERVICES
}
TABLES: Final[list[tuple[str, Table]]] = [
    (service, table) for service in SERVICES for table in METADATA[service].sorted_tables
]
ADDED_TO_ONLY: Final = {"console.actions", "console.deeds", "console.edits"}
"""Tables whose rows the database keeps from being changed or deleted."""
each_service = pytest.mark.parametrize("service", SERVICES)
each_table = pytest.mark.parametrize(
    ("service", "table"), TABLES, ids=[f"{service}.{table.name}" for service, table in TABLES]
)


@asynccontextmanager
async def engine_of(url: str, *, pool: int = 2) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(url, name="test", pool=pool)
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
async def admin(module_database: str) -> AsyncIterator[AsyncEngine]:
    async with engine_of(module_database) as engine:
        yield engine


# --- the schema is the one the code speaks of -------------------------------------------------------------------


@each_service
async def test_a_migrated_schema_leaves_nothing_for_a_new_migration_to_say(admin: AsyncEngine, service: str) -> None:
    def difference(connection: Connection) -> list[Any]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == service,
            "version_table_schema": service,
            "compare_type": True,
            "compare_server_default": True,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA[service]))

    async with admin.connect() as connection:
        assert await connection.run_sync(difference) == []


_COLUMNS: Final = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
    pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind = 'r' AND c.relname <> 'alembic_version'
ORDER BY 1, 2
"""
_INDEXES: Final = (
    "SELECT indexdef FROM pg_indexes WHERE schemaname = :schema AND tablename <> 'alembic_version' ORDER BY 1"
)
_CONSTRAINTS: Final = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = CAST(:schema AS regnamespace) AND conrelid::regclass::text NOT LIKE '%alembic_version'
ORDER BY 1, 2
"""


async def catalogue(engine: AsyncEngine, service: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything PostgreSQL knows of a schema's tables, defaults, conditions of indexes and comments included."""
    async with engine.connect() as connection:
        questions = {"columns": _COLUMNS, "indexes": _INDEXES, "constraints": _CONSTRAINTS}
        return {
            name: [tuple(row) for row in await connection.execute(text(question), {"schema": service})]
            for name, question in questions.items()
        }


@each_service
async def test_migrating_makes_the_very_tables_that_the_code_declares(
    admin: AsyncEngine, empty_database: str, service: str
) -> None:
    async with engine_of(empty_database) as declared:
        async with declared.begin() as connection:
            await connection.execute(text(f"CREATE SCHEMA {service}"))
            await connection.run_sync(METADATA[service].create_all)
        wanted = await catalogue(declared, service)
    assert len(wanted["columns"]) > 8
    assert await catalogue(admin, service) == wanted


# --- migrating --------------------------------------------------------------------------------------------------


async def every_catalogue(engine: AsyncEngine) -> dict[str, Any]:
    return {service: await catalogue(engine, service) for service in SERVICES}


async def test_migrating_again_changes_nothing_and_keeps_the_rows(database: str, passwords: Mapping[str, str]) -> None:
    async with engine_of(database) as engine:
        before = await every_catalogue(engine)
        async with engine.begin() as connection:
            await connection.execute(
                insert(METADATA["people"].tables["people.deletions"]).values(row_for("people", "991"))
            )
        await migrate(engine, passwords)
        assert await every_catalogue(engine) == before
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM people.deletions")) == 1


def row_for(service: str, vpd: str) -> dict[str, Any]:
    return row(METADATA[service].tables[f"{service}.deletions"], vpd)


async def test_two_hosts_may_migrate_an_empty_database_at_once(
    empty_database: str, passwords: Mapping[str, str], admin: AsyncEngine
) -> None:
    async with engine_of(empty_database) as one, engine_of(empty_database) as other:
        await asyncio.wait_for(asyncio.gather(migrate(one, passwords), migrate(other, passwords)), 60)
        assert await every_catalogue(one) == await every_catalogue(admin)


async def test_migrating_beside_work_that_holds_the_same_tables_crosswise_tries_again(
    database: str, passwords: Mapping[str, str]
) -> None:
    """The one that has waited for the deadlock's time is ended: migrating, as the work's own time is far longer."""
    async with engine_of(database) as engine, engine_of(database) as other, other.connect() as work:
        await work.execute(text("SET deadlock_timeout = '1h'"))
        await work.execute(text(f"LOCK TABLE people.{await last_secured(work, 'people')} IN ACCESS SHARE MODE"))
        going = asyncio.create_task(migrate(engine, passwords))
        try:
            async with asyncio.timeout(60):
                held = await held_while_waiting(work)
                await work.execute(text(f"LOCK TABLE {held} IN ACCESS SHARE MODE"))
                await work.rollback()
                await going
        finally:
            going.cancel()
    assert going.done()


async def last_secured(connection: AsyncConnection, service: str) -> str:
    """Return the table of a service that is confined last."""
    tables = await connection.scalars(
        text("SELECT table_name FROM information_schema.columns WHERE table_schema = :schema AND column_name = 'vpd'"),
        {"schema": service},
    )
    return str(tables.all()[-1])


async def held_while_waiting(connection: AsyncConnection) -> str:
    """Wait until somebody holds a table of people while waiting for another, and return it."""
    held = None
    while held is None:
        held = await connection.scalar(_HELD_WHILE_WAITING)
    return str(held)


_HELD_WHILE_WAITING: Final = text(
    "SELECT CAST(CAST(h.relation AS regclass) AS text) "
    "FROM pg_locks h JOIN pg_locks w USING (pid) JOIN pg_class c ON c.oid = h.relation "
    "WHERE h.granted AND NOT w.granted AND h.mode = 'AccessExclusiveLock' AND c.relkind = 'r' "
    "AND c.relnamespace = CAST('people' AS regnamespace) LIMIT 1"
)


async def test_a_migration_that_fails_lets_the_next_one_in(empty_database: str, passwords: Mapping[str, str]) -> None:
    async with engine_of(empty_database) as engine:
        without = {service: password for service, password in passwords.items() if service != "people"}
        with pytest.raises(KeyError):
            await migrate(engine, without)
        async with engine_of(empty_database) as next_one:
            await asyncio.wait_for(migrate(next_one, passwords), 60)


@each_service
async def test_a_schema_can_be_taken_down_to_nothing_and_built_again(
    database: str, passwords: Mapping[str, str], service: str
) -> None:
    def down(connection: Connection) -> None:
        command.downgrade(config_for(service, connection), "base")

    async with engine_of(database) as engine:
        before = await catalogue(engine, service)
        async with engine.begin() as connection:
            await connection.run_sync(down)
        assert await catalogue(engine, service) == {"columns": [], "indexes": [], "constraints": []}
        await migrate(engine, passwords, [service])
        assert await catalogue(engine, service) == before
    async with engine_of(as_role(database, service, passwords[service])) as engine, engine.connect() as connection:
        assert await connection.scalar(text(f"SELECT count(*) FROM {service}.outbox")) == 0


async def test_a_login_takes_the_password_it_is_given_whatever_is_in_it(
    database: str, passwords: Mapping[str, str]
) -> None:
    odd = 'it\'s "odd" \\ %s %(x)s :x $1 {y} ; -- é🙂'
    async with engine_of(database) as engine:
        try:
            await migrate(engine, {"console": odd}, ["console"])
            async with engine_of(as_role(database, "console", odd)) as console, console.connect() as connection:
                assert await connection.scalar(text("SELECT current_user")) == "esrbridge_console"
            await refused(as_role(database, "console", passwords["console"]))
        finally:
            await migrate(engine, passwords, ["console"])


async def refused(url: str) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)  # type: ignore[no-untyped-call]


# --- keys -------------------------------------------------------------------------------------------------------


@each_service
async def test_the_trust_leads_every_primary_key_and_every_unique_index(admin: AsyncEngine, service: str) -> None:
    question = text(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid, 1, true) AS first FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = CAST(:schema AS regnamespace) AND i.indisunique "
        "AND c.relname <> 'alembic_version'"
    )
    async with admin.connect() as connection:
        found = (await connection.execute(question, {"schema": service})).all()
        tables = await connection.scalar(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = :schema AND tablename <> 'alembic_version'"),
            {"schema": service},
        )
    assert [name for name, first in found if first != "vpd"] == []
    assert len(found) >= tables == len(METADATA[service].tables)


# --- walls between services -------------------------------------------------------------------------------------


@each_service
async def test_a_service_can_work_on_its_own_tables_and_on_no_other_services(
    module_database: str, passwords: Mapping[str, str], service: str
) -> None:
    connection = await asyncpg.connect(as_role(module_database, service, passwords[service]))  # type: ignore[no-untyped-call]
    try:
        for owner, table in TABLES:
            name = f"{owner}.{table.name}"
            if owner == service:
                await connection.execute(f"SELECT * FROM {name}")
                await connection.execute(f"DELETE FROM {name} WHERE false")
                await connection.execute(f"UPDATE {name} SET vpd = vpd WHERE false")
            else:
                for statement in (f"SELECT 1 FROM {name}", f"DELETE FROM {name}", f"INSERT INTO {name} DEFAULT VALUES"):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(statement)
    finally:
        await connection.close()


@each_service
async def test_a_services_schema_is_open_to_its_own_two_roles_only(admin: AsyncEngine, service: str) -> None:
    question = text(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'esrbridge%' "
        "AND has_schema_privilege(rolname, :schema, CAST(:right AS text))"
    )
    async with admin.connect() as connection:
        users = set(await connection.scalars(question, {"schema": service, "right": "USAGE"}))
        makers = set(await connection.scalars(question, {"schema": service, "right": "CREATE"}))
    assert users == {f"esrbridge_{service}", f"esrbridge_{service}_reader"}
    assert makers == set()


FORBIDDEN: Final = [
    "SELECT * FROM {schema}.alembic_version",
    "UPDATE {schema}.alembic_version SET version_num = 'x'",
    "CREATE TABLE {schema}.mine (id int)",
    "ALTER TABLE {schema}.outbox ADD COLUMN mine int",
    "ALTER TABLE {schema}.outbox DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {schema}.outbox OWNER TO CURRENT_USER",
    "CREATE POLICY all_trusts ON {schema}.outbox FOR SELECT USING (true)",
    "DROP POLICY one_trust ON {schema}.outbox",
    "CREATE INDEX ON {schema}.outbox (messages)",
    "TRUNCATE {schema}.outbox",
    "DROP TABLE {schema}.outbox",
    "DROP SCHEMA {schema} CASCADE",
    "CREATE SCHEMA mine",
    "CREATE TABLE public.mine (id int)",
    "CREATE ROLE mine",
    "SET ROLE postgres",
    "SET ROLE esrbridge_{neighbour}",
    "SET ROLE esrbridge_{neighbour}_reader",
    "GRANT esrbridge_{neighbour} TO CURRENT_USER",
    "COPY {schema}.outbox TO '/tmp/stolen'",
    "SELECT pg_read_file('/etc/passwd')",
]


@each_service
async def test_a_service_cannot_change_its_schema_or_its_own_rights(
    module_database: str, passwords: Mapping[str, str], service: str
) -> None:
    neighbour = SERVICES[SERVICES.index(service) - 1]
    connection = await asyncpg.connect(as_role(module_database, service, passwords[service]))  # type: ignore[no-untyped-call]
    try:
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(schema=service, neighbour=neighbour))
    finally:
        await connection.close()


async def test_no_role_of_ours_is_more_than_a_login(admin: AsyncEngine) -> None:
    async with admin.connect() as connection:
        roles = (
            await connection.execute(
                text(
                    "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'esrbridge%' AND NOT "
                    "(rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit)"
                )
            )
        ).all()
    logins = {f"esrbridge_{service}": True for service in SERVICES}
    assert dict(map(tuple, roles)) == logins | {f"{login}_reader": False for login in logins}


# --- walls between trusts ---------------------------------------------------------------------------------------


def row(table: Table, vpd: str) -> dict[str, Any]:
    """Some row of a table."""
    samples: dict[type[Any], Any] = {
        BigInteger: 1,
        Integer: 1,
        Boolean: True,
        Text: "x",
        JSONB: {"a": 1},
        ARRAY: ["x"],
        LargeBinary: b"x",
        Date: date(2026, 3, 3),
    }
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "vpd":
            values["vpd"] = vpd
        elif isinstance(column.type, DateTime):
            values[column.name] = datetime(2026, 3, 3, tzinfo=UTC if column.type.timezone else None)
        elif column.identity is None:
            values[column.name] = samples[type(column.type)]
    return values


async def test_every_table_of_every_service_has_a_trust_and_row_security(admin: AsyncEngine) -> None:
    assert [f"{service}.{table.name}" for service, table in TABLES if "vpd" not in table.columns] == []
    question = text(
        "SELECT relnamespace::regnamespace::text || '.' || relname FROM pg_class "
        "WHERE relkind = 'r' AND relrowsecurity AND relnamespace::regnamespace::text = ANY(:schemas)"
    )
    async with admin.connect() as connection:
        secured = set(await connection.scalars(question, {"schemas": list(SERVICES)}))
    assert secured == {f"{service}.{table.name}" for service, table in TABLES}


@each_table
async def test_a_reader_sees_the_rows_of_its_trust_only_and_can_change_none(
    module_database: str, passwords: Mapping[str, str], service: str, table: Table
) -> None:
    async with engine_of(as_role(module_database, service, passwords[service]), pool=1) as engine:
        async with engine.begin() as connection:
            await connection.execute(delete_rows(table))
            await connection.execute(insert(table), [row(table, "991"), row(table, "992")])
        reader = Reader(engine, service)
        for vpd, seen in (
            ("991", ["991"]),
            ("992", ["992"]),
            ("99", []),
            ("", []),
            ("99%", []),
            ("991' OR 'a'='a", []),
        ):
            async with reader.trust(vpd) as connection:
                assert list(await connection.scalars(select(table.c.vpd))) == seen
                assert list(await connection.scalars(select(table.c.vpd).where(table.c.vpd == "992"))) == [
                    one for one in seen if one == "992"
                ]
        for change in (
            insert(table).values(row(table, "991")),
            update(table).values(vpd="991"),
            delete_rows(table),
        ):
            with pytest.raises(ProgrammingError, match="permission denied"):
                await change_as_reader(reader, change)
        async with engine.connect() as connection:
            assert sorted(await connection.scalars(select(table.c.vpd))) == ["991", "992"]


async def change_as_reader(reader: Reader, change: Any) -> None:
    async with reader.trust("991") as connection:
        await connection.execute(change)


@each_table
async def test_a_reader_for_whom_no_trust_is_set_sees_nothing(
    module_database: str, passwords: Mapping[str, str], service: str, table: Table
) -> None:
    async with engine_of(as_role(module_database, service, passwords[service]), pool=1) as engine:
        async with engine.begin() as connection:
            if table.fullname not in ADDED_TO_ONLY:
                await connection.execute(delete_rows(table))
            await connection.execute(upsert(table).values(row(table, "991")).on_conflict_do_nothing())
        for _ in range(2):  # never set in this session, then left over from a transaction that has ended
            async with engine.begin() as connection:
                await connection.execute(text(f"SET LOCAL ROLE esrbridge_{service}_reader"))
                assert list(await connection.scalars(select(table.c.vpd))) == []
            async with Reader(engine, service).trust("991") as connection:
                assert set(await connection.scalars(select(table.c.vpd))) == {"991"}


@each_service
async def test_a_reader_cannot_read_what_belongs_to_no_trust_or_to_another_service(
    module_database: str, passwords: Mapping[str, str], service: str
) -> None:
    neighbour = SERVICES[SERVICES.index(service) - 1]
    async with engine_of(as_role(module_database, service, passwords[service])) as engine:
        reader = Reader(engine, service)
        for forbidden in (f"{service}.alembic_version", f"{neighbour}.outbox"):
            with pytest.raises(DBAPIError, match="permission denied"):
                await change_as_reader(reader, text(f"SELECT * FROM {forbidden}"))


async def test_a_readers_role_and_trust_end_with_its_transaction(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    async with engine_of(as_role(module_database, "people", passwords["people"]), pool=1) as engine:
        async with Reader(engine, "people").trust("991") as connection:
            assert await connection.scalar(text("SELECT current_user")) == "esrbridge_people_reader"
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT current_user")) == "esrbridge_people"
            assert not await connection.scalar(text("SELECT current_setting('esrbridge.vpd', true)"))
