"""Who may use the console, and how it reaches the other services: the section ``console`` of ``bridge.yaml``."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

RoleName = Literal["viewer", "learning manager", "operator", "approver", "auditor"]

EVERY_TRUST = "*"

HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def _safe_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an address is written https://host/path, without a login")
    return url


def _secure_address(url: str) -> str:
    parts = urlsplit(_safe_address(url))
    if parts.scheme != "https" and parts.hostname not in HERE:
        raise ValueError("only https keeps a sign-in secret; plain http is for this machine itself")
    return url


def _without_slash(url: str) -> str:
    return url.rstrip("/")


Address = Annotated[str, AfterValidator(_safe_address), AfterValidator(_without_slash)]
SecureAddress = Annotated[str, AfterValidator(_secure_address), AfterValidator(_without_slash)]
Issuer = Annotated[str, AfterValidator(_secure_address)]
"""Kept as it is written: a slash at the end is part of a provider's name."""
Trust = Annotated[str, StringConstraints(pattern=r"^([0-9]{3,4}|\*)$")]
"""A trust's VPD, or ``*`` for every trust that the bridge serves."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grant(_Section):
    """What members of a group of the identity provider may do at a trust."""

    group: str = Field(min_length=1)
    trust: Trust
    roles: tuple[RoleName, ...] = Field(min_length=1)


class SignIn(_Section):
    """The identity provider that signs people in (OpenID Connect, authorization code with PKCE)."""

    issuer: Issuer
    """Must be what the provider says of itself, letter by letter."""
    client_id: str = Field(min_length=1)
    client_secret_file: Path | None = None
    scopes: tuple[str, ...] = ("openid", "profile")
    groups_claim: str = "groups"
    """The claim that lists a person's groups or roles."""
    person_claim: str = "sub"
    """The claim by which audits name a person: unique, and never given to another."""
    name_claim: str = "name"
    clock_skew_seconds: int = Field(default=60, ge=0, le=300)
    sign_out_everywhere: bool = True
    """Signing out of the console also asks the provider to end its session, where it offers that."""


class TokenGrant(_Section):
    """What a machine may do at a trust."""

    trust: Trust
    roles: tuple[RoleName, ...] = Field(min_length=1)


class ServiceToken(_Section):
    """A bearer token for a machine that uses the console's API."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]
    """What audits call the machine."""
    token_file: Path
    grants: tuple[TokenGrant, ...] = Field(min_length=1)


class SessionLimits(_Section):
    """When somebody has to sign in again."""

    idle_minutes: int = Field(default=30, ge=1, le=720)
    absolute_hours: int = Field(default=10, ge=1, le=24)


class ServiceAddresses(_Section):
    """Where the console reads from."""

    ingest: Address = "http://ingest:8000"
    people: Address = "http://people:8000"
    competency: Address = "http://competency:8000"
    outbound: Address = "http://outbound:8000"
    confirmations: Address = "http://confirmations:8000"


class ConsoleSettings(_Section):
    """The whole section. Without ``sign_in`` nobody can sign in; the API answers to tokens all the same."""

    address: SecureAddress | None = None
    """Where browsers reach the console, for example ``https://bridge.trust.example``."""
    sign_in: SignIn | None = None
    grants: tuple[Grant, ...] = ()
    tokens: tuple[ServiceToken, ...] = ()
    session: SessionLimits = SessionLimits()
    services: ServiceAddresses = ServiceAddresses()

    @model_validator(mode="after")
    def _sign_in_has_an_address(self) -> Self:
        if self.sign_in is not None and self.address is None:
            raise ValueError("'sign_in' needs 'address', to which the identity provider sends people back")
        return self

    @model_validator(mode="after")
    def _each_token_once(self) -> Self:
        names = [token.name for token in self.tokens]
        if len(set(names)) < len(names):
            raise ValueError("two tokens have the same name")
        return self

    def beside(self, folder: Path) -> Self:
        """Return the settings with relative paths read from ``folder``."""
        tokens = tuple(one.model_copy(update={"token_file": folder / one.token_file}) for one in self.tokens)
        sign_in = self.sign_in
        if sign_in is not None and sign_in.client_secret_file is not None:
            sign_in = sign_in.model_copy(update={"client_secret_file": folder / sign_in.client_secret_file})
        return self.model_copy(update={"tokens": tokens, "sign_in": sign_in})
