"""Who may do what, as data. No I/O here.

``ROLES`` says what a role may do at a trust, ``API`` and ``PAGES`` what each route asks for. A route that stands in
neither is closed to everybody, and a page without a row cannot even be built.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final, get_args

from shared.console_settings import RoleName


class Right(Enum):
    """What somebody may be entitled to at a trust."""

    SEE = auto()
    """See what happened: nights, files, dead letters. Personal values are masked."""
    SETTINGS = auto()
    """See how a trust is configured. Secrets are never shown."""
    REVEAL = auto()
    """See a personal value, one at a time, with a reason that is written down."""
    MEND = auto()
    """Edit, replay, assign, hold, annotate."""
    DISCARD = auto()
    """Close a case without a replay, and take that back."""
    APPROVE = auto()
    """Agree to what another has proposed."""
    AUDIT = auto()
    """See who did what."""


class Open(Enum):
    """What asks for no right at a trust."""

    PUBLIC = auto()
    """Anybody, signed in or not."""
    SIGNED_IN = auto()
    """Anybody who is signed in."""


ROLES: Final[Mapping[RoleName, frozenset[Right]]] = MappingProxyType(
    {
        "viewer": frozenset({Right.SEE}),
        "learning manager": frozenset({Right.SEE, Right.SETTINGS, Right.REVEAL}),
        "operator": frozenset({Right.SEE, Right.SETTINGS, Right.REVEAL, Right.MEND, Right.DISCARD}),
        "approver": frozenset({Right.SEE, Right.SETTINGS, Right.APPROVE}),
        "auditor": frozenset({Right.SEE, Right.SETTINGS, Right.AUDIT}),
    }
)

ALL_ROLES: Final[tuple[RoleName, ...]] = get_args(RoleName)

BRIDGE_TOKEN_ROLES: Final[tuple[RoleName, ...]] = ("operator", "auditor")
"""What the one token may do that services and the command line share: never approve, as it tells nobody apart."""

_LETTERS: Final = "/v1/trusts/{vpd}/dead-letters"
_LETTER: Final = f"{_LETTERS}/{{letter}}"
_RUNS: Final = "/v1/trusts/{vpd}/dead-letter-runs"
_RUN: Final = f"{_RUNS}/{{number}}"

API: Final[Mapping[tuple[str, str], Right]] = MappingProxyType(
    {
        ("GET", _LETTERS): Right.SEE,
        ("GET", f"{_LETTERS}/groups"): Right.SEE,
        ("GET", f"{_LETTERS}/alarm"): Right.SEE,
        ("GET", f"{_LETTERS}/audit"): Right.AUDIT,
        ("POST", f"{_LETTERS}/assign"): Right.MEND,
        ("POST", f"{_LETTERS}/hold"): Right.MEND,
        ("POST", f"{_LETTERS}/note"): Right.MEND,
        ("POST", f"{_LETTERS}/link"): Right.MEND,
        ("GET", _LETTER): Right.SEE,
        ("GET", f"{_LETTER}/edits"): Right.SEE,
        ("POST", f"{_LETTER}/replay"): Right.MEND,
        ("POST", f"{_LETTER}/edit"): Right.MEND,
        ("POST", f"{_LETTER}/edit-and-replay"): Right.MEND,
        ("POST", f"{_LETTER}/discard"): Right.DISCARD,
        ("POST", f"{_LETTER}/undo"): Right.DISCARD,
        ("GET", _RUNS): Right.SEE,
        ("POST", _RUNS): Right.MEND,
        ("GET", _RUN): Right.SEE,
        ("GET", f"{_RUN}/letters"): Right.SEE,
        ("POST", f"{_RUN}/approve"): Right.APPROVE,
        ("POST", f"{_RUN}/start"): Right.MEND,
        ("POST", f"{_RUN}/pause"): Right.MEND,
        ("POST", f"{_RUN}/resume"): Right.MEND,
        ("POST", f"{_RUN}/stop"): Right.MEND,
        ("POST", f"{_RUN}/undo"): Right.DISCARD,
    }
)
"""Routes of the API, by method and path."""

PAGES: Final[Mapping[tuple[str, str], Right | Open]] = MappingProxyType(
    {
        ("GET", "/static/{path:path}"): Open.PUBLIC,
        ("GET", "/sign-in"): Open.PUBLIC,
        ("POST", "/sign-in"): Open.PUBLIC,
        ("GET", "/sign-in/start"): Open.PUBLIC,
        ("GET", "/sign-in/callback"): Open.PUBLIC,
        ("GET", "/signed-out"): Open.PUBLIC,
        ("GET", "/accessibility"): Open.PUBLIC,
        ("POST", "/sign-out"): Open.SIGNED_IN,
        ("GET", "/"): Open.SIGNED_IN,
        ("GET", "/switch"): Open.SIGNED_IN,
        ("GET", "/trusts/{vpd}/tonight"): Right.SEE,
        ("GET", "/trusts/{vpd}/files"): Right.SEE,
        ("GET", "/trusts/{vpd}/files/{name}"): Right.SEE,
        ("GET", "/trusts/{vpd}/dead-letters"): Right.SEE,
        ("POST", "/trusts/{vpd}/dead-letters"): Right.SEE,
        ("GET", "/trusts/{vpd}/dead-letters/{letter}"): Right.SEE,
        ("POST", "/trusts/{vpd}/dead-letters/{letter}/reveal"): Right.REVEAL,
        ("POST", "/trusts/{vpd}/dead-letters/{letter}/edit"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letters/{letter}/replay"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letters/{letter}/discard"): Right.DISCARD,
        ("POST", "/trusts/{vpd}/dead-letters/{letter}/undo"): Right.DISCARD,
        ("POST", "/trusts/{vpd}/dead-letters/{letter}/look-after"): Right.MEND,
        ("GET", "/trusts/{vpd}/settings"): Right.SETTINGS,
    }
)
"""Pages, by method and path."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody, or some machine, that was recognised."""

    who: str
    """As audits name them."""
    name: str
    """As pages greet them."""
    roles: Mapping[str, frozenset[RoleName]]
    """By trust. A trust that does not stand here does not exist for them."""

    def rights(self, vpd: str) -> frozenset[Right]:
        """Return what they may do at a trust."""
        return frozenset(right for role in self.roles.get(vpd, ()) for right in ROLES[role])

    def may(self, vpd: str, right: Right) -> bool:
        """Whether they may do this at this trust."""
        return right in self.rights(vpd)

    @property
    def trusts(self) -> list[str]:
        """The trusts where they have a role."""
        return sorted(vpd for vpd, roles in self.roles.items() if roles)


def granted(
    grants: Iterable[tuple[str, Iterable[RoleName]]], every_trust: Iterable[str]
) -> dict[str, frozenset[RoleName]]:
    """Return roles by trust. ``*`` stands for every trust served; trusts that are not served give nothing."""
    served = list(every_trust)
    found: dict[str, set[RoleName]] = {}
    for trust, roles in grants:
        for vpd in served if trust == "*" else [trust]:
            if vpd in served:
                found.setdefault(vpd, set()).update(roles)
    return {vpd: frozenset(roles) for vpd, roles in found.items()}
