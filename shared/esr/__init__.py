"""The language of ESR files: profiles (what files look like), reading, checking and writing.

Start at ``load_profile``; then ``check_structure`` says whether a file may be read, ``read_records`` reads it,
``write_records`` writes one, and ``prove_file`` proves it before it leaves.
"""

from shared.esr.contract import check_vpd, prove_file
from shared.esr.control import Control
from shared.esr.faults import Fault, FileCode, RecordCode
from shared.esr.profile import Column, FileName, Kind, Profile, RecordLayout, load_profile
from shared.esr.reader import (
    START,
    Header,
    Position,
    Record,
    Structure,
    check_fields,
    check_structure,
    read_records,
)
from shared.esr.validate import Validation, validate_file
from shared.esr.writer import write_file, write_records

__all__ = [
    "START",
    "Column",
    "Control",
    "Fault",
    "FileCode",
    "FileName",
    "Header",
    "Kind",
    "Position",
    "Profile",
    "Record",
    "RecordCode",
    "RecordLayout",
    "Structure",
    "Validation",
    "check_fields",
    "check_structure",
    "check_vpd",
    "load_profile",
    "prove_file",
    "read_records",
    "validate_file",
    "write_file",
    "write_records",
]
