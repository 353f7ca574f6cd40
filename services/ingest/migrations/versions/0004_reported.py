"""Rows of reports, as they were last sent."""

import sqlalchemy as sa
from alembic import op

revision = "ingest_0004"
down_revision = "ingest_0003"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    op.create_table(
        "reported",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False, comment="the form of the report"),
        sa.Column("user_idnumber", sa.Text(), nullable=False),
        sa.Column("certification_idnumber", sa.Text(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False, comment="tells rows of the history apart"),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="of the row as it was last sent"),
        sa.Column("sent_by", sa.BigInteger(), nullable=False, comment="number of the file that sent it"),
        sa.Column("seen_in", sa.BigInteger(), nullable=False, comment="number of the last file it stood in"),
        sa.Column(
            "missed", sa.Boolean(), nullable=False, comment="the last report left it out, together with many others"
        ),
        sa.PrimaryKeyConstraint(
            "vpd", "report", "user_idnumber", "certification_idnumber", "moment", name="reported_pkey"
        ),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("reported", schema=SCHEMA)
