"""The language of completion files: profiles (what an LMS's export looks like), reading and checking.

Start at ``load_lms_profile``; then ``check_lms_file`` says whether a file may be read, and ``read_completions`` reads
it.
"""

from shared.lms_csv.non_staff import NonStaffReading
from shared.lms_csv.profile import (
    NON_STAFF,
    OWN,
    LmsProfile,
    is_lms_profile,
    lms_profiles,
    load_lms_profile,
    non_staff_profile,
    own_profile,
)
from shared.lms_csv.reading import Completion, Reading, read_completions
from shared.lms_csv.rows import UnreadableFileError
from shared.lms_csv.subjects import FIELDS, GONE, HISTORY, MANDATORY, STATUSES, SUBJECTS, WITHDRAWN
from shared.lms_csv.validate import LmsStructure, LmsValidation, check_lms_file, validate_lms_file
from shared.lms_csv.wrong import Wrong

__all__ = [
    "FIELDS",
    "GONE",
    "HISTORY",
    "MANDATORY",
    "NON_STAFF",
    "OWN",
    "STATUSES",
    "SUBJECTS",
    "WITHDRAWN",
    "Completion",
    "LmsProfile",
    "LmsStructure",
    "LmsValidation",
    "NonStaffReading",
    "Reading",
    "UnreadableFileError",
    "Wrong",
    "check_lms_file",
    "is_lms_profile",
    "lms_profiles",
    "load_lms_profile",
    "non_staff_profile",
    "own_profile",
    "read_completions",
    "validate_lms_file",
]
