"""Files fetched from other sides."""

import sqlalchemy as sa
from alembic import op

revision = "ingest_0003"
down_revision = "ingest_0002"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    op.create_table(
        "collected",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False, comment="esr or lms, and the folder on the other side"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False, comment="as the other side lists it"),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "folder", "name", "size", "mtime_ns", name="collected_pkey"),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("collected", schema=SCHEMA)
