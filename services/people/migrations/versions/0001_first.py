"""Facts, tombstones and derived people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "people_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_v1.create_outbox("people")
    schema_v1.create_facts("people")
    op.create_table(
        "people",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("person", postgresql.JSONB(), nullable=False),
        sa.Column("file_no", sa.BigInteger(), nullable=False, comment="newest file the derivation rests on"),
        sa.Column("due", sa.Date(), comment="next business day on which the derivation may change by itself"),
        sa.PrimaryKeyConstraint("vpd", "person_id", name="people_pkey"),
        schema="people",
    )
    op.create_index("people_by_due", "people", ["due"], schema="people")
    op.create_index("people_by_state", "people", ["vpd", "state"], schema="people")


def downgrade() -> None:
    schema_v1.drop("people", "people", "deletions", "facts", "line_fates", "outbox")
