"""What Moodle takes, checked by us: a refusal of Moodle's tells no reason, and much is lost without any refusal.

The lengths are those of its database; the rules were seen on Moodle 4.3.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from services.outbound.lms.port import Account, ProfileField

Menus = Mapping[str, Sequence[str]]

LENGTHS: Final[Mapping[str, int]] = {
    "idnumber": 255,
    "username": 100,
    "first_name": 100,
    "last_name": 100,
    "middle_names": 255,
    "email": 100,
}

PROTECTED: Final = frozenset({"admin", "guest"})
"""Usernames of accounts that belong to the site itself."""

_USERNAME = re.compile(r"[a-z0-9._@-]+")
_AUTH = re.compile(r"[a-z][a-z0-9_]*")
_FIELD = re.compile(r"[A-Za-z0-9_-]+")
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
_TAG = re.compile(r"<(?!\s)")


def tidy(account: Account) -> Account:
    """Return the account in composed Unicode (NFC), without blanks around its values: Moodle keeps what it is sent."""
    return replace(
        account,
        idnumber=_tidy(account.idnumber),
        username=_tidy(account.username),
        first_name=_tidy(account.first_name),
        last_name=_tidy(account.last_name),
        middle_names=_tidy(account.middle_names),
        email=_tidy(account.email),
        fields=tuple(replace(one, value=_tidy(one.value)) if one.kind == "text" else one for one in account.fields),
    )


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def readable(text: str) -> bool:
    """Whether a text can be sent at all: a NUL or half of a surrogate pair refuses the whole call."""
    return not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text)


def is_username(text: str) -> bool:
    """Whether Moodle looks a username up at all; anything else refuses the whole call."""
    return _USERNAME.fullmatch(text) is not None


def fault(account: Account, menus: Menus) -> str:
    """Return the code of the first rule that a tidy account breaks, or an empty text.

    ``menus`` gives the options of each menu field: a value that is not among them erases the one held.
    """
    if len({one.name for one in account.fields}) < len(account.fields):
        return "field-twice"
    return _core_fault(account) or next((code for one in account.fields if (code := _field_fault(one, menus))), "")


def _core_fault(account: Account) -> str:
    names = (account.first_name, account.last_name, account.middle_names)
    rules = (
        ("idnumber-invalid", account.idnumber and readable(account.idnumber)),
        ("name-blank", account.first_name and account.last_name),
        ("value-too-long", all(len(getattr(account, name)) <= most for name, most in LENGTHS.items())),
        ("name-invalid", all(_is_name(name) for name in names)),
        ("username-invalid", is_username(account.username)),
        ("protected-account", account.username not in PROTECTED),
        ("email-invalid", is_email(account.email)),
        ("auth-invalid", _AUTH.fullmatch(account.auth)),
    )
    return next((code for code, kept in rules if not kept), "")


def _is_name(text: str) -> bool:
    """Moodle takes ``<`` for the beginning of a tag unless a blank follows."""
    return readable(text) and not _TAG.search(text) and not text.endswith("<")


def is_email(text: str) -> bool:
    """Whether Moodle takes an address: ASCII, a domain with a dot, at most 64 signs before the ``@``."""
    return _EMAIL.fullmatch(text) is not None and len(text.partition("@")[0]) <= 64


def _field_fault(field: ProfileField, menus: Menus) -> str:
    rules = (
        ("field-name-invalid", _FIELD.fullmatch(field.name)),
        ("value-invalid", readable(field.value)),
        ("menu-value-unknown", field.kind != "menu" or field.value in ("", *menus.get(field.name, ()))),
        ("checkbox-invalid", field.kind != "checkbox" or field.value in ("", "0", "1")),
        ("date-invalid", field.kind != "date" or not field.value or _is_day(field.value)),
    )
    return next((code for code, kept in rules if not kept), "")


def _is_day(text: str) -> bool:
    if not _ISO_DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
