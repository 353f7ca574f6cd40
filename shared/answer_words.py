"""Plain words for the codes of completions: what each means, what to do, and what the bridge does by itself. No I/O.

``confirmations`` tells them by its API, and ``console`` on its pages; docs/confirmations.md lists ESR's.
"""

from itertools import chain
from typing import Final

from shared.codes import Code, CompletionCode, ConfirmationCode
from shared.esr.faults import FileCode, RecordCode
from shared.esr_answers import Remedy, remedy

REMEDIES: Final[dict[Remedy, str]] = {
    "person": "sent again by itself, marked as a resend, once ESR tells something new of the person",
    "content": "sent anew by itself once the completion or its mapping says something else",
    "day": "sent again by itself once the day of the achievement has come",
    "file": "goes again in another file once an operator says so",
    "settled": "nothing more is sent",
    "operator": "waits for an operator",
}
"""What follows by itself from a refusal, by its remedy."""

_AGAIN: Final = "then have the file's records sent again (`esrbridge completions resend`)."
_MEND: Final = "Mend the value in the LMS or in the mapping"

OURS: Final[dict[str, str]] = {
    "F000": "Look at the refused records of the file; each has its own code.",
    "F001": f"Compare the profile's names of completion files with what ESR expects; {_AGAIN}",
    "F002": f"Compare the profile's header with what ESR expects; {_AGAIN}",
    "F003": f"Find out who renames files on their way to ESR; {_AGAIN}",
    "F004": f"Compare the trust's VPD and its connection with what ESR has set up; {_AGAIN}",
    "F005": f"The file was cut short on its way, or `trailer_count` of the profile is not ESR's; {_AGAIN}",
    "F006": f"A file before it did not reach ESR: `esrbridge completions files` shows one without an answer; {_AGAIN}",
    "F007": "Nothing to do: the file came twice, and its first answer counts.",
    "F008": f"A file before it has not reached ESR, or another interface writes files for this trust too; {_AGAIN}",
    "F009": f"Ask ESR which version it takes, and set it in the profile; {_AGAIN}",
    "F010": f"Compare the profile's columns of completion records with what ESR expects; {_AGAIN}",
    "R101": f"{_MEND}: a field that ESR needs is empty.",
    "R102": f"{_MEND}: it is too long for ESR.",
    "R103": f"{_MEND}: it is no date to ESR.",
    "R104": "Compare the value with ESR's list. ESR says so too of a reference that it loaded with other content.",
    "R105": "Compare the profile's record types with what ESR expects.",
}
"""What to do about codes that say something else of our own files than of files we get."""

_CODES: Final[dict[str, Code]] = {
    str(one): one for one in chain(RecordCode, FileCode, ConfirmationCode, CompletionCode)
}


def about(code: str) -> dict[str, str]:
    """Return a code with its meaning and what to do; for an answer of ESR also what the bridge does by itself."""
    known = _CODES.get(code)
    said = {
        "code": code,
        "meaning": known.meaning if known else "a code that this release does not know",
        "advice": OURS.get(code) or (known.advice if known else "Ask ESR what it means, then decide for these items."),
    }
    if isinstance(known, ConfirmationCode | CompletionCode):
        return said
    return said | {"remedy": remedy(code), "next": REMEDIES[remedy(code)]}
