"""What may be due in an LMS is found without reading what waits for its file."""

import sqlalchemy as sa
from alembic import op

revision = "outbound_0007"
down_revision = "outbound_0006"
branch_labels = None
depends_on = None

SCHEMA = "outbound"


def upgrade() -> None:
    for name, table in (
        ("accounts_dirty", "accounts"),
        ("accounts_jobs_dirty", "accounts"),
        ("deliveries_wanted", "deliveries"),
    ):
        op.drop_index(name, table, schema=SCHEMA)
    _index("accounts_dirty", "accounts", ["vpd", "file_no"], "dirty")
    _index("accounts_jobs_dirty", "accounts", ["vpd", "file_no"], "jobs_dirty AND seen IS NOT NULL")
    _index("deliveries_due", "deliveries", ["vpd", "file_no"], "state IN ('wanted', 'withdrawing')")


def downgrade() -> None:
    for name, table in (
        ("accounts_dirty", "accounts"),
        ("accounts_jobs_dirty", "accounts"),
        ("deliveries_due", "deliveries"),
    ):
        op.drop_index(name, table, schema=SCHEMA)
    _index("accounts_dirty", "accounts", ["vpd"], "dirty")
    _index("accounts_jobs_dirty", "accounts", ["vpd"], "jobs_dirty")
    _index("deliveries_wanted", "deliveries", ["vpd"], "state = 'wanted'")


def _drop(of_deliveries: str) -> None:
    for name, table in (
        ("accounts_dirty", "accounts"),
        ("accounts_jobs_dirty", "accounts"),
        (of_deliveries, "deliveries"),
    ):
        op.drop_index(name, table, schema=SCHEMA)


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, schema=SCHEMA, postgresql_where=sa.text(where))
