"""A profile: everything that is particular to one specification of ESR files, read from YAML.

A trust's real specification is another YAML file, never other code. The profiles that come with the product are this
project's reconstruction from public material, not the official interface specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path

from shared.errors import ConfigurationError
from shared.esr.control import Control, TrailerCount, read_control
from shared.esr.file_names import FileNames, read_file_names
from shared.esr.layout import Column, FileName, Kind, RecordLayout, ValueList
from shared.esr.profile_kinds import read_kinds
from shared.esr.profile_parts import read_lists, read_records
from shared.esr.rows import RowFormat
from shared.esr.syntax import Syntax, read_syntax
from shared.esr.yaml_source import Section, parse_yaml

__all__ = ["Column", "FileName", "Kind", "Profile", "RecordLayout", "ValueList", "load_profile"]

_SETTINGS = (
    "profile", "profile_version", "standing", "borrowed_from", "physical", "file_name", "kinds", "control", "records",
    "kinds_records", "lists", "routing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """One specification, ready for use. Made by ``load_profile``; safe to share.

    ``standing`` and ``borrowed_from`` say where it comes from, for people. ``routing`` holds the records that are sent
    on, by record type; a record that nothing uses has a layout and no routing.
    """

    name: str
    version: str
    standing: str
    borrowed_from: Mapping[str, str]
    syntax: Syntax
    names: FileNames
    control: Control
    kinds: Mapping[str, Kind]
    records: Mapping[str, RecordLayout]
    rows: Mapping[str, RowFormat]
    ignored_types: frozenset[str]
    lists: Mapping[str, ValueList]
    routing: Mapping[str, str]

    @property
    def encoding(self) -> str:
        """The encoding of the files."""
        return self.syntax.encoding

    @property
    def delimiter(self) -> str:
        """The one character between columns."""
        return self.syntax.delimiter

    @property
    def trailer_count(self) -> TrailerCount:
        """What the trailer's number counts."""
        return self.control.trailer_count

    @property
    def interface_versions(self) -> tuple[str, ...]:
        """The versions of the interface that are read; the first is the one that is written."""
        return self.control.interface_versions

    def parse_file_name(self, name: str) -> FileName:
        """Take a file's name apart. Raises FileRefusedError (F001) if it does not follow the profile."""
        return self.names.parse(name)

    def file_name(self, vpd: str, kind: str, day: date, seq: int) -> str:
        """Spell a file's name. Raises ValueError if the profile has none for these parts."""
        return self.names.spell(vpd, kind, day, seq)


def load_profile(name_or_path: str | Path) -> Profile:
    """Load a profile by its built-in name (``esr-cstf``) or from a YAML file.

    Text with a slash or ending in ``.yaml`` or ``.yml`` is a path. Raises ConfigurationError with a sentence that
    names the mistake and its place.
    """
    place = f"Profile {name_or_path}"
    if isinstance(name_or_path, str) and "/" not in name_or_path and not name_or_path.endswith((".yaml", ".yml")):
        return _build(parse_yaml(_built_in(name_or_path), place))
    try:
        text = Path(name_or_path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{place} cannot be read ({type(error).__name__}).") from error
    return _build(parse_yaml(text, place))


def _built_in(name: str) -> str:
    folder = resources.files("shared.esr.profiles")
    files = {entry.name.removesuffix(".yaml"): entry for entry in folder.iterdir() if entry.name.endswith(".yaml")}
    if name not in files:
        known = ", ".join(sorted(files))
        raise ConfigurationError(f"There is no built-in profile {name!r}; known are {known}. Or give a YAML file.")
    return files[name].read_text(encoding="utf-8")


def _build(source: Section) -> Profile:
    source.only(_SETTINGS)
    syntax = read_syntax(source.section("physical"))
    lists, routing = read_lists(source.section("lists")), source.section("routing")
    records = read_records(source.section("records"), routing, lists)
    kinds, ignored = read_kinds(source.section("kinds"), source.section("kinds_records"), routing, records)
    control = read_control(source.section("control"), kinds)
    # Requests are not counted: they all have the same number.
    lowest = {code: 1 if kind.mode == "request" else control.sequence.start for code, kind in kinds.items()}
    origins = source.section("borrowed_from") if "borrowed_from" in source else Section("borrowed_from", {})
    vpd_digits = [column.length for layout in records.values() for column in layout.columns if column.name == "vpd"]
    return Profile(
        name=source.text("profile"),
        version=source.text("profile_version"),
        standing=source.text("standing"),
        borrowed_from={name: origins.text(name) for name in origins},
        syntax=syntax,
        names=read_file_names(source.section("file_name"), lowest, vpd_digits[0] if vpd_digits else 3),
        control=control,
        kinds=kinds,
        records=records,
        rows={name: RowFormat(layout, syntax) for name, layout in records.items()},
        ignored_types=ignored,
        lists=lists,
        routing={name: layout.routing for name, layout in records.items() if layout.routing},
    )
