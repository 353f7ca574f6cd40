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
    PERSON = auto()
    """See and hand out all that is held of one person, with a reason that is written down."""
    NAMES = auto()
    """See by name who lacks what, with a reason that is written down."""
    MEND = auto()
    """Edit, replay, assign, hold, annotate; send completions again, withdraw them, give them up.

    Also: say whether two records of ESR are one human."""
    DISCARD = auto()
    """Close a case without a replay, and take that back."""
    MATCH = auto()
    """Decide whose account in the LMS is whose, and take that back."""
    RELEASE = auto()
    """Let a run go that a guard holds, or refuse it."""
    DRAFT = auto()
    """Edit, check, preview and discard a draft of the mappings."""
    APPLY = auto()
    """Put drafted mappings into force, and go back to those before."""
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
        "learning manager": frozenset(
            {Right.SEE, Right.SETTINGS, Right.REVEAL, Right.PERSON, Right.NAMES, Right.MATCH, Right.DRAFT}
        ),
        "operator": frozenset(
            {Right.SEE, Right.SETTINGS, Right.REVEAL, Right.PERSON, Right.MEND, Right.DISCARD, Right.MATCH}
            | {Right.RELEASE}
        ),
        "approver": frozenset({Right.SEE, Right.SETTINGS, Right.APPROVE, Right.APPLY}),
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
        ("POST", "/v1/trusts/{vpd}/people/file"): Right.PERSON,
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
        ("GET", "/trusts/{vpd}/dead-letter-runs"): Right.SEE,
        ("POST", "/trusts/{vpd}/dead-letter-runs"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letter-runs/new"): Right.MEND,
        ("GET", "/trusts/{vpd}/dead-letter-runs/{number}"): Right.SEE,
        ("POST", "/trusts/{vpd}/dead-letter-runs/{number}/approve"): Right.APPROVE,
        ("POST", "/trusts/{vpd}/dead-letter-runs/{number}/start"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letter-runs/{number}/pause"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letter-runs/{number}/resume"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letter-runs/{number}/stop"): Right.MEND,
        ("POST", "/trusts/{vpd}/dead-letter-runs/{number}/undo"): Right.DISCARD,
        ("GET", "/trusts/{vpd}/audit"): Right.AUDIT,
        ("POST", "/trusts/{vpd}/audit"): Right.AUDIT,
        ("GET", "/trusts/{vpd}/audit/download"): Right.AUDIT,
        ("GET", "/trusts/{vpd}/compliance"): Right.SEE,
        ("GET", "/trusts/{vpd}/compliance/download"): Right.SEE,
        ("GET", "/trusts/{vpd}/compliance/people"): Right.SEE,
        ("POST", "/trusts/{vpd}/compliance/people"): Right.NAMES,
        ("GET", "/trusts/{vpd}/person"): Right.PERSON,
        ("POST", "/trusts/{vpd}/person"): Right.PERSON,
        ("POST", "/trusts/{vpd}/person/file"): Right.PERSON,
        ("GET", "/trusts/{vpd}/settings"): Right.SETTINGS,
        ("GET", "/trusts/{vpd}/mappings"): Right.SEE,
        ("GET", "/trusts/{vpd}/mappings/draft"): Right.SEE,
        ("POST", "/trusts/{vpd}/mappings/draft"): Right.DRAFT,
        ("GET", "/trusts/{vpd}/mappings/draft/lines/{line}"): Right.DRAFT,
        ("POST", "/trusts/{vpd}/mappings/draft/lines/{line}"): Right.DRAFT,
        ("POST", "/trusts/{vpd}/mappings/draft/lines/{line}/remove"): Right.DRAFT,
        ("GET", "/trusts/{vpd}/mappings/yaml"): Right.DRAFT,
        ("POST", "/trusts/{vpd}/mappings/yaml"): Right.DRAFT,
        ("GET", "/trusts/{vpd}/mappings/download"): Right.SEE,
        ("GET", "/trusts/{vpd}/mappings/preview"): Right.SEE,
        ("GET", "/trusts/{vpd}/mappings/versions/{version}"): Right.SEE,
        ("POST", "/trusts/{vpd}/mappings/apply"): Right.APPLY,
        ("POST", "/trusts/{vpd}/mappings/discard"): Right.DRAFT,
        ("POST", "/trusts/{vpd}/mappings/undo"): Right.APPLY,
        ("GET", "/trusts/{vpd}/guards"): Right.SEE,
        ("POST", "/trusts/{vpd}/guards/suspensions"): Right.RELEASE,
        ("POST", "/trusts/{vpd}/guards/files/{name}"): Right.RELEASE,
        ("GET", "/trusts/{vpd}/matches"): Right.SEE,
        ("POST", "/trusts/{vpd}/matches"): Right.SEE,
        ("GET", "/trusts/{vpd}/matches/{person}"): Right.SEE,
        ("POST", "/trusts/{vpd}/matches/{person}/reveal"): Right.REVEAL,
        ("POST", "/trusts/{vpd}/matches/{person}/decide"): Right.MATCH,
        ("GET", "/trusts/{vpd}/matches/{person}/undo"): Right.MATCH,
        ("POST", "/trusts/{vpd}/matches/{person}/undo"): Right.MATCH,
        ("GET", "/trusts/{vpd}/duplicates"): Right.MEND,
        ("POST", "/trusts/{vpd}/duplicates"): Right.MEND,
        ("POST", "/trusts/{vpd}/duplicates/pair"): Right.MEND,
        ("POST", "/trusts/{vpd}/duplicates/reveal"): Right.MEND,
        ("POST", "/trusts/{vpd}/duplicates/decide"): Right.MEND,
        ("GET", "/trusts/{vpd}/completions"): Right.SEE,
        ("POST", "/trusts/{vpd}/completions"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/items"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/refused"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/unmatched"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/cases"): Right.SEE,
        ("POST", "/trusts/{vpd}/completions/cases"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/files"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/files/{name}"): Right.SEE,
        ("GET", "/trusts/{vpd}/completions/references/{reference}"): Right.SEE,
        ("POST", "/trusts/{vpd}/completions/decide"): Right.MEND,
        ("POST", "/trusts/{vpd}/completions/write"): Right.MEND,
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
