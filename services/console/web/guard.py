"""Who may use the console's API: machines with a token, by the same rights as people on pages."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.console.web.rights import API, BRIDGE_TOKEN_ROLES, ROLES, Caller, Right, granted
from shared.console_settings import ConsoleSettings
from shared.errors import ConfigurationError

Guard = Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[None]]

_BRIDGE_RIGHTS: Final = frozenset(right for role in BRIDGE_TOKEN_ROLES for right in ROLES[role])


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with a token of its own."""

    token: str
    caller: Caller


def machines(settings: ConsoleSettings, served: Sequence[str]) -> list[Machine]:
    """Return the machines of the settings. Raises ConfigurationError when a token cannot be read or is too short."""
    found = []
    for one in settings.tokens:
        try:
            token = one.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"'console.tokens': {one.token_file}: {error.strerror}") from None
        if len(token) < 20:
            raise ConfigurationError(f"'console.tokens': {one.token_file} holds fewer than 20 characters")
        roles = granted([(grant.trust, grant.roles) for grant in one.grants], served)
        found.append(Machine(token, Caller(one.name, one.name, roles)))
    return found


def api_guard(bridge_token: str, known: Sequence[Machine]) -> Guard:
    """Return the check that every route of the API depends on.

    ``bridge_token`` is the one token that services share. Whoever has it may say in whose name it acts, so it may
    do no more than ``BRIDGE_TOKEN_ROLES``. A machine acts in its own name.
    """
    bearer = HTTPBearer(auto_error=False)

    async def check(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        """Deny by default: no token, no right, no route in the table."""
        token = given.credentials if given is not None else ""
        caller = next((one.caller for one in known if _same(token, one.token)), None)
        if caller is None and not _same(token, bridge_token):
            raise HTTPException(401, "a valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
        right = API.get((request.method, getattr(request.scope.get("route"), "path", "")))
        if not _entitled(right, caller, str(request.path_params.get("vpd", ""))):
            raise HTTPException(403, "this token is not entitled to that")
        if caller is not None and request.method != "GET":
            await _in_own_name(request, caller)

    return check


def _entitled(right: Right | None, caller: Caller | None, vpd: str) -> bool:
    if right is None:
        return False
    return right in _BRIDGE_RIGHTS if caller is None else caller.may(vpd, right)


async def _in_own_name(request: Request, caller: Caller) -> None:
    try:
        said = await request.json()
    except ValueError:
        return  # the route itself says what is wrong with it
    if isinstance(said, dict) and said.get("who", caller.who) != caller.who:
        raise HTTPException(403, f"this token acts as {caller.who} and as nobody else")


def _same(given: str, wanted: str) -> bool:
    return bool(wanted) and secrets.compare_digest(given.encode(), wanted.encode())
