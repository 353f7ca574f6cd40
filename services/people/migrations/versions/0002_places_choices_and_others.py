"""Hierarchies, restrictions, suspected duplicates, and everyone derived again."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "people_0002"
down_revision = "people_0001"
branch_labels = None
depends_on = None

SCHEMA = "people"

_FACTS = (
    ("facts_by_position", "(data ->> 'position_id')", "owner <> '' AND (data ->> 'position_id') IS NOT NULL"),
    (
        "facts_by_organisation",
        "(data ->> 'organisation_id')",
        "owner <> '' AND (data ->> 'organisation_id') IS NOT NULL",
    ),
    ("facts_by_ni_number", "(data ->> 'ni_number')", "(data ->> 'ni_number') IS NOT NULL"),
)
_NAME = "regexp_replace(lower((data ->> '{}') COLLATE \"C\"), '[^a-z]', '', 'g')"
_NAMES = (
    ("facts_by_birth_and_name", "last_name", "(data ->> 'date_of_birth') IS NOT NULL"),
    ("facts_by_birth_and_previous_name", "previous_last_name", "(data ->> 'previous_last_name') IS NOT NULL"),
)


def _text(name: str, comment: str | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment, server_default=default)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _json(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, postgresql.JSONB(), nullable=False, comment=comment)


def _table(name: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    constraint = sa.PrimaryKeyConstraint("vpd", *key, name=f"{name}_pkey")
    op.create_table(name, _text("vpd"), *columns, constraint, schema=SCHEMA)


def upgrade() -> None:
    op.add_column("people", _text("employee_number", default=""), schema=SCHEMA)
    op.add_column("people", _text("identity", "digest of what was compared with others", ""), schema=SCHEMA)
    op.create_index(
        "people_by_employee_number",
        "people",
        ["vpd", "employee_number"],
        schema=SCHEMA,
        postgresql_where=sa.text("employee_number <> ''"),
    )
    _queue_and_hierarchy()
    _decisions()
    for name, column, condition in _FACTS:
        _index_facts(name, condition, column)
    for name, column, condition in _NAMES:
        _index_facts(name, condition, "(data ->> 'date_of_birth')", _NAME.format(column))
    # Everyone is told anew with what this release adds, and every place for the first time.
    op.execute("INSERT INTO people.again SELECT vpd, person_id, '', 0 FROM people.people")
    op.execute(
        "INSERT INTO people.hierarchy (vpd, kind, key, revision, item, due) "
        "SELECT DISTINCT vpd, entity, key, 0, CAST('{}' AS jsonb), DATE '0001-01-01' FROM people.facts "
        "WHERE entity IN ('organisation', 'position')"
    )


def _index_facts(name: str, condition: str, *expressions: str) -> None:
    op.create_index(
        name, "facts", ["vpd", *map(sa.text, expressions)], schema=SCHEMA, postgresql_where=sa.text(condition)
    )


def _queue_and_hierarchy() -> None:
    _table(
        "again",
        ("person_id",),
        _text("person_id", "to be derived again"),
        _text("file", "the file that is the reason, else empty"),
        _number("file_no"),
    )
    _table(
        "hierarchy",
        ("kind", "key"),
        _text("kind", "organisation or position"),
        _text("key"),
        _number("revision"),
        _json("item"),
        sa.Column("due", sa.Date(), comment="next business day on which the item may change by itself"),
    )
    op.create_index("hierarchy_by_due", "hierarchy", ["due"], schema=SCHEMA)


def _decisions() -> None:
    _table(
        "restrictions",
        (),
        _json("content", "the section people of bridge.yaml as applied"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("who"),
        _text("why"),
    )
    _table(
        "duplicates",
        ("person_id", "other_person_id"),
        _text("person_id", "the lower of the two person IDs"),
        _text("other_person_id"),
        _json("agree", "names of the columns in which the two agree"),
        _text("state", "open, gone (they agree no more), same or different"),
        _number("revision"),
        _text("who", default=""),
        _text("why", default=""),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
    )
    op.create_index("duplicates_by_other", "duplicates", ["vpd", "other_person_id"], schema=SCHEMA)
    _table(
        "actions",
        ("id",),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("who"),
        _text("action", "restrict, same, different or undo"),
        _text("subject", "person IDs, empty for the trust"),
        _text("why"),
        _json("content"),
    )


def downgrade() -> None:
    for name, _, _ in (*_FACTS, *_NAMES):
        op.drop_index(name, "facts", schema=SCHEMA)
    for table in ("actions", "duplicates", "restrictions", "hierarchy", "again"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_index("people_by_employee_number", "people", schema=SCHEMA)
    for column in ("identity", "employee_number"):
        op.drop_column("people", column, schema=SCHEMA)
