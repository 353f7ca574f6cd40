"""Versions of mappings, people to be decided again, what arrived unmapped, and when a person was hired."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "competency_0002"
down_revision = "competency_0001"
branch_labels = None
depends_on = None

SCHEMA = "competency"


def _text(name: str, comment: str | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment, server_default=default)


def _number(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def upgrade() -> None:
    # Empty until people tells of the person again: till then what they achieved counts as the trust's own learning.
    op.add_column("people", _text("hire_date", "ISO, empty when not hired yet or not known", ""), schema=SCHEMA)
    op.create_table(
        "mapping_versions",
        _text("vpd"),
        _number("version"),
        _text("state", "draft, applied or discarded"),
        _number("base", "the version that was in force when the draft was begun"),
        _number("before", "the version that this one took the place of", nullable=True),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        _text("who"),
        _text("why"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "version", name="mapping_versions_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "mapping_one_draft",
        "mapping_versions",
        ["vpd"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'draft'"),
    )
    op.create_table(
        "mapping_state",
        _text("vpd"),
        _number("version", "in force; 0: the mappings of bridge.yaml"),
        _number("next_version", "applied, and in force from a later day on", nullable=True),
        sa.Column("next_on", sa.Date()),
        sa.PrimaryKeyConstraint("vpd", name="mapping_state_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "mapping_actions",
        _text("vpd"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("who"),
        _text("action", "draft, discard, apply, begin or undo"),
        _number("version"),
        _text("why"),
        sa.PrimaryKeyConstraint("vpd", "id", name="mapping_actions_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "again",
        _text("vpd"),
        _text("person_id", "to be decided again"),
        sa.PrimaryKeyConstraint("vpd", "person_id", name="again_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "missing",
        _text("vpd"),
        _text("name", "a competence of which it was told once that no mapping covers it"),
        sa.PrimaryKeyConstraint("vpd", "name", name="missing_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("missing", "again", "mapping_actions", "mapping_state", "mapping_versions"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_column("people", "hire_date", schema=SCHEMA)
