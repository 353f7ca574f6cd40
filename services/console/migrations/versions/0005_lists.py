"""Lists and searches of a million letters, plans of nearly all of them, and an audit as long."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "console_0005"
down_revision = "console_0004"
branch_labels = None
depends_on = None

SCHEMA = "console"
BESIDE = ["assignee", "hold_until"]

GROWN = {
    "dead_letters_by_place": ["vpd", "state", "file_no", "line", "id"],
    "dead_letters_by_age": ["vpd", "state", "first_at", "id"],
    "dead_letters_by_cause": ["vpd", "state", "cause", "file_no", "line", "id"],
}
GONE = {
    "dead_letters_by_type": ["vpd", "state", "type", "file_no", "line", "id"],
    "dead_letters_by_code_age": ["vpd", "state", "code", "first_at", "id"],
}
CAUSE_AGE = ["vpd", "state", "cause", "first_at", "id"]
SOME = ("assignee", "ticket")
BESIDE_SOME = ["cause", "first_at", "hold_until"]
ACTIONS = {
    "actions_by_who": ["vpd", "who", "at", "id"],
    "actions_by_deed": ["vpd", "action", "at", "id"],
}


def upgrade() -> None:
    for name in (*GROWN, *GONE, "dead_letters_by_assignee"):
        op.drop_index(name, "dead_letters", schema=SCHEMA)
    for name, columns in {**GROWN, "dead_letters_by_cause_age": CAUSE_AGE}.items():
        op.create_index(name, "dead_letters", columns, schema=SCHEMA, postgresql_include=BESIDE)
    for column in SOME:
        _some(column, postgresql_include=BESIDE_SOME)
    for name, columns in ACTIONS.items():
        op.create_index(name, "actions", columns, schema=SCHEMA)
    comment = "how many letters are to do what"
    expected = sa.Column("expected", postgresql.JSONB(), nullable=False, server_default="{}", comment=comment)
    op.add_column("operations", expected, schema=SCHEMA)
    op.execute(
        "UPDATE console.operations o SET expected = c.counted FROM (SELECT vpd, operation, "
        "jsonb_object_agg(expected, letters) AS counted FROM (SELECT vpd, operation, expected, count(*) AS letters "
        "FROM console.operation_letters GROUP BY vpd, operation, expected) AS each GROUP BY vpd, operation) AS c "
        "WHERE (o.vpd, o.id) = (c.vpd, c.operation)"
    )


def downgrade() -> None:
    op.drop_column("operations", "expected", schema=SCHEMA)
    for name in ACTIONS:
        op.drop_index(name, "actions", schema=SCHEMA)
    for name in ("dead_letters_by_assignee", "dead_letters_by_ticket", "dead_letters_by_cause_age", *GROWN):
        op.drop_index(name, "dead_letters", schema=SCHEMA)
    for name, columns in {**GROWN, **GONE}.items():
        op.create_index(name, "dead_letters", columns, schema=SCHEMA)
    _some("assignee")


def _some(column: str, **more: Any) -> None:  # noqa: ANN401 - of PostgreSQL
    """Index the letters that have anything in a column."""
    columns = ["vpd", column, "state", "file_no", "line", "id"]
    where = sa.text(f"{column} <> ''")
    op.create_index(f"dead_letters_by_{column}", "dead_letters", columns, schema=SCHEMA, postgresql_where=where, **more)
