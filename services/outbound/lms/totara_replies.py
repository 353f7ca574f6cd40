"""Reads the answers of Totara's API. Its error texts can hold all that was sent: they end here, as codes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.outbound.lms.port import Answer
from shared.errors import LmsUnavailableError

UNKNOWN: Final = "outcome-unknown"
TOKEN: Final = "token"  # noqa: S105 - a code
UNTOLD: Final = "untold"
"""The site's error level keeps to itself what went wrong."""

NOT_FOUND: Final = "not-found"
TOO_COMPLEX: Final = "too-complex"

#: Anchored where Totara's own words stand, as the rest of a text may be anybody's.
_TEXTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), code)
    for pattern, code in (
        (r"^username already exists: ", "username-taken"),
        (r"^idnumber already exists: ", "idnumber-taken"),
        (r"^email address already exists: ", "email-taken"),
        (r"^the username must be in lower case", "username-invalid"),
        (r"^there was a problem finding a single user record match", NOT_FOUND),
        (r"^the authentication plugin do(es|se) not support password creation", "auth-not-by-api"),
        (r"^auth plugin does not exist: ", "auth-unknown"),
        (r"^the custom field does not exist", "field-unknown"),
        (r": you must pass a valid menu option\.$", "menu-value-unknown"),
        (r"^custom field errors: .*this value has already been used\.\s*$", "field-taken"),
        (r": you must pass valid date values that represent an actual date\.$", "date-invalid"),
        (r"^field .* should be less than \d+ characters$", "value-too-long"),
        (r"^a service account user is not allowed to suspend itself", "own-account"),
        (r"^tried to create job assignment idnumber which is not unique", "job-taken"),
        (r"^job assignment does not exist or you do not have permission", NOT_FOUND),
        (r"^position reference not found", "position-unknown"),
        (r"^organisation reference not found", "organisation-unknown"),
        (r"^manager reference not found", "manager-unknown"),
        (r"^the start date can not be later than the end date", "dates-reversed"),
        (r"^the user cannot be assigned as their own manager", "own-manager"),
        (r"multiple job assignments", "one-job-only"),
        (r"^query complexity exceeded maximum allowed complexity", TOO_COMPLEX),
        (r"^missing, expired or invalid access token", TOKEN),
        (r"^the request did not contain the required authorization header", TOKEN),
        (r"^api user is invalid", "service-account"),
        (r"^error (reading|writing) (from|to) database", UNKNOWN),
        (r"^(database|lock|.*timed? ?out)", UNKNOWN),
    )
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one document: what it asked for, or the code of why not."""

    data: Mapping[str, Any] | None
    code: str = ""
    traced: bool = False
    """Whether the site tells of its inside with errors (error level "developer")."""

    def answer(self) -> Answer:
        """Return the answer for a document that failed."""
        if self.code in (UNKNOWN, UNTOLD, TOO_COMPLEX, TOKEN):
            return Answer("unknown", self.code)
        return Answer("rejected", self.code)


LOST: Final = Reply(None, UNKNOWN)


def read_reply(body: object) -> Reply:
    """Return what an answer to one document says. Errors come with status 200; without data they leave it open what
    was done. Raises LmsUnavailableError when the body is no such answer.
    """
    if not isinstance(body, dict):
        raise LmsUnavailableError("what answered is not Totara's API")
    errors = body.get("errors")
    if errors:
        if not isinstance(errors, list) or not isinstance(errors[0], dict):
            raise LmsUnavailableError("what answered is not Totara's API")
        return Reply(None, _code(errors[0]), "trace" in errors[0])
    data = body.get("data")
    return Reply(data) if isinstance(data, dict) else LOST


def _code(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions")
    inner = extensions if isinstance(extensions, dict) else {}
    detail = error.get("debugMessage") or inner.get("debugMessage")  # beside the message; elsewhere in other releases
    for text in (detail, error.get("message")):
        for pattern, code in _TEXTS:
            if isinstance(text, str) and pattern.search(text):
                return code
    if inner.get("category") == "graphql":
        return "schema-differs"
    return "refused" if detail else UNTOLD


def lacks(data: object, wanted: Mapping[str, Any]) -> bool:
    """Whether something that was asked for is not there. Totara leaves out what it does not know, without an error.

    ``wanted`` has the names of fields, and for each what is asked of it in turn. None and an empty list hold all.
    """
    if data is None:
        return False
    if isinstance(data, list):
        return any(lacks(one, wanted) for one in data)
    if not wanted:
        return False
    return not isinstance(data, dict) or any(
        name not in data or lacks(data[name], inner) for name, inner in wanted.items()
    )


def fields(wanted: Mapping[str, Any]) -> str:
    """Return fields as a GraphQL selection."""
    return " ".join(f"{name} {{ {fields(inner)} }}" if inner else name for name, inner in wanted.items())
