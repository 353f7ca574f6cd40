"""What became of a letter that was sent is told by an index also where it may still be parked or quiet."""

import sqlalchemy as sa
from alembic import op

revision = "console_0006"
down_revision = "console_0005"
branch_labels = None
depends_on = None

SCHEMA = "console"
TABLE = "operation_letters"


def upgrade() -> None:
    _replace("operation_letters_sent", "operation_letters_gone", "state IN ('sent', 'quiet', 'parked')")


def downgrade() -> None:
    _replace("operation_letters_gone", "operation_letters_sent", "state = 'sent'")


def _replace(old: str, new: str, where: str) -> None:
    op.drop_index(old, TABLE, schema=SCHEMA)
    op.create_index(new, TABLE, ["vpd", "letter"], schema=SCHEMA, postgresql_where=sa.text(where))
