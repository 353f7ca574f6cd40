"""What pages that read and act on other services have in common: how they ask and act, and how failures are told."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from services.console import store
from services.console.identity import staff_hash
from services.console.web.reads import ReadError, RefusedError
from services.console.web.site import PageError, Visit

LONGEST_WHY: Final = 1000
SAY_WHY: Final = "Say why, so that others can understand it later"


async def ask(visit: Visit, service: str, *path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON
    """Return what a service says. Raises PageError where it cannot, or has no such thing, RefusedError for a no."""
    try:
        found = await visit.site.reads.get(service, visit.vpd, *path, **params)
    except RefusedError:
        raise
    except ReadError:
        raise PageError(503, f"The service {service} does not answer. Try again in a moment.") from None
    if found is None:
        raise PageError(404, f"The service {service} has nothing of this for the trust.")
    return found


async def ask_if(visit: Visit, service: str, *path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON
    """Return what a service says; None when it cannot be asked, so that the rest of a page stays as it is."""
    try:
        return await visit.site.reads.get(service, visit.vpd, *path, **params)
    except ReadError:
        return None


async def act(visit: Visit, service: str, *path: str, deed: str, subject: str, said: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Have a service do something in the visitor's name, and write down who asked for what, why, and how it went.

    ``said`` holds ``why``. ``subject`` goes into the audit: ids only. Raises RefusedError when the service says no,
    PageError when nobody knows whether it was done.
    """
    try:
        done = await visit.site.reads.act(service, visit.vpd, *path, who=visit.caller.who, said=said)
    except RefusedError:
        await _note(visit, f"{deed} (refused)", subject, said)
        raise
    except ReadError:
        await _note(visit, f"{deed} (no answer)", subject, said)
        sentence = f"The service {service} does not answer. It may have done this: look before you ask for it again."
        raise PageError(503, sentence) from None
    await _note(visit, deed, subject, said)
    return done


async def _note(visit: Visit, deed: str, subject: str, said: Mapping[str, Any]) -> None:
    who, why = visit.caller.who, str(said.get("why", ""))
    await visit.site.sessions.write_down(visit.vpd, who, deed, subject=subject, why=why)


async def handles(visit: Visit) -> Callable[[str], str]:
    """Return a way to write people in addresses and audits: the keyed hash that dead letters are found by too."""
    async with visit.site.work.engine.begin() as connection:
        key = await store.staff_key(connection, visit.vpd)
    return lambda person_id: staff_hash(key, visit.vpd, person_id)


def why_of(visit: Visit) -> str:
    """Return the reason that the form gives, which may be empty."""
    return visit.form.get("why", "").strip()[:LONGEST_WHY]


def told(visit: Visit, name: str, longest: int = 255) -> str:
    """Return what the form says under a name."""
    return visit.form.get(name, "").strip()[:longest]


def number_of(text: str, most: int = 999_999) -> int:
    """Return a whole number as people write it; 0 for anything else."""
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    return min(int(text), most) if plain else 0
