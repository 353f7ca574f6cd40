"""Sign-in by OpenID Connect: authorization code with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9207).

Signatures and claims are checked by joserfc; only algorithms with a key pair are taken, so nobody can sign with what
everybody knows. Nothing that the provider says is put into an error's text.
"""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.console.web.rights import Caller, granted
from services.console.web.sessions import Begun
from shared.console_settings import ConsoleSettings, Grant, SignIn
from shared.errors import BridgeError, ConfigurationError

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
SECONDS: Final = 10.0
LONGEST_WHO: Final = 100


class SignInError(BridgeError):
    """A sign-in cannot be accepted."""

    code = "SIGN_IN"


class ProviderUnavailableError(BridgeError):
    """The identity provider does not answer as it should."""

    code = "SIGN_IN_UNAVAILABLE"
    retryable = True


@dataclass(frozen=True, slots=True)
class _Endpoints:
    """What the provider says of itself."""

    authorize: str
    token: str
    keys: str
    userinfo: str
    sign_out: str
    issuer_told: bool
    """Whether answers carry the issuer (RFC 9207)."""
    by_body: bool
    """Whether the client's secret has to stand in the body."""


class Provider:
    """An identity provider, asked over HTTP."""

    def __init__(
        self,
        settings: ConsoleSettings,
        secret: Callable[[], str],
        served: list[str],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take ``served``, the trusts of this bridge: ``*`` in a grant stands for them. ``secret`` is read anew.

        ``transport`` takes the network's place.
        """
        self._transport = transport
        if settings.sign_in is None or settings.address is None:
            raise ConfigurationError("'console.sign_in' and 'console.address' are needed to sign people in")
        self._settings: SignIn = settings.sign_in
        self._address = settings.address
        self._grants: tuple[Grant, ...] = settings.grants
        self._secret = secret
        self._served = served
        self._endpoints: _Endpoints | None = None
        self._keys: KeySet | None = None

    @property
    def callback(self) -> str:
        """Where the provider sends people back to; it has to know this address."""
        return f"{self._address}/sign-in/callback"

    @property
    def origin(self) -> str:
        """Where a form of ours may lead in the end: to the provider, when somebody signs out."""
        parts = urlsplit(self._settings.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    async def start(self, begun: Begun) -> str:
        """Return the provider's address to send somebody to. Raises ProviderUnavailableError."""
        endpoints = await self._discover()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self.callback,
            "scope": " ".join(self._settings.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoints.authorize}{'&' if '?' in endpoints.authorize else '?'}{urlencode(asked)}"

    async def finish(self, begun: Begun, answer: Mapping[str, str]) -> Caller:
        """Return who came back. Raises SignInError when they cannot be let in, ProviderUnavailableError."""
        endpoints = await self._discover()
        if not secrets.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise SignInError("the answer does not belong to this sign-in")
        issuer = answer.get("iss", self._settings.issuer if not endpoints.issuer_told else "")
        if issuer != self._settings.issuer:
            raise SignInError("the answer comes from another identity provider")
        if "error" in answer or not answer.get("code"):
            raise SignInError("the identity provider refused the sign-in")
        tokens = await self._redeem(endpoints, answer["code"], begun.verifier)
        claims = await self._check(endpoints, str(tokens.get("id_token", "")), begun.nonce)
        if self._settings.groups_claim not in claims and endpoints.userinfo:
            claims = await self._more(endpoints, str(tokens.get("access_token", "")), claims)
        return self._caller(claims)

    async def sign_out(self) -> str:
        """Return the provider's address that ends its own session; empty when it has none or is not asked to."""
        if not self._settings.sign_out_everywhere:
            return ""
        endpoints = await self._discover()
        if not endpoints.sign_out:
            return ""
        said = {
            "client_id": self._settings.client_id,
            "post_logout_redirect_uri": f"{self._address}/signed-out",
        }
        return f"{endpoints.sign_out}?{urlencode(said)}"

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        who = claims.get(self._settings.person_claim)
        if not isinstance(who, str) or not who.strip():
            raise SignInError("the identity provider does not say who this is")
        name = claims.get(self._settings.name_claim)
        said = claims.get(self._settings.groups_claim, [])
        groups = {said} if isinstance(said, str) else {one for one in said if isinstance(one, str)}
        roles = granted([(one.trust, one.roles) for one in self._grants if one.group in groups], self._served)
        return Caller(who[:LONGEST_WHO], name if isinstance(name, str) and name else who, roles)

    async def _discover(self) -> _Endpoints:
        if self._endpoints is None:
            said = await self._ask("GET", f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if said.get("issuer") != self._settings.issuer:
                raise ProviderUnavailableError("the identity provider calls itself otherwise than 'issuer' says")
            methods = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            self._endpoints = _Endpoints(
                authorize=_same_kind(said, "authorization_endpoint", self._settings.issuer),
                token=_same_kind(said, "token_endpoint", self._settings.issuer),
                keys=_same_kind(said, "jwks_uri", self._settings.issuer),
                userinfo=str(said.get("userinfo_endpoint") or ""),
                sign_out=str(said.get("end_session_endpoint") or ""),
                issuer_told=bool(said.get("authorization_response_iss_parameter_supported")),
                by_body="client_secret_basic" not in methods,
            )
        return self._endpoints

    async def _redeem(self, endpoints: _Endpoints, code: str, verifier: str) -> dict[str, Any]:
        said = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": verifier,
            "client_id": self._settings.client_id,
        }
        secret = self._secret()
        if secret and endpoints.by_body:
            said["client_secret"] = secret
        login = httpx.BasicAuth(self._settings.client_id, secret) if secret and not endpoints.by_body else None
        return await self._ask("POST", endpoints.token, data=said, auth=login)

    async def _check(self, endpoints: _Endpoints, token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that is sound, for us, of now and of this sign-in."""
        claims = await self._verified(endpoints, token)
        rules = jwt.JWTClaimsRegistry(
            leeway=self._settings.clock_skew_seconds,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            rules.validate(claims)
        except JoseError as error:
            raise SignInError(f"the identity provider's token is not acceptable ({type(error).__name__})") from None
        for_others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", "" if for_others else self._settings.client_id) != self._settings.client_id:
            raise SignInError("the identity provider's token was made for another application")
        return claims

    async def _verified(self, endpoints: _Endpoints, token: str) -> dict[str, Any]:
        """Check the signature; a key that is not known may have been made since the keys were fetched."""
        for fetch in (self._keys is None, True):
            if fetch:
                found = await self._ask("GET", endpoints.keys)
                try:
                    self._keys = KeySet.import_key_set({"keys": found["keys"]})
                except (JoseError, KeyError, TypeError, ValueError):
                    raise ProviderUnavailableError("the identity provider's keys cannot be read") from None
            if self._keys is not None:
                try:
                    return dict(jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims)
                except (JoseError, ValueError):
                    continue
        raise SignInError("the identity provider's token is not signed with a key of its own")

    async def _more(self, endpoints: _Endpoints, token: str, claims: dict[str, Any]) -> dict[str, Any]:
        """Ask for claims that do not stand in the token; what the token says, counts."""
        said = await self._ask("GET", endpoints.userinfo, headers={"Authorization": f"Bearer {token}"})
        if said.get("sub") != claims["sub"]:
            raise SignInError("the identity provider tells of somebody else")
        return said | claims

    async def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's own
        try:
            async with httpx.AsyncClient(timeout=SECONDS, transport=self._transport) as client:
                answer = await client.request(method, url, **options)
                said = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailableError(f"the identity provider cannot be asked ({type(error).__name__})") from None
        if answer.status_code in (400, 401) and method == "POST":
            raise SignInError("the identity provider did not take the sign-in's code")
        if not isinstance(said, dict):
            raise ProviderUnavailableError(f"the identity provider answered {answer.status_code}")
        return said


def _same_kind(said: Mapping[str, Any], name: str, issuer: str) -> str:
    """Return an endpoint. Where the issuer is reached by https, so is it."""
    address = said.get(name)
    if not isinstance(address, str) or urlsplit(address).scheme not in {"https", urlsplit(issuer).scheme}:
        raise ProviderUnavailableError(f"the identity provider names no usable {name}")
    return address
