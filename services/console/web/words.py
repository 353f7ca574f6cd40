"""How values are written on pages: numbers, days and moments as the NHS's content guide writes them."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from shared.clock import LONDON
from shared.codes import Code, ConfirmationCode, LmsCode, MessageCode
from shared.esr.faults import FileCode, RecordCode

_CODES: Final[dict[str, Code]] = {
    one.value: one for kind in (FileCode, RecordCode, LmsCode, MessageCode, ConfirmationCode) for one in kind
}


def number(value: int) -> str:
    """Write 12345 as 12,345."""
    return f"{value:,}"


def day(value: str | date) -> str:
    """Write 2026-03-04 as 4 March 2026."""
    one = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{one.day} {one:%B %Y}"


def known_day(value: str) -> str:
    """Write a day as another system gave it: in words where it is one, as it came where it is not."""
    try:
        return day(value[:10]) if value else "not said"
    except ValueError:
        return value


def moment(value: str | datetime | None) -> str:
    """Write a moment as 4 March 2026, 6:30am, in UK time."""
    if value is None:
        return "not yet"
    one = datetime.fromisoformat(value) if isinstance(value, str) else value
    local = one.astimezone(LONDON)
    clock = f"{local.hour % 12 or 12}:{local:%M}{'am' if local.hour < 12 else 'pm'}"
    return f"{day(local.date())}, {clock}"


def plain(value: str) -> str:
    """Write dead_lettered as Dead lettered."""
    text = value.replace("_", " ").replace("-", " ")
    return text[:1].upper() + text[1:]


def count(value: int, one: str, many: str = "") -> str:
    """Write 1 file, 2 files."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def meaning(code: str) -> str:
    """Return what a code means, in a sentence; empty when it is not ours."""
    return _CODES[code].meaning if code in _CODES else ""


def advice(code: str) -> str:
    """Return what to do about a code; empty when it is not ours."""
    return _CODES[code].advice if code in _CODES else ""


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "number": number,
    "day": day,
    "known_day": known_day,
    "moment": moment,
    "plain": plain,
    "count": count,
    "meaning": meaning,
    "advice": advice,
}
