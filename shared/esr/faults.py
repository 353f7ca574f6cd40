"""One vocabulary for everything that can be wrong with a file or a record.

File codes refuse or hold a whole file. ``R1xx`` codes speak of one record's form, ``B2xx`` codes of its meaning.
The codes are this project's own: no public list of ESR's messages exists.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.codes import Code


class FileCode(Code):
    """What can be wrong with a whole file."""

    F000 = (
        "F000",
        "Some records were not loaded",
        "Look at the rejected records of this file; each has its own code and advice.",
    )
    F001 = (
        "F001",
        "File name does not follow the profile",
        "Ask the sender for the file under its original name, or remove it if it is not an ESR file.",
    )
    F002 = (
        "F002",
        "Header missing, repeated or not readable",
        "Ask the sender to make the file again; do not repair the header by hand.",
    )
    F003 = (
        "F003",
        "File name in the header differs from the file's name",
        "The file was renamed or copied over another; fetch it again from the sender.",
    )
    F004 = (
        "F004",
        "VPD is not the one configured for this connection",
        "Check that the file was put in the right trust's folder and that the trust's VPD is configured.",
    )
    F005 = (
        "F005",
        "Trailer missing, not last, or its count differs from the records",
        "The file is probably cut short; fetch it again, and ask the sender if it stays so.",
    )
    F006 = (
        "F006",
        "Sequence gap: an earlier file has not come",
        "Ask the sender for the missing file; this one waits and is loaded after it.",
    )
    F007 = (
        "F007",
        "File already loaded; ignored",
        "Nothing to do: the same file was delivered twice.",
    )
    F008 = (
        "F008",
        "Previous-run time does not meet the last file's current-run time",
        "Changes are missing or come twice; request a full file and load it before this one.",
    )
    F009 = (
        "F009",
        "Interface version not supported",
        "Ask the sender what changed, then add the version to the profile once its layouts are checked.",
    )
    F010 = (
        "F010",
        "Line with the wrong number of columns, or without a record type",
        "Ask the sender for a corrected file; a delimiter inside a value or a line cut short is the usual cause.",
    )
    F011 = (
        "F011",
        "Kind of file does not travel in this direction",
        "The file was put in the wrong folder; move it to where files of its kind are collected.",
    )
    F012 = (
        "F012",
        "Line too long for any record",
        "The file is damaged or not a text file; fetch it again from the sender.",
    )
    F013 = (
        "F013",
        "File is empty",
        "The transfer probably broke off; fetch the file again.",
    )
    F014 = (
        "F014",
        "A file of this name but with other content was already loaded",
        "Ask the sender which of the two is right; a corrected file must come under a new number.",
    )
    F015 = (
        "F015",
        "File is older than the last one loaded",
        "Newer facts are already held; discard the file, or request a full file if its content is missing.",
    )
    F016 = (
        "F016",
        "No full file has been loaded yet for this trust",
        "Request a full file; the changes wait and are loaded after it.",
    )
    F017 = (
        "F017",
        "More full files than agreed",
        "Release the newest one if it is wanted and discard the others.",
    )
    F018 = (
        "F018",
        "Full file leaves out more people than may disappear at once",
        "Ask the sender whether so many have really gone; then release the file, or discard it and request another.",
    )


class RecordCode(Code):
    """What can be wrong with one record: its form (``R1xx``) or its meaning (``B2xx``)."""

    R101 = (
        "R101",
        "A mandatory field is empty",
        "Have the value filled in at the source, or edit the record and replay it.",
    )
    R102 = (
        "R102",
        "A field is too long",
        "Shorten the value and replay the record, or raise the length in the profile if it is too small.",
    )
    R103 = (
        "R103",
        "A field is not a valid date",
        "Correct the date (YYYY-MM-DD; leave an open end empty) and replay the record.",
    )
    R104 = (
        "R104",
        "A value is not in its closed list",
        "Correct the value, or add it to the list in the profile if it is right.",
    )
    R105 = (
        "R105",
        "Record type not known in this kind of file (warning)",
        "Nothing is lost if the type is not wanted; otherwise add it to the profile and load the file again.",
    )
    R106 = (
        "R106",
        "A field holds a character that is not allowed",
        "Remove or replace the character (shown as \ufffd) and replay the record.",
    )
    R107 = (
        "R107",
        "A number or fixed-width field does not have its declared form",
        "Correct the value and replay the record, or widen the type in the profile.",
    )
    R108 = (
        "R108",
        "A field is not declared for this record type",
        "Remove the field from the record and replay it.",
    )
    R109 = (
        "R109",
        "A value is not in its list; kept as it is (warning)",
        "Nothing is lost; add the value to the list in the profile so that it is understood.",
    )
    R110 = (
        "R110",
        "Record type has no layout in this profile",
        "Check that the trust's profile is the one the record was read with.",
    )
    R111 = (
        "R111",
        "A record has the wrong number of columns",
        "Ask the sender for the record anew; values may stand in the wrong columns, so compare each before mending it.",
    )
    B201 = (
        "B201",
        "Person is not known to the receiver",
        "Wait for the person's own record, or ask for a full file if it does not come.",
    )
    B202 = (
        "B202",
        "Last name does not match the name held for this person",
        "Compare the two systems; correct the name or the person ID, then send again.",
    )
    B203 = (
        "B203",
        "No assignment or application in scope on the date",
        "Check the person's assignments and the date achieved.",
    )
    B204 = (
        "B204",
        "Competence ID not known in this VPD",
        "Check the mapping, and that the competence's definition has been received.",
    )
    B205 = (
        "B205",
        "Competence name does not match the ID, or the competence has ended",
        "Point the mapping at the competence's current version and send again.",
    )
    B206 = (
        "B206",
        "Date achieved is in the future",
        "Correct the date in the learning system and send again.",
    )
    B207 = (
        "B207",
        "Expiry is before the date achieved",
        "Correct the dates in the learning system and send again.",
    )
    B208 = (
        "B208",
        "Already held with the same dates; no change made (warning)",
        "Nothing to do.",
    )
    B209 = (
        "B209",
        "A newer achievement is held; not overwritten (warning)",
        "Nothing to do, unless the newer achievement is wrong.",
    )
    B210 = (
        "B210",
        "Proficiency level is not in the competence's scale",
        "Correct the level in the mapping and send again.",
    )
    B211 = (
        "B211",
        "Person has left",
        "Check the leaving date; a completion for a leaver may have to be entered in ESR by hand.",
    )
    B212 = (
        "B212",
        "National competence not permitted for this organisation",
        "Check the trust's declaration of alignment, or map to a local competence.",
    )
    B213 = (
        "B213",
        "No completion with this reference has been loaded",
        "Check whether the completion was ever confirmed; if not, there is nothing to withdraw.",
    )

    @property
    def warning(self) -> bool:
        """Whether the record is loaded all the same."""
        return self in _WARNINGS


_WARNINGS = frozenset({RecordCode.R105, RecordCode.R109, RecordCode.B208, RecordCode.B209})
_WARNING_VALUES = frozenset(code.value for code in _WARNINGS)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong at one place.

    ``line`` counts from 1 in the file and is 0 where no line is meant. ``column`` is the profile's name of it.
    ``text`` never holds a value from the file except record types, counts, file names and VPDs.
    """

    code: str
    line: int
    column: str | None
    text: str

    @property
    def warning(self) -> bool:
        """Whether the record is loaded all the same."""
        return self.code in _WARNING_VALUES


@dataclass(slots=True)
class FaultList:
    """Lists the first ``limit`` faults and counts all of them, so that a bad file cannot fill the memory.

    ``on_fault`` hears every one.
    """

    limit: int
    on_fault: Callable[[Fault], None] | None = None
    listed: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, fault: Fault) -> None:
        """Count the fault, and list it while there is room."""
        self.counts[fault.code] += 1
        if self.on_fault is not None:
            self.on_fault(fault)
        if len(self.listed) < self.limit:
            self.listed.append(fault)
