"""What people hold, and what compliance has to know of them; everyone known so far is decided for again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "competency_0003"
down_revision = "competency_0002"
branch_labels = None
depends_on = None

SCHEMA = "competency"


def _text(name: str, comment: str | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment, server_default=default)


def upgrade() -> None:
    op.create_index(
        "facts_requirements",
        "facts",
        ["vpd"],
        schema=SCHEMA,
        postgresql_where=sa.text("entity = 'competency_element' AND data ->> 'competency_type' = 'REQUIREMENT'"),
    )
    op.create_table(
        "staff",
        _text("vpd"),
        _text("person_id"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        _text("human", "person ID of the record that stands for this human"),
        sa.Column(
            "traits",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="what requirements may name; none: nothing is required",
        ),
        _text("employee_number", default=""),
        _text("name", "shown on request only", default=""),
        _text("organisation_id", default=""),
        _text("organisation_name", default=""),
        _text("staff_group", default=""),
        _text("position_name", default=""),
        sa.PrimaryKeyConstraint("vpd", "person_id", name="staff_pkey"),
        schema=SCHEMA,
    )
    op.create_table(
        "holdings",
        _text("vpd"),
        _text("person_id"),
        _text("competence_id"),
        sa.Column("achieved_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), comment="last valid day; null: for ever"),
        sa.PrimaryKeyConstraint("vpd", "person_id", "competence_id", "achieved_on", name="holdings_pkey"),
        schema=SCHEMA,
    )
    # Revision 0: whatever people tells next of a person takes its place.
    op.execute(
        "INSERT INTO competency.staff (vpd, person_id, revision, human, traits) SELECT vpd, person_id, 0, person_id, "
        "CASE state WHEN 'employee' THEN ARRAY['everyone:', 'person:' || lower(person_id)] ELSE '{}'::text[] END "
        "FROM competency.people"
    )
    op.execute(
        "INSERT INTO competency.again (vpd, person_id) SELECT vpd, person_id FROM competency.people "
        "ON CONFLICT (vpd, person_id) DO NOTHING"
    )


def downgrade() -> None:
    op.drop_table("holdings", schema=SCHEMA)
    op.drop_table("staff", schema=SCHEMA)
    op.drop_index("facts_requirements", "facts", schema=SCHEMA)
