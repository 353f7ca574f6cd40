"""Looks for people among the accounts of a site, by what an account shows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from services.outbound.lms.port import Candidate, Sought

Found = defaultdict[str, list[Candidate]]

LEAST: Final = 3
"""Shortest value of a profile field people are found by: ``1`` of a checkbox is nobody's number."""


def matches(sought: Sequence[Sought], accounts: Iterable[Candidate]) -> list[list[Candidate]]:
    """Return, for each person, accounts that share a key, an address, a number, or last name and birth date.

    Upper and lower case are alike here, other than to the site; so are blanks within numbers.
    """
    by_key: Found = defaultdict(list)
    by_value: Found = defaultdict(list)
    for account in accounts:
        for key in {account.idnumber, account.username.lower(), account.email.lower()} - {""}:
            by_key[key].append(account)
        for value in {_plain(value) for value in account.fields.values() if len(value) >= LEAST}:
            by_value[value].append(account)
    return [_of(person, by_key, by_value) for person in sought]


def _of(person: Sought, by_key: Found, by_value: Found) -> list[Candidate]:
    found: list[Candidate] = []
    keys = [person.idnumber, person.username.lower(), person.email.lower(), person.employee_number.lower()]
    for key in filter(None, keys):
        found += by_key.get(key, [])
    for number in filter(None, (person.employee_number, person.ni_number)):
        found += by_value.get(_plain(number), [])
    if person.birth_date and person.last_name:
        born = by_value.get(_plain(person.birth_date), [])
        found += [one for one in born if one.last_name.casefold() == person.last_name.casefold()]
    return list({one.lms_id: one for one in found}.values())


def _plain(value: str) -> str:
    return value.replace(" ", "").casefold()
