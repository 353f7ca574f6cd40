"""What Moodle's error codes mean for us. Its texts are translated, may hold personal data, and are never read.

A code may itself hold HTML and what somebody typed, so one that is not known by name is not shown either.
"""

from collections.abc import Mapping
from typing import Final

from shared.finding import Finding

AWAY: Final = frozenset({"sitemaintenance", "dbconnectionfailed", "upgraderunning"})
"""The site says by HTTP 200 that it is not there; the same call can be made later."""

REFUSED: Final = "invalidparameter"
"""A parameter or a rule: the same code for all of them, and the whole call is refused."""

CONFLICT: Final = "dmlwriteexception"
"""The database refused: a value too long, or one that must be unique and is not."""


def _finding(code: str, sentence: str) -> Finding:
    return Finding(code, sentence)


BARRED: Final[Mapping[str, Finding]] = {
    "invalidtoken": _finding("token-invalid", "Moodle does not know the token; put the right one into the token file."),
    "accessexception": _finding(
        "access-refused",
        "Moodle refuses the token: it has expired, our address is not allowed, the account is not on the service's "
        "list, the service is switched off, the role lacks webservice/rest:use, or a function is not in the service.",
    ),
    "nopermissions": _finding("right-missing", "The service account's role lacks a right that a call needs."),
    "invalidrecord": _finding("function-unknown", "This Moodle does not have a function the bridge needs."),
    "errorreportview": _finding(
        "report-refused",
        "The service account may not see the report: it is in no audience of it, or lacks moodle/reportbuilder:view.",
    ),
    "requireloginerror": _finding("right-missing", "The service account's role lacks a right that a call needs."),
    "wsaccessusersuspended": _finding("service-account-locked", "The service account is suspended; open it in Moodle."),
    "wsaccessuserdeleted": _finding("service-account-locked", "The service account is deleted; make another token."),
    "wsaccessuserunconfirmed": _finding("service-account-locked", "The service account is not confirmed."),
    "wsaccessuserexpired": _finding("service-account-locked", "The password of the service account has expired."),
    "wsaccessusernologin": _finding(
        "service-account-locked", "The service account has the authentication method 'nologin'; choose another."
    ),
    "forcepasswordchangenotice": _finding(
        "service-account-locked", "The service account must change its password first; do so, or take the mark away."
    ),
}
"""What a person has to put right before anything works, by Moodle's code."""

ADDRESS: Final = _finding(
    "address-wrong",
    "The address does not lead to Moodle's web services, or leads on to another; set lms.url to the final one.",
)
SERVICES_OFF: Final = _finding(
    "services-off",
    "Web services or the REST protocol are switched off in Moodle, or something before it shuts us out (403).",
)
NOT_MOODLE: Final = _finding("not-moodle", "What answers at the address is not Moodle's web service: it sends no JSON.")

WARNINGS: Final[Mapping[str, str]] = {
    "useremailduplicate": "email-taken",
    "useremailinvalid": "email-invalid",
    "invaliduserid": "unknown-account",
    "usernotupdateddeleted": "unknown-account",
    "usernotupdatedadmin": "protected-account",
    "usernotupdatedguest": "protected-account",
    "usernotupdatedremote": "protected-account",
}
"""Our code for each of Moodle's warnings about one account of an update."""
