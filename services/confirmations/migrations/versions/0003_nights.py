"""The steps of the nightly cycle."""

from shared.db import schema_nights

revision = "confirmations_0003"
down_revision = "confirmations_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_nights.create("confirmations")


def downgrade() -> None:
    schema_nights.drop("confirmations")
