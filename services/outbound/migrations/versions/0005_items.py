"""Completions keep what should stand with ESR; each record that left is an item of its own."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "outbound_0005"
down_revision = "outbound_0004"
branch_labels = None
depends_on = None

SCHEMA = "outbound"

COMPLETIONS: tuple[sa.Column[Any], ...] = (
    sa.Column("content_revision", sa.BigInteger(), nullable=False, server_default="0", comment="of the content"),
    sa.Column("withdrawn", sa.Boolean(), nullable=False, server_default=sa.false(), comment="the LMS took it back"),
    sa.Column("barred", sa.Boolean(), nullable=False, server_default=sa.false(), comment="an operator withdrew it"),
    sa.Column("given_up", sa.BigInteger(), comment="revision that an operator gave up"),
    sa.Column(
        "asked", sa.Boolean(), nullable=False, server_default=sa.false(), comment="an operator wants it sent again"
    ),
    sa.Column(
        "waits_for", sa.Text(), nullable=False, server_default="", comment="answer, person, content, day or operator"
    ),
    sa.Column("look_on", sa.Date(), comment="business day from which it has to be decided on again"),
)
OUTFILES: tuple[sa.Column[Any], ...] = (
    sa.Column(
        "announced", sa.Boolean(), nullable=False, server_default=sa.false(), comment="each of its items was told of"
    ),
    sa.Column("sha256", sa.Text(), nullable=False, server_default=""),
    sa.Column("records", sa.Integer(), nullable=False, server_default="0"),
    sa.Column(
        "day", sa.Integer(), nullable=False, server_default="0", comment="of the cut-off (yyyymmdd); 0: on demand"
    ),
    sa.Column("answer", sa.Text(), nullable=False, server_default="", comment="ESR's status of the whole file"),
    sa.Column("answer_code", sa.Text(), nullable=False, server_default=""),
    sa.Column(
        "answer_no", sa.BigInteger(), nullable=False, server_default="0", comment="number of the file that answered"
    ),
)

STATES = (
    "waiting, written, sent, confirmed, rejected or unsendable",
    "where it stands; see services.outbound.towards_esr.terms",
)


def upgrade() -> None:
    for column in COMPLETIONS:
        op.add_column("completions", column, schema=SCHEMA)
    for column in OUTFILES:
        op.add_column("outfiles", column, schema=SCHEMA)
    _make_items()
    op.execute(_KEEP_ITEMS)
    op.execute(_KEEP_FILES)
    # What waits, and what was refused, is decided on by the new rules at the next file.
    op.execute("UPDATE outbound.completions SET content_revision = revision")
    op.execute("UPDATE outbound.completions SET look_on = '0001-01-01' WHERE state IN ('waiting', 'rejected')")
    for index in ("completions_by_reference", "completions_waiting", "completions_by_file"):
        op.drop_index(index, "completions", schema=SCHEMA)
    for name in ("reference", "sent_file", "position"):
        op.drop_column("completions", name, schema=SCHEMA)
    op.alter_column("completions", "state", schema=SCHEMA, comment=STATES[1], existing_comment=STATES[0])
    op.create_index(
        "completions_due",
        "completions",
        ["vpd", "person_id", "key"],
        schema=SCHEMA,
        postgresql_where=sa.text("look_on IS NOT NULL"),
    )
    op.create_index(
        "completions_cases",
        "completions",
        ["vpd", "person_id", "key"],
        schema=SCHEMA,
        postgresql_where=sa.text("waits_for = 'operator'"),
    )
    op.alter_column("outfiles", "content", schema=SCHEMA, nullable=True, comment=CONTENT[1])
    op.alter_column("outfiles", "delivered_at", schema=SCHEMA, comment="when it stood where ESR collects")
    op.create_index(
        "outfiles_to_do", "outfiles", ["vpd", "number"], schema=SCHEMA, postgresql_where=sa.text("NOT announced")
    )
    op.create_index("outfiles_by_name", "outfiles", ["vpd", "name"], schema=SCHEMA, unique=True)


def _make_items() -> None:
    op.create_table(
        "items",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("sent_file", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(
            "file_number",
            sa.BigInteger(),
            nullable=False,
            comment="of the file: items are in order of number and position",
        ),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False, comment="new, correction, resend or withdrawal"),
        sa.Column("replaces", sa.Text(), nullable=False, server_default=""),
        sa.Column("content", JSONB(), nullable=False, comment="of the achievement, as sent"),
        sa.Column(
            "person", JSONB(), nullable=False, server_default="{}", comment="the columns that name the person, as sent"
        ),
        sa.Column("person_revision", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("state", sa.Text(), nullable=False, comment="written, sent, confirmed or rejected"),
        sa.Column("code", sa.Text(), nullable=False, server_default=""),
        sa.Column("esr_record_id", sa.Text(), nullable=False, server_default=""),
        sa.Column("answer_revision", sa.BigInteger(), nullable=False, server_default="-1"),
        sa.Column(
            "overdue_since", sa.DateTime(timezone=True), comment="when its answer was due, once it was told to be late"
        ),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("vpd", "sent_file", "position", name="items_pkey"),
        schema=SCHEMA,
    )
    op.create_index("items_by_reference", "items", ["vpd", "reference", "sent_file"], schema=SCHEMA, unique=True)
    op.create_index("items_by_completion", "items", ["vpd", "person_id", "key"], schema=SCHEMA)
    op.create_index(
        "items_refused", "items", ["vpd", "code"], schema=SCHEMA, postgresql_where=sa.text("state = 'rejected'")
    )


def downgrade() -> None:
    op.drop_index("outfiles_by_name", "outfiles", schema=SCHEMA)
    op.drop_index("outfiles_to_do", "outfiles", schema=SCHEMA)
    op.execute("UPDATE outbound.outfiles SET content = '' WHERE content IS NULL")
    op.alter_column("outfiles", "content", schema=SCHEMA, nullable=False, comment=CONTENT[0])
    op.alter_column("outfiles", "delivered_at", schema=SCHEMA, comment=None)
    op.drop_index("completions_cases", "completions", schema=SCHEMA)
    op.drop_index("completions_due", "completions", schema=SCHEMA)
    for column in (sa.Column("reference", sa.Text()), sa.Column("sent_file", sa.Text())):
        op.add_column("completions", column, schema=SCHEMA)
    op.add_column("completions", sa.Column("position", sa.Integer()), schema=SCHEMA)
    op.execute(_BACK)
    op.alter_column("completions", "state", schema=SCHEMA, comment=STATES[0])
    op.create_index("completions_by_reference", "completions", ["vpd", "reference"], schema=SCHEMA, unique=True)
    op.create_index(
        "completions_waiting", "completions", ["vpd"], schema=SCHEMA, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index("completions_by_file", "completions", ["vpd", "sent_file"], schema=SCHEMA)
    op.drop_table("items", schema=SCHEMA)
    for column in COMPLETIONS:
        op.drop_column("completions", column.name, schema=SCHEMA)
    for column in OUTFILES:
        op.drop_column("outfiles", column.name, schema=SCHEMA)


CONTENT = ("kept until delivered, and never rebuilt", "never rebuilt; dropped when it was delivered archive_days ago")

_KEEP_ITEMS = """
INSERT INTO outbound.items (vpd, sent_file, position, file_number, reference, person_id, key, change, content,
    person_revision, state, code, written_at, sent_at)
SELECT c.vpd, c.sent_file, c.position, f.number, c.reference, c.person_id, c.key, 'new', c.content,
    COALESCE(a.revision, 0), c.state, c.code, COALESCE(f.delivered_at, f.current_run AT TIME ZONE 'Europe/London'),
    f.delivered_at
FROM outbound.completions c
JOIN outbound.outfiles f ON (f.vpd, f.name) = (c.vpd, c.sent_file)
LEFT JOIN outbound.accounts a ON (a.vpd, a.person_id) = (c.vpd, c.person_id)
WHERE c.reference IS NOT NULL
"""

_KEEP_FILES = """
UPDATE outbound.outfiles f SET announced = delivered_at IS NOT NULL, sha256 = encode(sha256(content), 'hex'),
    records = (SELECT count(*) FROM outbound.items i WHERE (i.vpd, i.sent_file) = (f.vpd, f.name))
"""

_BACK = """
UPDATE outbound.completions c SET reference = i.reference, sent_file = i.sent_file, position = i.position,
    state = i.state, code = i.code
FROM (SELECT DISTINCT ON (vpd, person_id, key) * FROM outbound.items WHERE change IN ('new', 'correction')
    ORDER BY vpd, person_id, key, file_number DESC) i
WHERE (i.vpd, i.person_id, i.key) = (c.vpd, c.person_id, c.key)
"""
