"""What ESR holds by itself."""

import sqlalchemy as sa
from alembic import op

revision = "outbound_0004"
down_revision = "outbound_0003"
branch_labels = None
depends_on = None

SCHEMA = "outbound"


def upgrade() -> None:
    op.create_table(
        "mirrors",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("competence_id", sa.Text(), nullable=False),
        sa.Column("completed_on", sa.Text(), nullable=False, comment="day of a completion that ESR holds by itself"),
        sa.PrimaryKeyConstraint("vpd", "person_id", "competence_id", "completed_on", name="mirrors_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("mirrors", schema=SCHEMA)
