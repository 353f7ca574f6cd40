"""The tables of ``ingest``."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.ingest.batch import BY_REQUEST, FROM_MOODLE
from shared.db import tables

SCHEMA: Final = "ingest"
METADATA: Final = MetaData(schema=SCHEMA)

OUTBOX: Final = tables.outbox(METADATA)
LINE_FATES: Final = tables.line_fates(METADATA)
NIGHTS: Final = tables.nights(METADATA)
NIGHT_RUNS: Final = tables.night_runs(METADATA)

UNANSWERED: Final = (
    "(status IN ('complete', 'quarantined', 'refused', 'discarded') AND NOT answered) OR repeats_answered < repeats"
)
"""SQL condition: the sender of a file has not been told yet what became of it."""

OF_FOLDERS: Final = f"name NOT LIKE '{BY_REQUEST}%' AND name NOT LIKE '{FROM_MOODLE}%'"
"""SQL condition: the bridge has not made the file itself, of what an LMS sent or answered by requests."""

FILES: Final = Table(
    "files",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, primary_key=True, comment="the same name with other bytes is another arrival"),
    Column("origin", Text, nullable=False, comment="esr or lms"),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("repeats", Integer, nullable=False, server_default="0", comment="times the same bytes came again"),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False),
    Column("code", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("faults", JSONB, nullable=False, server_default="[]"),
    Column("stream", Text, nullable=False, server_default="", comment="the counter the file belongs to"),
    Column("kind", Text, nullable=False, server_default=""),
    Column("mode", Text, nullable=False, server_default=""),
    Column("number", BigInteger, nullable=False, server_default="0"),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("records", BigInteger, nullable=False, server_default="0"),
    Column("previous_run", DateTime),
    Column("current_run", DateTime),
    Column("offset", BigInteger, nullable=False, server_default="0"),
    Column("line", BigInteger, nullable=False, server_default="0"),
    Column("position", BigInteger, nullable=False, server_default="0", comment="records sent so far"),
    Column("claimed_until", DateTime(timezone=True), comment="a replica is splitting the file"),
    Column("last_turn", DateTime(timezone=True), comment="files take turns"),
    Column("fates", JSONB, nullable=False, server_default="{}", comment="how many records met which fate"),
    Column("completed_at", DateTime(timezone=True)),
    Column("warnings", BigInteger, nullable=False, server_default="0", comment="records sent on with a warning"),
    Column("released", Boolean, nullable=False, server_default=text("false"), comment="an operator let it in"),
    Column(
        "answered",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="its sender was told what became of it",
    ),
    Column(
        "repeats_answered",
        Integer,
        nullable=False,
        server_default="0",
        comment="times its sender was told that it came again",
    ),
    Column("purged_at", DateTime(timezone=True), comment="its bytes were removed from the archive"),
    Index("files_by_stream", "vpd", "stream", "number"),
    Index("files_by_arrival", "vpd", "received_at", "name", "sha256"),
    Index("files_by_status", "vpd", "status", "received_at", "name", "sha256"),
    Index("files_of_folders", "vpd", "received_at", "name", "sha256", postgresql_where=text(OF_FOLDERS)),
    Index("files_at_work", "status", "last_turn", postgresql_where=text("status IN ('ready', 'splitting')")),
    Index("files_by_turn", "last_turn"),
    Index("files_waiting", "status", postgresql_where=text("status IN ('received', 'checked', 'held')")),
    Index(
        "files_accepted",
        "vpd",
        "name",
        unique=True,
        postgresql_where=text("status IN ('ready', 'splitting', 'split', 'complete')"),
    ),
    Index("files_unanswered", "vpd", postgresql_where=text(UNANSWERED)),
)

LINE_CODES: Final = Table(
    "line_codes",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("file", Text, primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("code", Text, nullable=False, comment="why the line's owner gave it up"),
)

MENTIONS: Final = Table(
    "mentions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("sha256", Text, primary_key=True, comment="of a feed file that is not let in yet"),
    Column("person_id", Text, primary_key=True),
    Column("gone", Boolean, nullable=False, comment="the file deletes the person"),
)

ROSTER: Final = Table(
    "roster",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("file", Text, nullable=False, comment="the last file that spoke of the person"),
    Column("file_no", BigInteger, nullable=False),
    Column("absent_from", Text, nullable=False, server_default="", comment="the full file that left the person out"),
)

ANSWERS: Final = Table(
    "answers",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, comment="the confirmation's number"),
    Column("name", Text, nullable=False, comment="the confirmation file"),
    Column("file", Text, nullable=False, comment="the file it answers"),
    Column("sha256", Text, nullable=False),
    Column("status", Text, nullable=False, comment="SUCCESS, PARTIAL, FAIL or DUPLICATE"),
    Column("current_run", DateTime, nullable=False),
    Column("delivered_at", DateTime(timezone=True)),
    Index("answers_undelivered", "vpd", "number", postgresql_where=text("delivered_at IS NULL")),
)

REQUESTS: Final = Table(
    "requests",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("as_at", DateTime, primary_key=True, comment="the moment the full file shall show"),
    Column("name", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("delivered_at", DateTime(timezone=True)),
)

ACTIONS: Final = Table(
    "actions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("file", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("why", Text, nullable=False),
)

FEEDS: Final = Table(
    "feeds",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("watched_since", DateTime, nullable=False, comment="UK local time from which files are expected"),
)

ALARMS: Final = Table(
    "alarms",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("kind", Text, primary_key=True, comment="silent, late or early"),
    Column("subject", Text, primary_key=True, comment="the day or the file it is about"),
    Column("raised_at", DateTime(timezone=True), nullable=False),
)

REPORTED: Final = Table(
    "reported",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("report", Text, primary_key=True, comment="the form of the report"),
    Column("user_idnumber", Text, primary_key=True),
    Column("certification_idnumber", Text, primary_key=True),
    Column("moment", Text, primary_key=True, comment="tells rows of the history apart"),
    Column("digest", LargeBinary, nullable=False, comment="of the row as it was last sent"),
    Column("sent_by", BigInteger, nullable=False, comment="number of the file that sent it"),
    Column("seen_in", BigInteger, nullable=False, comment="number of the last file it stood in"),
    Column("missed", Boolean, nullable=False, comment="the last report left it out, together with many others"),
)
"""Rows of reports that tell everything anew each time."""

COLLECTED: Final = Table(
    "collected",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("folder", Text, primary_key=True, comment="esr or lms, and the folder on the other side"),
    Column("name", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("mtime_ns", BigInteger, primary_key=True, comment="as the other side lists it"),
    Column("sha256", Text, nullable=False),
    Column("collected_at", DateTime(timezone=True), nullable=False),
)
"""Files fetched from other sides, remembered for ever."""

MOODLE_COMPLETIONS: Final = Table(
    "moodle_completions",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("user_idnumber", Text, primary_key=True),
    Column("course_idnumber", Text, primary_key=True),
    Column("second", BigInteger, primary_key=True, comment="epoch seconds of the completion"),
    Column("shown", Text, nullable=False, comment="its time as the report printed it last"),
    Column("file", Text, nullable=False, comment="the file in which it was handed in"),
    Index("moodle_completions_shown", "vpd", "user_idnumber", "course_idnumber", "shown"),
)
"""Course completions read from Moodle, remembered for ever so that each is handed in once."""

MOODLE_READS: Final = Table(
    "moodle_reads",
    METADATA,
    Column("vpd", Text, primary_key=True),
    Column("report", BigInteger, primary_key=True),
    Column("high", BigInteger, nullable=False, comment="epoch second up to which the report was read"),
    Column("full_at", DateTime(timezone=True), nullable=False, comment="when everything was read last"),
)
