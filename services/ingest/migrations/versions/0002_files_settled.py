"""Confirmations of files, people a full file left out, operators' rulings, requests, alarms."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "ingest_0002"
down_revision = "ingest_0001"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def _moment(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), comment=comment)


def _table(name: str, *parts: sa.Column[Any] | sa.PrimaryKeyConstraint) -> None:
    op.create_table(name, _text("vpd"), *parts, schema=SCHEMA)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("vpd", *columns, name=f"{table}_pkey")


def upgrade() -> None:
    _more_of_files()
    _table(
        "line_codes",
        _text("file"),
        sa.Column("line", sa.BigInteger(), nullable=False),
        _text("code", "why the line's owner gave it up"),
        _key("line_codes", "file", "line"),
    )
    _table(
        "mentions",
        _text("sha256", "of a feed file that is not let in yet"),
        _text("person_id"),
        sa.Column("gone", sa.Boolean(), nullable=False, comment="the file deletes the person"),
        _key("mentions", "sha256", "person_id"),
    )
    _table(
        "roster",
        _text("person_id"),
        _text("file", "the last file that spoke of the person"),
        sa.Column("file_no", sa.BigInteger(), nullable=False),
        sa.Column(
            "absent_from",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="the full file that left the person out",
        ),
        _key("roster", "person_id"),
    )
    _table(
        "answers",
        sa.Column("number", sa.BigInteger(), nullable=False, comment="the confirmation's number"),
        _text("name", "the confirmation file"),
        _text("file", "the file it answers"),
        _text("sha256"),
        _text("status", "SUCCESS, PARTIAL, FAIL or DUPLICATE"),
        sa.Column("current_run", sa.DateTime(), nullable=False),
        _moment("delivered_at"),
        _key("answers", "number"),
    )
    op.create_index(
        "answers_undelivered",
        "answers",
        ["vpd", "number"],
        schema=SCHEMA,
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    _table(
        "requests",
        sa.Column("as_at", sa.DateTime(), nullable=False, comment="the moment the full file shall show"),
        _text("name"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        _text("who"),
        _text("why"),
        _moment("delivered_at"),
        _key("requests", "as_at"),
    )
    _table(
        "actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("file"),
        _text("sha256"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _text("who"),
        _text("action"),
        _text("why"),
        _key("actions", "id"),
    )
    _table(
        "feeds",
        sa.Column(
            "watched_since", sa.DateTime(), nullable=False, comment="UK local time from which files are expected"
        ),
        _key("feeds"),
    )
    _table(
        "alarms",
        _text("kind", "silent, late or early"),
        _text("subject", "the day or the file it is about"),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        _key("alarms", "kind", "subject"),
    )


def _more_of_files() -> None:
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column(
            "warnings", sa.BigInteger(), server_default="0", nullable=False, comment="records sent on with a warning"
        ),
        sa.Column(
            "released",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="an operator let it in",
        ),
        sa.Column(
            "answered",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="its sender was told what became of it",
        ),
        sa.Column(
            "repeats_answered",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="times its sender was told that it came again",
        ),
        _moment("purged_at", "its bytes were removed from the archive"),
    )
    for column in columns:
        op.add_column("files", column, schema=SCHEMA)
    # Files that came before this release are not answered now: their senders have long moved on.
    op.execute("UPDATE ingest.files SET repeats_answered = repeats")
    op.execute("UPDATE ingest.files SET answered = true WHERE status IN ('complete', 'quarantined', 'refused')")
    op.create_index(
        "files_unanswered",
        "files",
        ["vpd"],
        schema=SCHEMA,
        postgresql_where=sa.text(
            "(status IN ('complete', 'quarantined', 'refused', 'discarded') AND NOT answered) "
            "OR repeats_answered < repeats"
        ),
    )


def downgrade() -> None:
    for table in ("alarms", "feeds", "actions", "requests", "answers", "roster", "mentions", "line_codes"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_index("files_unanswered", "files", schema=SCHEMA)
    for column in ("purged_at", "repeats_answered", "answered", "released", "warnings"):
        op.drop_column("files", column, schema=SCHEMA)
