"""File names of a profile: taking them apart and spelling them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from shared.errors import ConfigurationError, FileRefusedError
from shared.esr.faults import FileCode
from shared.esr.layout import SEQUENCE_SPAN, FileName
from shared.esr.values import TimeFormat
from shared.esr.yaml_source import Section

_DAY = TimeFormat("YYYYMMDD")  # in names, whatever form dates take inside the files
_PARTS = ("vpd", "kind", "date", "seq")


@dataclass(frozen=True, slots=True)
class FileNames:
    """The rule for file names: a pattern to read them and a template to write them.

    ``lowest`` gives the kinds that have names, and the lowest number of each.
    """

    pattern: re.Pattern[str]
    template: str
    constants: Mapping[str, str]
    seq_digits: int
    lowest: Mapping[str, int]

    def parse(self, name: str) -> FileName:
        """Take a name apart. Raises FileRefusedError (F001) if it does not follow the rule."""
        match = self.pattern.fullmatch(name)
        try:
            if match is not None and (iso := _DAY.to_iso(match["date"])) is not None:
                vpd, kind, day, seq = match["vpd"].upper(), match["kind"].upper(), date.fromisoformat(iso), match["seq"]
                return FileName(self.spell(vpd, kind, day, int(seq)), vpd, kind, day, int(seq))
        except ValueError:
            pass  # a looser pattern let through what the template cannot spell; refused like any other name
        # The name itself is not repeated: a stray file may be named after a person.
        raise FileRefusedError(FileCode.F001, f"The file's name does not follow {self.form}.")

    def spell(self, vpd: str, kind: str, day: date, seq: int) -> str:
        """Write a name. Raises ValueError if it would not follow the rule."""
        number = f"{seq:0{self.seq_digits}d}"
        name = self.template.format(**self.constants, vpd=vpd, kind=kind, date=_DAY.write(day), seq=number)
        known = kind in self.lowest and self.lowest[kind] <= seq < SEQUENCE_SPAN
        if not known or self.pattern.fullmatch(name) is None:
            raise ValueError(f"the profile has no file name for these parts (kind {kind}, number {seq})")
        return name

    @property
    def form(self) -> str:
        """The rule as a person reads it."""
        return self.template.format(**self.constants, **{part: f"<{part}>" for part in _PARTS})


def read_file_names(section: Section, lowest: Mapping[str, int], vpd_digits: int) -> FileNames:
    """Read the ``file_name`` section and prove that pattern and template fit each other for every kind.

    ``lowest`` gives the kinds, and the lowest number a file of each may have. Raises ConfigurationError if they do not.
    """
    section.only(("template", "regex", "constants", "seq_digits", "case_sensitive", "order_by"))
    if section.texts("order_by") != ("date", "seq"):
        raise ConfigurationError(f"{section.place}: order_by must be [date, seq].")
    constants = section.section("constants")
    # ASCII: without it, ignoring case would also accept the long s and the Kelvin sign.
    flags = re.ASCII if section.flag("case_sensitive", default=False) else re.ASCII | re.IGNORECASE
    try:
        pattern = re.compile(section.text("regex"), flags)
    except re.error as error:
        raise ConfigurationError(f"{section.place}: regex is not a regular expression: {error}.") from error
    if not set(_PARTS) <= pattern.groupindex.keys():
        raise ConfigurationError(f"{section.place}: regex must name the groups {', '.join(_PARTS)}.")
    names = FileNames(
        pattern=pattern,
        template=section.text("template"),
        constants={name: constants.text(name) for name in constants},
        seq_digits=section.number("seq_digits", 1, 8),
        lowest=lowest,
    )
    _prove(section.place, names, vpd_digits)
    return names


def _prove(place: str, names: FileNames, vpd_digits: int) -> None:
    day, vpd = date(2026, 3, 1), "9" * vpd_digits
    for kind, lowest in names.lowest.items():
        seq = max(1, lowest)
        try:
            parsed = names.parse(names.spell(vpd, kind, day, seq))
        except (ValueError, LookupError, FileRefusedError) as error:
            raise ConfigurationError(f"{place}: template and regex do not fit each other for kind {kind}.") from error
        if (parsed.vpd, parsed.kind, parsed.date, parsed.seq) != (vpd, kind, day, seq):
            raise ConfigurationError(f"{place}: template and regex do not fit each other for kind {kind}.")
