"""Whether an account that is in the LMS already is a person's. No I/O here.

Linked by itself is only what agrees in everything the trust asks for, and in one account alone. What agrees in part is
put to an operator. ESR's own matching took NI number and family name as the surest pair, and found every kind of
partial agreement in real data: twins, typing errors, changed names.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.outbound.lms.port import Candidate, Sought
from shared.account_settings import LinkSettings

Reason = Literal[
    "",
    "no-candidate",
    "key",
    "all-agree",
    "several-candidates",
    "ni-number-agrees-alone",
    "ni-number-differs",
    "ni-number-missing",
    "name-differs",
    "belongs-to-another",
    "username-taken",
    "email-taken",
]

_OURS: Final = re.compile(r"[0-9]{3,4}-\S+")
"""Idnumbers the bridge gave: trust and person ID."""


@dataclass(frozen=True, slots=True)
class Match:
    """new: no account is the person's. link: ``lms_id`` is. ask: an operator says which ``among`` these, or none."""

    verdict: Literal["new", "link", "ask"]
    reason: Reason
    lms_id: str = ""
    among: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Agreement:
    """What a candidate has in common with a person; None where one of them does not say."""

    ni_number: bool | None
    birth_date: bool | None
    last_name: bool
    first_name: bool


def decide(sought: Sought, first_name: str, candidates: Sequence[Candidate], settings: LinkSettings) -> Match:
    """Say which of the LMS's accounts is the person's.

    An account that carries the bridge's key of another person, of whichever trust, is never taken away from them.
    """
    for one in candidates:
        if one.idnumber == sought.idnumber:
            return Match("link", "key", one.lms_id)
    if settings.by == "nothing":
        return Match("new", "no-candidate")
    free = [one for one in candidates if not _OURS.fullmatch(one.idnumber)]
    if settings.by == "ni_number":
        return _by_ni_number(sought, first_name, free, settings)
    return _by_one_key(sought, [one for one in free if _same_key(sought, one, settings)])


def plain(name: str) -> str:
    """Return a name as it is compared: letters only, without case and accents."""
    split = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in split if letter.isalpha())


def plain_number(number: str) -> str:
    """Return an NI number or an employee number as it is compared: without blanks and case."""
    return re.sub(r"\s+", "", number).upper()


def _by_ni_number(sought: Sought, first_name: str, candidates: Sequence[Candidate], settings: LinkSettings) -> Match:
    agreed = [(one, _compare(sought, first_name, one, settings)) for one in candidates]
    whole = [one for one, how in agreed if how.ni_number and how.birth_date and how.last_name]
    doubtful = [(one, reason) for one, how in agreed if one not in whole and (reason := _doubt(how)) is not None]
    if len(whole) == 1 and not doubtful:
        return Match("link", "all-agree", whole[0].lms_id)
    among = tuple(one.lms_id for one in (*whole, *(one for one, _ in doubtful)))
    if len(among) > 1:
        return Match("ask", "several-candidates", among=among)
    return Match("ask", doubtful[0][1], among=among) if doubtful else Match("new", "no-candidate")


def _compare(sought: Sought, first_name: str, one: Candidate, settings: LinkSettings) -> _Agreement:
    ni_number = one.fields.get(settings.ni_number_field or "", "")
    birth_date = one.fields.get(settings.birth_date_field or "", "")
    return _Agreement(
        ni_number=_agree(plain_number(sought.ni_number), plain_number(ni_number)),
        birth_date=_agree(sought.birth_date, birth_date),
        last_name=plain(sought.last_name) == plain(one.last_name) != "",
        first_name=plain(first_name) == plain(one.first_name) != "",
    )


def _agree(ours: str, theirs: str) -> bool | None:
    return ours == theirs if ours and theirs else None


def _doubt(how: _Agreement) -> Reason | None:
    """Why somebody may be the same human although not everything agrees; None when it is somebody else.

    Two people with one family name and one birth date are no rarity in a trust of ten thousand, and twins share both:
    with another first name and another NI number they are others.
    """
    if how.ni_number:
        return "ni-number-agrees-alone"
    if how.birth_date is False:
        return None
    if how.ni_number is False:
        return "ni-number-differs" if how.birth_date and how.first_name and how.last_name else None
    alike = how.last_name or how.first_name if how.birth_date else how.last_name and how.first_name
    return "ni-number-missing" if alike else None


def _same_key(sought: Sought, one: Candidate, settings: LinkSettings) -> bool:
    if settings.by == "email":
        return sought.email.casefold() == one.email.casefold() != ""
    if settings.by == "directory":
        return sought.username.casefold() == one.username.casefold() != ""
    field = settings.employee_number_field
    theirs = one.fields.get(field, "") if field else one.idnumber
    return plain_number(sought.employee_number) == plain_number(theirs) != ""


def _by_one_key(sought: Sought, candidates: Sequence[Candidate]) -> Match:
    among = tuple(one.lms_id for one in candidates)
    if len(candidates) > 1:
        return Match("ask", "several-candidates", among=among)
    if not candidates:
        return Match("new", "no-candidate")
    same = plain(sought.last_name) == plain(candidates[0].last_name) != ""
    return Match("link", "all-agree", candidates[0].lms_id) if same else Match("ask", "name-differs", among=among)


def taken_by(sought: Sought, reason: Reason, candidates: Sequence[Candidate]) -> Match:
    """Say whose account has the user name or the address that was refused to the person."""
    among = tuple(
        one.lms_id
        for one in candidates
        if (sought.username.casefold() == one.username.casefold() != "" and reason == "username-taken")
        or (sought.email.casefold() == one.email.casefold() != "" and reason == "email-taken")
    )
    return Match("ask", reason, among=among or tuple(one.lms_id for one in candidates))
