"""The tables of nights as their first migration made them. Frozen: a change is a new migration, never an edit here."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql


def create(schema: str) -> None:
    """Create the tables of a service's nights."""
    op.create_table(
        "nights",
        _text("vpd"),
        _text("step"),
        sa.Column("day", sa.Date(), nullable=False),
        _moment("due_at", nullable=False),
        _moment("next_at", nullable=False, comment="not to be tried before"),
        _text("state", comment="due, running, failed (tried again), done or covered"),
        _moment("started_at", comment="of the last attempt"),
        _moment("ended_at"),
        sa.Column(
            "late",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="ended too long after it was due",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        _counts(),
        _text("code", comment="of the last failure", default=""),
        sa.Column("covered_by", sa.Date(), comment="a later day that was run for this one too"),
        sa.PrimaryKeyConstraint("vpd", "step", "day", name="nights_pkey"),
        schema=schema,
    )
    pending = sa.text("state IN ('due', 'running', 'failed')")
    op.create_index("nights_pending", "nights", ["due_at"], schema=schema, postgresql_where=pending)
    op.create_table(
        "night_runs",
        _text("vpd"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("step"),
        sa.Column("day", sa.Date(), nullable=False),
        _moment("asked_at", nullable=False),
        _text("who"),
        _text("why"),
        _moment("ended_at"),
        _counts(),
        _text("code", comment="of the failure", default=""),
        sa.PrimaryKeyConstraint("vpd", "id", name="night_runs_pkey"),
        schema=schema,
    )
    op.create_index("night_runs_by_night", "night_runs", ["vpd", "step", "day"], schema=schema)


def drop(schema: str) -> None:
    """Drop them."""
    op.drop_table("night_runs", schema=schema)
    op.drop_table("nights", schema=schema)


def _text(name: str, comment: str | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment, server_default=default)


def _moment(name: str, *, nullable: bool = True, comment: str | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def _counts() -> sa.Column[object]:
    return sa.Column("result", postgresql.JSONB(), nullable=False, server_default="{}", comment="what was counted")
