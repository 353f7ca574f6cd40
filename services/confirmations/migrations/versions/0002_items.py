"""Items by file and position, answers line by line, what is odd about them, and the life of each completion.

What was known under the tables before is carried over. When a file was sent is not known of these: the day in its name
stands for it.
"""

# ruff: noqa: S608 - statements are made of constants

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.db import schema_v1

revision = "confirmations_0002"
down_revision = "confirmations_0001"
branch_labels = None
depends_on = None

SCHEMA = "confirmations"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="", comment=comment)


def _number(name: str, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0", comment=comment)


def _flag(name: str, comment: str | None = None) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"), comment=comment)


def _file_no(name: str = "file_no") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _moment(name: str, *, nullable: bool = True, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def _create(table: str, key: tuple[str, ...], *columns: sa.Column[Any]) -> None:
    kinds = {"line": sa.Integer(), "position": sa.Integer()}
    first = [sa.Column(name, kinds.get(name, sa.Text()), nullable=False) for name in key]
    op.create_table(table, *first, *columns, sa.PrimaryKeyConstraint(*key, name=f"{table}_pkey"), schema=SCHEMA)


def _index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    op.create_index(name, table, list(columns), schema=SCHEMA, postgresql_where=sa.text(where) if where else None)


def upgrade() -> None:
    op.execute("CREATE TABLE confirmations.items_before AS SELECT * FROM confirmations.items")
    op.drop_table("items", schema=SCHEMA)
    _create_items()
    _create_answers()
    _create_lives()
    for statement in CARRY_OVER:
        op.execute(statement)
    for table in ("items_before", "facts", "deletions"):
        op.drop_table(table, schema=SCHEMA)


def _create_items() -> None:
    _create(
        "items",
        ("vpd", "sent_file", "position"),
        _text("reference"),
        _text("person_id"),
        _text("key", "the completion's own, given by the LMS"),
        _text("competence_id"),
        _text("achieved_on"),
        _text("expires_on"),
        _text("change", "new, correction, resend or withdrawal"),
        _text("replaces"),
        _moment("sent_at", nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=False, comment="the UK day of sent_at"),
        _text("state", "open, confirmed or rejected"),
        _text("code"),
        _flag("warning"),
        _text("esr_record_id"),
        _file_no("revision"),
        _flag("own", "whether an answer to the record itself settled it, not one to its file"),
        _text("answer_file"),
        _file_no("answer_no"),
        _number("answer_line"),
        _moment("settled_at"),
        _moment("overdue_at", comment="when it was told that no answer came in time"),
    )
    _index("items_by_reference", "items", "vpd", "reference")
    _index("items_by_person", "items", "vpd", "person_id", "key")
    _index("items_by_key", "items", "vpd", "key")
    _index("items_by_state", "items", "vpd", "state", "sent_file", "position")
    _index("items_open", "items", "vpd", "sent_on", where="state = 'open'")
    _index("items_by_code", "items", "vpd", "code", "sent_file", "position", where="code <> ''")
    _index("items_refused", "items", "vpd", "code", "sent_on", where="state = 'rejected'")
    _create(
        "sent_files",
        ("vpd", "sent_file"),
        _moment("sent_at"),
        sa.Column("sent_on", sa.Date()),
        _number("sent", "items; 0 while only an answer names the file"),
        _number("confirmed"),
        _number("refused"),
    )
    _index("sent_files_by_day", "sent_files", "vpd", "sent_on", "sent_file")


def _create_answers() -> None:
    _create(
        "answers",
        ("vpd", "file", "line"),
        _file_no(),
        _text("reference"),
        _number("position", "0: no number"),
        _text("record_type"),
        _text("status"),
        _text("kind"),
        _text("code"),
        _text("esr_record_id"),
        _text("sent_file", "named by the CFH before it; empty until that is known"),
        _number("head", "the line of that CFH"),
        _flag("void", "stands under a CFH that says nothing of records"),
        _flag("fits", "there is an item with this reference in that file"),
        _flag("told", "that it does not fit"),
    )
    _index("answers_by_file", "answers", "vpd", "sent_file", "reference")
    _index("answers_by_reference", "answers", "vpd", "reference")
    _index("answers_unfit", "answers", "vpd", "file", "line", where="NOT fits AND NOT told")
    _create(
        "file_answers",
        ("vpd", "file", "line"),
        _file_no(),
        _text("sent_file"),
        _text("status"),
        _text("code"),
        _number("success"),
        _number("warned"),
        _number("failed"),
        _number("seen_success", "CFDs below it, counted once the file is complete"),
        _number("seen_warned"),
        _number("seen_failed"),
        _flag("known", "the file was sent, and its answer is told"),
        _flag("told", "that no such file was sent"),
    )
    _index("file_answers_by_file", "file_answers", "vpd", "sent_file")
    _index("file_answers_unknown", "file_answers", "vpd", "file", "line", where="NOT known AND NOT told")
    _create(
        "cmc_files",
        ("vpd", "file"),
        _file_no(),
        _number("prefix", "every record up to this line is here, so what a CFH speaks of is certain"),
        _flag("complete"),
    )
    _create(
        "findings",
        ("vpd", "file", "line", "reason"),
        _file_no(),
        _text("reference"),
        _text("sent_file"),
        _flag("stands", "false: mended by what came later"),
        _flag("told"),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
    )
    _index("findings_standing", "findings", "vpd", "file", "line", where="stands")
    _index("findings_untold", "findings", "vpd", "file", where="stands AND NOT told")


def _create_lives() -> None:
    _create(
        "completions",
        ("vpd", "person_id", "key"),
        _file_no("revision"),
        _text("stream"),
        _text("file"),
        _file_no(),
        _text("certification"),
        _text("competence_id"),
        _text("competence_name"),
        _text("achieved_on"),
        _text("expires_on"),
        _text("reason"),
        _file_no("withdrawn"),
        _text("withdrawn_reason"),
        _file_no("withheld"),
        _text("withheld_code"),
    )
    _index("completions_by_key", "completions", "vpd", "key")
    _create(
        "differences",
        ("vpd", "reference", "file", "difference"),
        _file_no(),
        _text("person_id"),
        _text("key"),
        _text("held"),
    )
    _index("differences_by_person", "differences", "vpd", "person_id", "key")


_DAY = "to_date(coalesce(substring(f.slice from '_(\\d{8})_\\d+[.]'), '20200101'), 'YYYYMMDD')"
_STANDS = "o.state IN ('confirmed', 'rejected') AND o.item -> 'sent' ->> 'sent_file' = f.slice"

_ITEMS = (
    "INSERT INTO confirmations.items (vpd, sent_file, position, reference, person_id, key, competence_id, "
    "achieved_on, change, sent_at, sent_on, state, code, warning, esr_record_id, revision, own, answer_file, "
    "answer_no, answer_line) "
    "SELECT f.vpd, f.slice, CAST(f.data ->> 'position' AS int), f.owner, f.data ->> 'person_id', f.data ->> 'key', "
    f"f.data ->> 'competence_id', f.data ->> 'achieved_on', 'new', {_DAY} + interval '18 hours', {_DAY}, "
    "coalesce(o.state, 'open'), coalesce(o.code, ''), coalesce(CAST(o.item ->> 'warning' AS boolean), false), "
    "coalesce(o.item ->> 'esr_record_id', ''), coalesce(o.revision, 0), o.vpd IS NOT NULL AND EXISTS ("
    "SELECT FROM confirmations.facts a WHERE (a.vpd, a.owner, a.entity) = (f.vpd, f.owner, 'answer')), "
    "coalesce(o.item -> 'version' ->> 'file', ''), coalesce(CAST(o.item -> 'version' ->> 'file_no' AS bigint), 0), "
    "coalesce(CAST(o.item -> 'version' ->> 'line' AS int), 0) FROM confirmations.facts f "
    f"LEFT JOIN confirmations.items_before o ON (o.vpd, o.reference) = (f.vpd, f.owner) AND {_STANDS} "
    "WHERE f.entity = 'sent'"
)

_FILES = (
    "INSERT INTO confirmations.sent_files (vpd, sent_file, sent_at, sent_on, sent, confirmed, refused) "
    "SELECT vpd, sent_file, min(sent_at), min(sent_on), count(*), count(*) FILTER (WHERE state = 'confirmed'), "
    "count(*) FILTER (WHERE state = 'rejected') FROM confirmations.items GROUP BY vpd, sent_file"
)

_CMC_FILES = (
    "INSERT INTO confirmations.cmc_files (vpd, file, file_no, prefix, complete) SELECT vpd, file, max(file_no), "
    "max(line), true FROM confirmations.facts WHERE entity IN ('answer', 'file_answer') GROUP BY vpd, file"
)

_FILE_ANSWERS = (
    "INSERT INTO confirmations.file_answers (vpd, file, line, file_no, sent_file, status, code, known) "
    "SELECT f.vpd, f.file, f.line, f.file_no, f.key, f.data ->> 'file_status', "
    "coalesce(f.data ->> 'message_code', ''), "
    "EXISTS (SELECT FROM confirmations.items i WHERE (i.vpd, i.sent_file) = (f.vpd, f.key)) "
    "FROM confirmations.facts f WHERE f.entity = 'file_answer' ON CONFLICT DO NOTHING"
)

_ANSWERS = (
    "INSERT INTO confirmations.answers (vpd, file, line, file_no, reference, position, record_type, status, kind, "
    "code, esr_record_id, sent_file, head, fits, told) SELECT f.vpd, f.file, f.line, f.file_no, f.owner, "
    "coalesce(CAST(substring(f.data ->> 'record_position' from '^\\d{1,9}$') AS int), 0), "
    "coalesce(f.data ->> 'confirmed_record_type', ''), f.data ->> 'load_status', "
    "coalesce(f.data ->> 'message_type', ''), coalesce(f.data ->> 'message_code', ''), "
    "coalesce(f.data ->> 'esr_record_id', ''), coalesce(h.sent_file, ''), coalesce(h.line, 0), EXISTS ("
    "SELECT FROM confirmations.items i WHERE (i.vpd, i.sent_file, i.reference) = (f.vpd, h.sent_file, f.owner)), true "
    "FROM confirmations.facts f LEFT JOIN LATERAL (SELECT w.sent_file, w.line FROM confirmations.file_answers w "
    "WHERE (w.vpd, w.file) = (f.vpd, f.file) AND w.line < f.line ORDER BY w.line DESC LIMIT 1) h ON true "
    "WHERE f.entity = 'answer' ON CONFLICT DO NOTHING"
)

CARRY_OVER = (_ITEMS, _FILES, _CMC_FILES, _FILE_ANSWERS, _ANSWERS)
"""Nothing that was answered before is told as odd now: nobody would act on it."""


def downgrade() -> None:
    for table in (
        "differences", "completions", "findings", "cmc_files", "file_answers", "answers", "sent_files", "items",
    ):  # fmt: skip
        op.drop_table(table, schema=SCHEMA)
    _create_before()


def _create_before() -> None:
    """Make the tables as the first migration made them; what they held is not brought back."""
    schema_v1.create_facts(SCHEMA)
    op.create_index("facts_by_slice", "facts", ["vpd", "entity", "slice"], schema=SCHEMA)
    op.create_table(
        "items",
        sa.Column("vpd", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("item", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("vpd", "reference", name="items_pkey"),
        schema=SCHEMA,
    )
    op.create_index("items_by_state", "items", ["vpd", "state"], schema=SCHEMA)
