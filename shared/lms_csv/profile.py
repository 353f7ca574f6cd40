"""A profile of completion files: everything that is particular to one LMS's export, read from YAML.

An LMS that exports other columns needs another YAML file, never other code. ``docs/lms-files.md`` says what may stand
in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import ConfigurationError
from shared.esr.yaml_source import Section, parse_yaml
from shared.lms_csv.subjects import HISTORY, STATUSES, SUBJECTS, Subject

ISO: Final = "iso"
"""The format of dates and times after ISO 8601: ``2026-03-03``, ``2026-03-03T14:22:10+00:00``."""

OWN: Final = "esrbridge-completions"
"""The name of the profile that is this project's own form."""

NON_STAFF: Final = "esrbridge-non-staff"
"""The name of the profile of a trust's list of people who are not in ESR."""

Needed = Literal["value", "column", "nothing"]
PersonForm = Literal["vpd-person_id", "person_id"]

_ENCODINGS: Final = ("utf-8", "iso-8859-1", "windows-1252")
"""Encodings in which a line end is one byte that means nothing else, so that lines can be found before decoding."""

_PATTERN: Final = re.compile(r"(?:[^%]|%[dmyYbBHIMSp])+")
_SOME_DAY: Final = datetime(2026, 3, 4)  # noqa: DTZ001 - only its day is looked at
_SETTINGS: Final = (
    "lms_profile",
    "profile_version",
    "file",
    "person",
    "times",
    "columns",
    "ignore_rows_without",
    "subject",
    "statuses",
)


@dataclass(frozen=True, slots=True)
class Field:
    """Where one field comes from: a column, one value for all rows, or (``reference``) the other fields.

    ``needed``: "value", every row has one; "column", it may be blank; "nothing", even the column may be missing.
    """

    name: str
    header: str = ""
    fixed: str = ""
    derived: bool = False
    needed: Needed = "column"


@dataclass(frozen=True, slots=True)
class LmsProfile:
    """One form of completion files, ready for use. Made by ``load_lms_profile``; safe to share.

    ``quote`` is empty when nothing is quoted. ``formats`` holds, for each date or time (``subject.times``), the forms a
    value may have, tried in order: ``iso`` or a pattern as ``datetime.strptime`` takes it. ``zone`` is meant by times
    without offset. ``ignore_rows_without`` names a field; a row in which it is blank tells of no completion.
    ``statuses``: our words for a certification's states by the file's texts, in small letters.
    """

    name: str
    version: str
    encoding: str
    delimiter: str
    quote: str
    further_columns: Literal["refuse", "ignore"]
    person: PersonForm
    zone: ZoneInfo
    formats: Mapping[str, tuple[str, ...]]
    fields: tuple[Field, ...]
    ignore_rows_without: str = ""
    subject: Subject = SUBJECTS["completions"]
    statuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def current(self) -> bool:
        """Whether its files are reports that tell everything anew as it stands now: who is missing there is gone."""
        return self.subject == SUBJECTS["certifications"] and not any(
            one.name == "status" and one.fixed == HISTORY for one in self.fields
        )


def lms_profiles() -> list[str]:
    """Return the names of the built-in profiles."""
    return sorted(_built_in())


def is_lms_profile(name_or_path: str | Path) -> bool:
    """Tell whether this is a profile of completion files, not one of ESR files. Raises ConfigurationError."""
    if not _is_path(name_or_path):
        return name_or_path in _built_in()
    return "lms_profile" in _source(name_or_path)


def load_lms_profile(name_or_path: str | Path) -> LmsProfile:
    """Load a profile by its built-in name (``esrbridge-completions``) or from a YAML file.

    Text with a slash or ending in ``.yaml`` or ``.yml`` is a path. Raises ConfigurationError with a sentence that
    names the mistake and its place.
    """
    return _build(_source(name_or_path))


@cache
def own_profile() -> LmsProfile:
    """Return the profile of this project's own form."""
    return load_lms_profile(OWN)


@cache
def non_staff_profile() -> LmsProfile:
    """Return the profile of a trust's list of people who are not in ESR."""
    return load_lms_profile(NON_STAFF)


def _is_path(name_or_path: str | Path) -> bool:
    return isinstance(name_or_path, Path) or "/" in name_or_path or name_or_path.endswith((".yaml", ".yml"))


def _built_in() -> dict[str, str]:
    folder = resources.files("shared.lms_csv.profiles")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in files}


def _source(name_or_path: str | Path) -> Section:
    place = f"Completion profile {name_or_path}"
    if not _is_path(name_or_path):
        known = _built_in()
        if name_or_path not in known:
            raise ConfigurationError(f"{place} is not built in; known are {', '.join(sorted(known))}. Or give a file.")
        return parse_yaml(known[str(name_or_path)], place)
    try:
        text = Path(name_or_path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{place} cannot be read ({type(error).__name__}).") from None
    return parse_yaml(text, place)


def _build(source: Section) -> LmsProfile:
    source.only(_SETTINGS)
    file, times, columns = source.section("file"), source.section("times"), source.section("columns")
    file.only(("encoding", "delimiter", "quote", "further_columns"))
    subject = SUBJECTS[source.one_of("subject", tuple(SUBJECTS), "completions")]
    times.only(("zone", *subject.times))
    columns.only(subject.fields)
    fields = tuple(_field(columns.section(name), name) for name in subject.fields if name in columns)
    _check_fields(columns, fields, subject)
    without = source.text("ignore_rows_without") if "ignore_rows_without" in source else ""
    if without and without not in {field.name for field in fields if field.header}:
        raise ConfigurationError(f"{source.place}: ignore_rows_without names no column of this profile.")
    delimiter, quote = _signs(file)
    return LmsProfile(
        name=source.text("lms_profile"),
        version=source.text("profile_version"),
        encoding=file.one_of("encoding", _ENCODINGS, "utf-8"),
        delimiter=delimiter,
        quote=quote,
        further_columns=cast(
            'Literal["refuse", "ignore"]', file.one_of("further_columns", ("refuse", "ignore"), "refuse")
        ),
        person=cast("PersonForm", source.one_of("person", get_args(PersonForm), "vpd-person_id")),
        zone=_zone(times),
        formats={name: _formats(times, name) for name in subject.times},
        fields=fields,
        ignore_rows_without=without,
        subject=subject,
        statuses=_statuses(source, fields, subject),
    )


def _field(entry: Section, name: str) -> Field:
    entry.only(("header", "needed", "fixed", "derived"))
    if sum(key in entry for key in ("header", "fixed", "derived")) != 1:
        raise ConfigurationError(f"{entry.place} must have one of header, fixed and derived.")
    if "header" in entry:
        needed = cast("Needed", entry.one_of("needed", get_args(Needed), "column"))
        return Field(name, header=entry.text("header"), needed=needed)
    if "needed" in entry:
        raise ConfigurationError(f"{entry.place}: needed is said of a column, and there is none.")
    if "fixed" in entry:
        return Field(name, fixed=entry.text("fixed"), needed="nothing")
    if name != "reference" or not entry.flag("derived", default=False):
        raise ConfigurationError(f"{entry.place}: only reference may be derived, and then it is 'derived: true'.")
    return Field(name, derived=True, needed="nothing")


def _check_fields(columns: Section, fields: tuple[Field, ...], subject: Subject) -> None:
    for name in subject.mandatory:
        said = next((field for field in fields if field.name == name), None)
        if said is None or (said.header and said.needed != "value"):
            raise ConfigurationError(f"{columns.place}: {name} is needed in every row; give it with 'needed: value'.")
    headers = [field.header for field in fields if field.header]
    twice = [header for header in headers if headers.count(header) > 1]
    if twice:
        raise ConfigurationError(f"{columns.place}: {twice[0]} is the header of more than one field.")


def _statuses(source: Section, fields: tuple[Field, ...], subject: Subject) -> dict[str, str]:
    """Return our words by the texts that stand for them, in small letters."""
    fixed = next((one.fixed for one in fields if one.name == "status"), "")
    if fixed and fixed not in (*STATUSES, HISTORY):
        raise ConfigurationError(f"{source.place}: status may be fixed as one of {', '.join((*STATUSES, HISTORY))}.")
    if "statuses" not in source:
        return {}
    if subject != SUBJECTS["certifications"]:
        raise ConfigurationError(f"{source.place}: statuses are said of certifications only.")
    said, words = source.section("statuses"), dict[str, str]()
    said.only(STATUSES)
    for status in STATUSES:
        for text in said.texts(status, ()):
            if words.setdefault(text.strip().casefold(), status) != status:
                raise ConfigurationError(f"{said.place}: {text} stands for more than one status.")
    return words


def _signs(file: Section) -> tuple[str, str]:
    """Return delimiter and quotation mark; the latter empty for ``none``."""
    delimiter, quote = file.text("delimiter", ","), file.text("quote", '"')
    quote = "" if quote == "none" else quote
    for sign in (delimiter, quote):
        if sign and (len(sign) != 1 or not sign.isascii() or sign in "\r\n\0" or sign.isalnum()):
            raise ConfigurationError(f"{file.place}: delimiter and quote must each be one sign; quote may be none.")
    if delimiter == quote:
        raise ConfigurationError(f"{file.place}: delimiter and quote must differ.")
    return delimiter, quote


def _zone(times: Section) -> ZoneInfo:
    name = times.text("zone", "Europe/London")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"{times.place}: {name} is not the name of a time zone.") from None


def _formats(times: Section, name: str) -> tuple[str, ...]:
    formats = times.texts(name, (ISO,))
    for one in formats:
        if one != ISO and not _tells_a_day(one):
            raise ConfigurationError(
                f"{times.place}, {name}: {one!r} is neither iso nor a pattern of %d %m %y %Y %b %B %H %I %M %S %p "
                "that tells a whole date."
            )
    if not formats:
        raise ConfigurationError(f"{times.place}, {name} must list at least one format.")
    return formats


def _tells_a_day(pattern: str) -> bool:
    if not _PATTERN.fullmatch(pattern):
        return False
    try:
        return datetime.strptime(_SOME_DAY.strftime(pattern), pattern).date() == _SOME_DAY.date()  # noqa: DTZ007
    except ValueError:
        return False
