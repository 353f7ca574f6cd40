"""What the operations of the sandbox's LMS have in common: their shape, their answers, what they demand of values."""

import re
import sqlite3
from datetime import date
from typing import Annotated, Final, Literal, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict

LENGTHS: Final = {"idnumber": 255, "username": 100, "firstname": 100, "lastname": 100, "email": 100}
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _blank_for_null(value: object) -> object:
    return "" if value is None else value


#: A text that may be missing or null; the rules then answer ``value-missing`` instead of refusing the whole request.
Text = Annotated[str, BeforeValidator(_blank_for_null)]


class BaseOperation(BaseModel):
    """Members other than those named are refused: a sender that invents one should see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    idnumber: Text = ""


class Answer(BaseModel):
    """What became of one operation. ``reason`` names members and codes, never a person."""

    model_config = ConfigDict(frozen=True)
    status: Literal["applied", "rejected"]
    code: str
    reason: str


class RejectedError(Exception):
    """An operation is rejected; ``answer`` says why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.answer = Answer(status="rejected", code=code, reason=reason)


def applied(code: str, reason: str = "") -> Answer:
    """Return the answer to an operation that is done, or had been done before."""
    return Answer(status="applied", code=code, reason=reason)


def require_values(operation: BaseOperation, *names: str) -> None:
    """Raise RejectedError when one of these members is blank or too long."""
    for name in names:
        value = getattr(operation, name)
        if not value.strip():
            raise RejectedError("value-missing", f"{name} must not be blank")
        if len(value) > LENGTHS.get(name, 255):
            raise RejectedError("value-too-long", f"{name} is longer than {LENGTHS.get(name, 255)} characters")


def require_account(db: sqlite3.Connection, operation: BaseOperation) -> sqlite3.Row:
    """Return the account that an operation is about. Raises RejectedError when there is none."""
    require_values(operation, "idnumber")
    row: sqlite3.Row | None = db.execute("select * from account where idnumber = ?", (operation.idnumber,)).fetchone()
    if row is None:
        raise RejectedError("unknown-account", "There is no account with this idnumber")
    return row


def require_day(name: str, value: str) -> str:
    """Return a date as it was given. Raises RejectedError when it is none."""
    try:
        return date.fromisoformat(value).isoformat() if _ISO_DAY.fullmatch(value) else _no_day(name)
    except ValueError:
        return _no_day(name)


def _no_day(name: str) -> NoReturn:
    raise RejectedError("invalid-date", f"{name} is not a date of the form YYYY-MM-DD")
