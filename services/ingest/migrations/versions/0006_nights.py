"""The steps of the nightly cycle."""

from shared.db import schema_nights

revision = "ingest_0006"
down_revision = "ingest_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_nights.create("ingest")


def downgrade() -> None:
    schema_nights.drop("ingest")
