"""The steps of the nightly cycle."""

from shared.db import schema_nights

revision = "competency_0005"
down_revision = "competency_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_nights.create("competency")


def downgrade() -> None:
    schema_nights.drop("competency")
