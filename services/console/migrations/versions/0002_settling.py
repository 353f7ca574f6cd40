"""Dead letters that get settled: causes, staff numbers, edits, operations upon many, an audit that stands."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "console_0002"
down_revision = "console_0001"
branch_labels = None
depends_on = None

SCHEMA = "console"


def _text(name: str, comment: str | None = None, *, empty: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment, server_default="" if empty else None)


def _number(name: str, comment: str | None = None, *, zero: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, comment=comment, server_default="0" if zero else None)


def _moment(name: str, comment: str | None = None, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def _object(name: str, default: str | None = "{}", comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, postgresql.JSONB(), nullable=False, server_default=default, comment=comment)


def _texts(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}", comment=comment)


LETTER_COLUMNS = (
    lambda: _text("cause", "code, queue and type: what it is grouped by", empty=True),
    lambda: _texts("staff", "keyed hashes of staff numbers"),
    lambda: _text("subject", "keyed hash of the record's own key", empty=True),
    lambda: _text("assignee", empty=True),
    lambda: _moment("hold_until", "not to be replayed before"),
    lambda: _text("ticket", empty=True),
    lambda: _number("edits", "how often it was edited", zero=True),
    lambda: _moment("sent_at", "of the last replay"),
    lambda: _number("sent_edits", "edits it had had at the last replay", zero=True),
    lambda: _moment("closed_at"),
    lambda: _text("outcome", "what became of its line in the end", empty=True),
)

LETTER_INDEXES = {
    "dead_letters_by_state": ["vpd", "state", "code", "file_no", "line", "id"],
    "dead_letters_by_place": ["vpd", "state", "file_no", "line", "id"],
    "dead_letters_by_age": ["vpd", "state", "first_at", "id"],
    "dead_letters_by_cause": ["vpd", "state", "cause", "file_no", "line", "id"],
    "dead_letters_by_code_age": ["vpd", "state", "code", "first_at", "id"],
    "dead_letters_by_type": ["vpd", "state", "type", "file_no", "line", "id"],
}

PARTIAL_INDEXES = {
    "dead_letters_by_assignee": (["vpd", "assignee", "state", "file_no", "line", "id"], "assignee <> ''"),
    "dead_letters_by_subject": (["vpd", "subject"], "subject <> ''"),
    "dead_letters_held": (["vpd", "hold_until"], "hold_until IS NOT NULL"),
    "dead_letters_undescribed": (["vpd", "id"], "cause = ''"),
}


def upgrade() -> None:
    _letters()
    _audit()
    _edits()
    _operations()


def _letters() -> None:
    for column in LETTER_COLUMNS:
        op.add_column("dead_letters", column(), schema=SCHEMA)
    op.drop_index("dead_letters_by_state", "dead_letters", schema=SCHEMA)
    for name, columns in LETTER_INDEXES.items():
        op.create_index(name, "dead_letters", columns, schema=SCHEMA)
    for name, (columns, where) in PARTIAL_INDEXES.items():
        op.create_index(name, "dead_letters", columns, schema=SCHEMA, postgresql_where=sa.text(where))
    op.create_table(
        "letter_staff",
        _text("vpd"),
        _text("hash"),
        _text("letter"),
        sa.PrimaryKeyConstraint("vpd", "hash", "letter", name="letter_staff_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "staff_keys",
        _text("vpd"),
        sa.Column("key", sa.LargeBinary(), nullable=False, comment="of the hashes of this trust's staff numbers"),
        sa.PrimaryKeyConstraint("vpd", name="staff_keys_pkey"),
        schema=SCHEMA,
    )


def _audit() -> None:
    op.alter_column(
        "actions", "letter", comment="empty where the action is about an operation as a whole", schema=SCHEMA
    )
    operation = sa.Column(
        "operation", sa.BigInteger(), nullable=False, server_default="0", comment="0 for an action on its own"
    )
    for column in (operation, _object("before"), _object("after")):
        op.add_column("actions", column, schema=SCHEMA)
    op.create_index("actions_by_letter", "actions", ["vpd", "letter", "id"], schema=SCHEMA)
    op.create_index(
        "actions_by_operation",
        "actions",
        ["vpd", "operation", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("operation <> 0"),
    )
    op.execute(
        "CREATE FUNCTION console.what_was_done_stays() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'what was written down is not changed'; END $$"
    )
    op.execute(
        "CREATE TRIGGER what_was_done_stays BEFORE UPDATE ON console.actions "
        "FOR EACH ROW EXECUTE FUNCTION console.what_was_done_stays()"
    )


def _edits() -> None:
    op.create_table(
        "edits",
        _text("vpd"),
        _text("letter"),
        _number("number", "1 is the first edit"),
        _moment("at", nullable=False),
        _text("who"),
        _text("why"),
        _object("columns", None, "names of the columns that changed"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="the record after this edit; kept for ever"),
        sa.PrimaryKeyConstraint("vpd", "letter", "number", name="edits_pkey"),
        schema=SCHEMA,
    )
    op.execute(
        "CREATE TRIGGER what_was_done_stays BEFORE UPDATE ON console.edits "
        "FOR EACH ROW EXECUTE FUNCTION console.what_was_done_stays()"
    )


def _operations() -> None:
    op.create_table(
        "operations",
        _text("vpd"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _text("kind", "replay or discard"),
        _text("state"),
        _text("who", "who made the plan"),
        _text("why"),
        _moment("created_at", nullable=False),
        _object("selection", None),
        _texts("ids", "letters named one by one"),
        _number("collected", "ids, or letters, looked at so far", zero=True),
        _text("after", "the letter collected last", empty=True),
        _number("total", zero=True),
        _text("approver", empty=True),
        _text("starter", empty=True),
        _number("canary"),
        _number("per_second"),
        _number("allowed_percent"),
        sa.Column(
            "insist",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="send what is expected to fail, too",
        ),
        _number("place", "letters that had their turn", zero=True),
        _number("sent", zero=True),
        sa.Column("stage", sa.Text(), nullable=False, server_default="canary"),
        _number("stage_end", "the place at which the stage ends", zero=True),
        _number("forgiven", "failures before it was resumed", zero=True),
        _moment("next_at", "not to send before: the rate limit"),
        _moment("changed_at", nullable=False),
        _text("reason", "why it stands still", empty=True),
        sa.PrimaryKeyConstraint("vpd", "id", name="operations_pkey"),
        schema=SCHEMA,
    )
    op.create_index(
        "operations_at_work",
        "operations",
        ["vpd", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("state IN ('collecting', 'running')"),
    )
    op.create_table(
        "operation_letters",
        _text("vpd"),
        sa.Column("operation", sa.BigInteger(), nullable=False),
        _number("place", "1 goes first"),
        _text("letter"),
        _number("replay", "the letter as planned: replays it had been through"),
        _number("edits", "the letter as planned: edits it had had"),
        _number("line", "0: nothing will tell what became of it"),
        _text("expected"),
        _text("because"),
        _text("state"),
        _text("code", "of the failure, or why it was left out", empty=True),
        _moment("at"),
        sa.PrimaryKeyConstraint("vpd", "operation", "place", name="operation_letters_pkey"),
        schema=SCHEMA,
    )
    table = "operation_letters"
    op.create_index("operation_letters_each_once", table, ["vpd", "operation", "letter"], schema=SCHEMA, unique=True)
    op.create_index("operation_letters_by_state", table, ["vpd", "operation", "state", "place"], schema=SCHEMA)
    op.create_index(
        "operation_letters_sent", table, ["vpd", "letter"], schema=SCHEMA, postgresql_where=sa.text("state = 'sent'")
    )


def downgrade() -> None:
    for table in ("operation_letters", "operations", "edits", "letter_staff", "staff_keys"):
        op.drop_table(table, schema=SCHEMA)
    op.execute("DROP TRIGGER what_was_done_stays ON console.actions")
    op.execute("DROP FUNCTION console.what_was_done_stays()")
    for name in ("actions_by_letter", "actions_by_operation"):
        op.drop_index(name, "actions", schema=SCHEMA)
    for name in ("operation", "before", "after"):
        op.drop_column("actions", name, schema=SCHEMA)
    op.alter_column("actions", "letter", comment=None, schema=SCHEMA)
    for name in (*LETTER_INDEXES, *PARTIAL_INDEXES):
        op.drop_index(name, "dead_letters", schema=SCHEMA)
    for column in LETTER_COLUMNS:
        op.drop_column("dead_letters", column().name, schema=SCHEMA)
    op.create_index("dead_letters_by_state", "dead_letters", ["vpd", "state", "code"], schema=SCHEMA)
