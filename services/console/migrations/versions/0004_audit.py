"""What was written down is not deleted either, and is found by its moment."""

from alembic import op

revision = "console_0004"
down_revision = "console_0003"
branch_labels = None
depends_on = None

SCHEMA = "console"


def upgrade() -> None:
    for table in ("actions", "edits"):
        _trigger(table, "UPDATE OR DELETE")
    for table in ("actions", "deeds"):
        op.create_index(f"{table}_by_time", table, ["vpd", "at", "id"], schema=SCHEMA)


def downgrade() -> None:
    for table in ("actions", "deeds"):
        op.drop_index(f"{table}_by_time", table, schema=SCHEMA)
    for table in ("actions", "edits"):
        _trigger(table, "UPDATE")


def _trigger(table: str, when: str) -> None:
    op.execute(f"DROP TRIGGER what_was_done_stays ON console.{table}")
    op.execute(
        f"CREATE TRIGGER what_was_done_stays BEFORE {when} ON console.{table} "
        "FOR EACH ROW EXECUTE FUNCTION console.what_was_done_stays()"
    )
