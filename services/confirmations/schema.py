"""The tables of ``confirmations``: items sent, ESR's answers, what did not fit, and the life of each completion."""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, Integer, MetaData, Table, Text, text

from shared.db import tables

SCHEMA: Final = "confirmations"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
NIGHTS: Final = tables.nights(METADATA)
NIGHT_RUNS: Final = tables.night_runs(METADATA)


def _text(name: str, comment: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="", comment=comment)


def _number(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0", comment=comment)


def _flag(name: str, comment: str | None = None) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"), comment=comment)


def _file_no(name: str = "file_no") -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _key(*names: str) -> list[Column[Any]]:
    kinds: dict[str, type[Any]] = {"line": Integer, "position": Integer}
    return [Column(name, kinds.get(name, Text), primary_key=True, autoincrement=False) for name in names]


ITEMS: Final = Table(
    "items",
    METADATA,
    *_key("vpd", "sent_file", "position"),
    _text("reference"),
    _text("person_id"),
    _text("key", "the completion's own, given by the LMS"),
    _text("competence_id"),
    _text("achieved_on"),
    _text("expires_on"),
    _text("change", "new, correction, resend or withdrawal"),
    _text("replaces"),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("sent_on", Date, nullable=False, comment="the UK day of sent_at"),
    _text("state", "open, confirmed or rejected"),
    _text("code"),
    _flag("warning"),
    _text("esr_record_id"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    _flag("own", "whether an answer to the record itself settled it, not one to its file"),
    _text("answer_file"),
    _file_no("answer_no"),
    _number("answer_line"),
    Column("settled_at", DateTime(timezone=True)),
    Column("overdue_at", DateTime(timezone=True), comment="when it was told that no answer came in time"),
    Index("items_by_reference", "vpd", "reference"),
    Index("items_by_person", "vpd", "person_id", "key"),
    Index("items_by_key", "vpd", "key"),
    Index("items_by_state", "vpd", "state", "sent_file", "position"),
    Index("items_open", "vpd", "sent_on", postgresql_where=text("state = 'open'")),
    Index("items_by_code", "vpd", "code", "sent_file", "position", postgresql_where=text("code <> ''")),
    Index("items_refused", "vpd", "code", "sent_on", postgresql_where=text("state = 'rejected'")),
)

SENT_FILES: Final = Table(
    "sent_files",
    METADATA,
    *_key("vpd", "sent_file"),
    Column("sent_at", DateTime(timezone=True)),
    Column("sent_on", Date),
    _number("sent", "items; 0 while only an answer names the file"),
    _number("confirmed"),
    _number("refused"),
    Index("sent_files_by_day", "vpd", "sent_on", "sent_file"),
)
"""A row is the lock under which the items of a file are settled. What is neither confirmed nor refused is open."""

ANSWERS: Final = Table(
    "answers",
    METADATA,
    *_key("vpd", "file", "line"),
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
    Index("answers_by_file", "vpd", "sent_file", "reference"),
    Index("answers_by_reference", "vpd", "reference"),
    Index("answers_unfit", "vpd", "file", "line", postgresql_where=text("NOT fits AND NOT told")),
)

FILE_ANSWERS: Final = Table(
    "file_answers",
    METADATA,
    *_key("vpd", "file", "line"),
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
    Index("file_answers_by_file", "vpd", "sent_file"),
    Index("file_answers_unknown", "vpd", "file", "line", postgresql_where=text("NOT known AND NOT told")),
)

CMC_FILES: Final = Table(
    "cmc_files",
    METADATA,
    *_key("vpd", "file"),
    _file_no(),
    _number("prefix", "every record up to this line is here, so what a CFH speaks of is certain"),
    _flag("complete"),
)

FINDINGS: Final = Table(
    "findings",
    METADATA,
    *_key("vpd", "file", "line", "reason"),
    _file_no(),
    _text("reference"),
    _text("sent_file"),
    _flag("stands", "false: mended by what came later"),
    _flag("told"),
    Column("found_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("findings_standing", "vpd", "file", "line", postgresql_where=text("stands")),
    Index("findings_untold", "vpd", "file", postgresql_where=text("stands AND NOT told")),
)

COMPLETIONS: Final = Table(
    "completions",
    METADATA,
    *_key("vpd", "person_id", "key"),
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
    Index("completions_by_key", "vpd", "key"),
)
"""What was last told of each completion; ``withdrawn`` and ``withheld`` are the revisions at which it was."""

DIFFERENCES: Final = Table(
    "differences",
    METADATA,
    *_key("vpd", "reference", "file", "difference"),
    _file_no(),
    _text("person_id"),
    _text("key"),
    _text("held"),
    Index("differences_by_person", "vpd", "person_id", "key"),
)
