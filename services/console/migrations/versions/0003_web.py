"""Sessions, sign-ins, attempts, and who looked at what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "console_0003"
down_revision = "console_0002"
branch_labels = None
depends_on = None

SCHEMA = "console"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    op.create_table(
        "sessions",
        _text("vpd", "empty"),
        _text("id", "hash of the cookie's value"),
        _text("who"),
        _text("name"),
        sa.Column("roles", postgresql.JSONB(), nullable=False, comment="role names by trust"),
        _text("csrf"),
        _moment("started_at"),
        _moment("seen_at"),
        sa.PrimaryKeyConstraint("vpd", "id", name="sessions_pkey"),
        schema=SCHEMA,
    )
    op.create_index("sessions_by_seen", "sessions", ["vpd", "seen_at"], schema=SCHEMA)
    op.create_table(
        "sign_ins",
        _text("vpd", "empty"),
        _text("id", "hash of the cookie's value"),
        _text("state"),
        _text("nonce"),
        _text("verifier"),
        _text("next", "path to go on to"),
        _moment("started_at"),
        sa.PrimaryKeyConstraint("vpd", "id", name="sign_ins_pkey"),
        schema=SCHEMA,
    )
    op.create_index("sign_ins_by_start", "sign_ins", ["vpd", "started_at"], schema=SCHEMA)
    op.create_table(
        "attempts",
        _text("vpd", "empty"),
        _text("id", "hash of the account or address"),
        sa.Column("number", sa.Integer(), nullable=False),
        _moment("since"),
        sa.PrimaryKeyConstraint("vpd", "id", name="attempts_pkey"),
        schema=SCHEMA,
    )
    op.create_index("attempts_by_since", "attempts", ["vpd", "since"], schema=SCHEMA)
    op.create_table(
        "deeds",
        _text("vpd", "empty: about no trust"),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _moment("at"),
        _text("who"),
        _text("deed"),
        _text("subject"),
        _text("column", "name of the column revealed, never its value"),
        _text("why"),
        sa.PrimaryKeyConstraint("vpd", "id", name="deeds_pkey"),
        schema=SCHEMA,
    )
    op.execute(
        "CREATE FUNCTION console.deeds_stay() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'console.deeds is added to only' USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    op.execute(
        "CREATE TRIGGER deeds_stay BEFORE UPDATE OR DELETE ON console.deeds "
        "FOR EACH ROW EXECUTE FUNCTION console.deeds_stay()"
    )


def downgrade() -> None:
    for table in ("deeds", "attempts", "sign_ins", "sessions"):
        op.drop_table(table, schema=SCHEMA)
    op.execute("DROP FUNCTION console.deeds_stay()")
