"""What was sent, what was answered, where each item stands."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "confirmations_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_v1.create_outbox("confirmations")
    schema_v1.create_facts("confirmations")
    op.create_index("facts_by_slice", "facts", ["vpd", "entity", "slice"], schema="confirmations")
    op.create_table(
        "items",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("item", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "reference", name="items_pkey"),
        schema="confirmations",
    )
    op.create_index("items_by_state", "items", ["vpd", "state"], schema="confirmations")


def downgrade() -> None:
    schema_v1.drop("confirmations", "items", "deletions", "facts", "line_fates", "outbox")
