"""How values are written on pages: numbers, days and moments as the NHS's content guide writes them."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from shared import answer_words
from shared.clock import LONDON
from shared.codes import Code, CompletionCode, ConfirmationCode, LmsCode, MessageCode
from shared.esr.faults import FileCode, RecordCode

_KINDS: Final[tuple[type[Code], ...]] = (FileCode, RecordCode, LmsCode, MessageCode, ConfirmationCode, CompletionCode)
_CODES: Final[dict[str, Code]] = {one.value: one for kind in _KINDS for one in kind}


def number(value: int | str) -> str:
    """Write 12345 as 12,345; what is in words already stays as it is."""
    return value if isinstance(value, str) else f"{value:,}"


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


def of_completion(code: str) -> dict[str, str]:
    """Return what a completion's code means and what to do: a code may ask for something else of files we sent."""
    return {name: said.replace("`", "") for name, said in answer_words.about(code).items()}


def coded(service: str, name: str, value: str) -> str:
    """Return in words what a code in a service's rows says; empty where the value is no code that is known."""
    if name.rpartition(".")[2] not in CODED or value not in _CODES:
        return ""
    said = of_completion(value) if service in ("outbound", "confirmations") else {}
    told = said or {"meaning": meaning(value), "advice": advice(value)}
    return f"{told['meaning']}. {told['advice']}"


CODED: Final = frozenset({"code", "withheld_code", "reason"})
"""Names under which services keep codes."""

FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "number": number,
    "day": day,
    "known_day": known_day,
    "moment": moment,
    "plain": plain,
    "count": count,
    "meaning": meaning,
    "advice": advice,
    "of_completion": of_completion,
}
