"""Local accounts, for a demonstration on one's own machine. Nothing in ``bridge.yaml`` can turn them on."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from services.console.web.rights import ALL_ROLES, Caller
from shared.config import BridgeConfig
from shared.console_settings import RoleName

ACCOUNTS: Final[dict[str, tuple[RoleName, ...]]] = {
    "operator": ("operator",),
    "approver": ("approver",),
    "learning-manager": ("learning manager",),
    "auditor": ("auditor",),
    "viewer": ("viewer",),
    "everything": ALL_ROLES,
}
"""One account for each role, at every trust of the demonstration."""


@dataclass(frozen=True, slots=True)
class DemoAccounts:
    """Invented people who share one password, made anew at each start."""

    config: BridgeConfig
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))

    def check(self, account: str, password: str) -> Caller | None:
        """Return who signs in, or None."""
        right = secrets.compare_digest(password.encode(), self.password.encode())
        roles = ACCOUNTS.get(account)
        if roles is None or not right:
            return None
        return Caller(f"demo:{account}", account, {one.vpd: frozenset(roles) for one in self.config.trusts})
