"""The steps of the nightly cycle."""

from shared.db import schema_nights

revision = "people_0003"
down_revision = "people_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema_nights.create("people")


def downgrade() -> None:
    schema_nights.drop("people")
