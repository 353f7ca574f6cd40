"""Which trusts had a file at work just now, among all files there ever were."""

from alembic import op

revision = "ingest_0008"
down_revision = "ingest_0007"
branch_labels = None
depends_on = None

SCHEMA = "ingest"


def upgrade() -> None:
    op.create_index("files_by_turn", "files", ["last_turn"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("files_by_turn", "files", schema=SCHEMA)
