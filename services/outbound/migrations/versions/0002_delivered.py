"""Files that other sides hold."""

import sqlalchemy as sa
from alembic import op

revision = "outbound_0002"
down_revision = "outbound_0001"
branch_labels = None
depends_on = None

SCHEMA = "outbound"


def upgrade() -> None:
    op.create_table(
        "delivered",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False, comment="esr or lms, and the folder on the other side"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "folder", "name", "sha256", name="delivered_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("delivered", schema=SCHEMA)
