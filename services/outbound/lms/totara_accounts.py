"""Accounts as documents for Totara's API, and whether an answer shows them as they were sent."""

from collections.abc import Mapping
from typing import Any, Final

from services.outbound.lms.port import Account, Answer, Candidate, ProfileField
from services.outbound.lms.totara_call import Document
from services.outbound.lms.totara_index import USER
from services.outbound.lms.totara_replies import fields, lacks

APPLIED: Final = Answer("applied")

SHIFTED: Final = "date-fields-shift"

_RESULT: Final = {"user": USER}

CREATE: Final = (
    f"mutation($input: core_user_create_user_input!) {{ core_user_create_user(input: $input) {{ {fields(_RESULT)} }} }}"
)
UPDATE: Final = (
    "mutation($target: core_user_user_reference!, $input: core_user_update_user_input!) "
    f"{{ core_user_update_user(target_user: $target, input: $input) {{ {fields(_RESULT)} }} }}"
)


def creation(account: Account) -> Document:
    """Return the document that makes an account. Totara makes up a password and sends it to the person."""
    given = {
        "idnumber": account.idnumber,
        "auth": account.auth,
        "generate_password": True,
        "suspended": account.suspended,
        "custom_fields": _custom([one for one in account.fields if one.value]),
    }
    return {"query": CREATE, "variables": {"input": _names(account) | given}}


def change(account: Account, held: Candidate) -> Document:
    """Return the document that brings an account to these values.

    ``auth`` is left as it is: those of single sign-on cannot be set, and accounts that have one can be changed. Nor is
    an account opened that somebody suspended.
    """
    given: dict[str, Any] = {"custom_fields": _custom(account.fields)}
    if account.suspended:
        given["suspended"] = True
    return edit(held, _names(account) | given)


def edit(held: Candidate, values: Mapping[str, Any]) -> Document:
    """Return the document that changes some values of an account, if it is still the one we know."""
    target = {"id": held.lms_id}
    if held.idnumber:
        target["idnumber"] = held.idnumber
    return {"query": UPDATE, "variables": {"target": target, "input": dict(values)}}


def user_of(data: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the user in the answer to a mutation, None where something of them is missing."""
    for result in (data or {}).values():
        user = result.get("user") if isinstance(result, dict) else None
        if isinstance(user, dict) and not lacks(user, USER):
            return user
    return None


def kept(account: Account, user: Mapping[str, Any], shown: Candidate) -> Answer:
    """Return whether a user is shown as sent. Addresses are hidden as a rule, so an absent one tells nothing."""
    pairs = (
        (account.idnumber, shown.idnumber),
        (account.username, shown.username),
        (account.first_name, shown.first_name),
        (account.last_name, shown.last_name),
        (account.middle_names, user["middlename"] or ""),
        (account.email.lower(), shown.email.lower() or account.email.lower()),
    )
    if any(sent != seen for sent, seen in pairs) or (account.suspended and not shown.suspended):
        return Answer("rejected", "not-kept")
    for one in account.fields:
        seen = shown.fields.get(one.name, "")
        if seen != one.value and not (one.kind == "checkbox" and (one.value or "0") == (seen or "0")):
            return Answer("unknown", SHIFTED) if one.kind == "date" else Answer("rejected", "not-kept")
    return APPLIED


def _names(account: Account) -> dict[str, Any]:
    return {
        "username": account.username,
        "firstname": account.first_name,
        "lastname": account.last_name,
        "middlename": account.middle_names,
        "email": account.email,
    }


def _custom(wanted: tuple[ProfileField, ...] | list[ProfileField]) -> list[dict[str, Any]]:
    return [
        {"shortname": one.name, "data": one.value} if one.value else {"shortname": one.name, "delete": True}
        for one in wanted
    ]
