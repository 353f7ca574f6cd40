"""Files in pages, the newest first, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "ingest_0007"
down_revision = "ingest_0006"
branch_labels = None
depends_on = None

SCHEMA = "ingest"
PLACE = ["received_at", "name", "sha256"]


def upgrade() -> None:
    op.create_index("files_by_arrival", "files", ["vpd", *PLACE], schema=SCHEMA)
    op.create_index("files_by_status", "files", ["vpd", "status", *PLACE], schema=SCHEMA)
    of_folders = sa.text("name NOT LIKE 'api-%' AND name NOT LIKE 'moodle-%'")
    op.create_index("files_of_folders", "files", ["vpd", *PLACE], schema=SCHEMA, postgresql_where=of_folders)


def downgrade() -> None:
    for name in ("files_by_arrival", "files_by_status", "files_of_folders"):
        op.drop_index(name, "files", schema=SCHEMA)
