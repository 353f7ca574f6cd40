"""The steps of the nightly cycle."""

from shared.db import schema_nights

revision = "outbound_0006"
down_revision = "outbound_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_nights.create("outbound")


def downgrade() -> None:
    schema_nights.drop("outbound")
