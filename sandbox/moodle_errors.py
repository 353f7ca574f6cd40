"""The errors a Moodle site answers with: HTTP 200, three words, and with debugging off no reason at all."""

from typing import Final


class MoodleError(Exception):
    """An error as the web service shows it: a PHP class, a code (which may hold HTML) and a text."""

    def __init__(self, exception: str, errorcode: str, message: str) -> None:
        super().__init__(errorcode)
        self.exception = exception
        self.errorcode = errorcode
        self.message = message

    @property
    def body(self) -> dict[str, str]:
        """The JSON form; there is no ``debuginfo``, as on every site that real people use."""
        return {"exception": self.exception, "errorcode": self.errorcode, "message": self.message}

    @property
    def xml(self) -> str:
        """The form of those who did not ask for JSON."""
        return (
            '<?xml version="1.0" encoding="UTF-8" ?>\n'
            f'<EXCEPTION class="{self.exception}">\n<ERRORCODE>{self.errorcode}</ERRORCODE>\n'
            f"<MESSAGE>{self.message}</MESSAGE>\n</EXCEPTION>\n"
        )


_UNDERGOING: Final = "The site is undergoing maintenance and is currently not available"
_POLICY: Final = (
    "<div>Passwords must be at least 8 characters long.</div><div>Passwords must have mixed characters.</div>"
)


def invalid_parameter() -> MoodleError:
    """A parameter or a rule of creation: the same words for a dozen causes."""
    return MoodleError("invalid_parameter_exception", "invalidparameter", "Invalid parameter value detected")


def write_failed() -> MoodleError:
    """The database refused: too long, not unique, a lost race."""
    return MoodleError("dml_write_exception", "dmlwriteexception", "Error writing to database")


def invalid_response() -> MoodleError:
    """What was done cannot be told; it was done all the same."""
    return MoodleError("invalid_response_exception", "invalidresponse", "Invalid response value detected")


def invalid_token() -> MoodleError:
    """No such token, or none arrived."""
    return MoodleError("moodle_exception", "invalidtoken", "Invalid token - token not found")


def access_refused() -> MoodleError:
    """A token out of date, a right to REST or a function of the service that is missing: all the same words."""
    return MoodleError("webservice_access_exception", "accessexception", "Access control exception")


def no_permission(what: str) -> MoodleError:
    """A capability for writing is missing."""
    text = f"Sorry, but you do not currently have permissions to do that ({what})."
    return MoodleError("required_capability_exception", "nopermissions", text)


def no_record(table: str = "external_functions") -> MoodleError:
    """No such function, or no such record of another table."""
    text = f"Can't find data record in database table {table}."
    return MoodleError("dml_missing_record_exception", "invalidrecord", text)


def invalid_persistent(why: str) -> MoodleError:
    """A rule of competencies: the same code for all of them."""
    return MoodleError("core\\invalid_persistent_exception", "invalidpersistenterror", f"Error: {why}")


def refused(code: str) -> MoodleError:
    """A refusal that has a code of its own."""
    return MoodleError("moodle_exception", code, f"error/{code}")


def report_refused() -> MoodleError:
    """The report is not there for this account: it is in none of its audiences, or may see no reports."""
    text = "You cannot view this report"
    return MoodleError("core_reportbuilder\\report_access_exception", "errorreportview", text)


def no_course_access() -> MoodleError:
    """The account may not enter the course."""
    text = "Course or activity not accessible."
    return MoodleError("require_login_exception", "requireloginerror", text)


def coding_error() -> MoodleError:
    """A field that cannot be looked up by."""
    return MoodleError("coding_exception", "codingerror", "Coding error detected, it must be fixed by a programmer")


def key_already_set() -> MoodleError:
    """The same search key twice."""
    return MoodleError("moodle_exception", "keyalreadyset", "error/keyalreadyset")


def barred(code: str) -> MoodleError:
    """The service account itself may not come in."""
    return MoodleError("moodle_exception", code, f"error/{code}")


def maintenance() -> MoodleError:
    """The administrator's maintenance page is on."""
    return MoodleError("moodle_exception", "sitemaintenance", _UNDERGOING)


def database_away() -> MoodleError:
    """The database does not let the site in."""
    return MoodleError("dml_connection_exception", "dbconnectionfailed", "<p>Error: Database connection failed</p>")


def password_policy() -> MoodleError:
    """A password too weak: HTML stands in the code."""
    return MoodleError("moodle_exception", _POLICY, f"error/{_POLICY}")
