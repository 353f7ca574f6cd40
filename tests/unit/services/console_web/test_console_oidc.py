"""A sign-in is taken only when everything about it is right; the provider here says whatever the test wants."""

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from services.console.web.oidc import Provider, ProviderUnavailableError, SignInError
from services.console.web.sessions import Begun
from shared.console_settings import ConsoleSettings, Grant, SignIn

ISSUER = "https://id.example/realm"
BEGUN = Begun("the state", "the nonce", "a verifier that is long enough to be one of PKCE's", "/")
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "two"})
ANSWER = {"code": "a code", "state": "the state", "iss": ISSUER}


class Idp:
    """An identity provider in a few lines. ``claims`` is what its ID tokens say."""

    def __init__(self) -> None:
        now = int(time.time())
        self.claims: dict[str, Any] = {
            "iss": ISSUER, "aud": "console", "sub": "person-1", "name": "A Person", "nonce": "the nonce",
            "iat": now, "exp": now + 300, "groups": ["operators"],
        }  # fmt: skip
        self.keys = [KEY]
        self.sign_with: Any = KEY
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.userinfo: dict[str, Any] = {"sub": "person-1", "groups": ["operators"]}
        self.discovery: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "end_session_endpoint": f"{ISSUER}/end",
            "authorization_response_iss_parameter_supported": True,
        }
        self.token = ""
        self.asked: list[httpx.Request] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status != 200:
            return httpx.Response(self.status)
        said = {
            "/realm/.well-known/openid-configuration": self.discovery,
            "/realm/keys": {"keys": [key.as_dict(private=False) for key in self.keys]},
            "/realm/userinfo": self.userinfo,
            "/realm/token": {"id_token": self.token or self.signed(), "access_token": "an access token"},
        }
        return httpx.Response(200, json=said[request.url.path])

    def signed(self) -> str:
        return jwt.encode(self.header, self.claims, self.sign_with, algorithms=[self.header["alg"]])


def provider(idp: Idp, **more: Any) -> Provider:
    settings = ConsoleSettings(
        address="https://console.example",
        sign_in=SignIn(issuer=ISSUER, client_id="console", **more),
        grants=(Grant(group="operators", trust="991", roles=("operator",)),),
    )
    return Provider(settings, lambda: "the secret", ["991", "992"], httpx.MockTransport(idp))


async def test_somebody_who_comes_back_as_they_should_is_let_in_with_the_roles_of_their_groups() -> None:
    idp = Idp()
    caller = await provider(idp).finish(BEGUN, ANSWER)
    assert (caller.who, caller.name, dict(caller.roles)) == ("person-1", "A Person", {"991": frozenset({"operator"})})
    (redeemed,) = [one for one in idp.asked if one.url.path == "/realm/token"]
    said = parse_qs(redeemed.content.decode())
    assert said["code_verifier"] == [BEGUN.verifier]
    assert said["redirect_uri"] == ["https://console.example/sign-in/callback"]
    assert redeemed.headers["authorization"] == "Basic " + base64.b64encode(b"console:the secret").decode()
    assert b"the+secret" not in redeemed.content


async def test_somebody_is_sent_out_with_a_challenge_a_state_and_a_nonce() -> None:
    said = parse_qs(urlsplit(await provider(Idp()).start(BEGUN)).query)
    assert (said["state"], said["nonce"]) == (["the state"], ["the nonce"])
    assert said["code_challenge_method"] == ["S256"]
    assert BEGUN.verifier not in str(said)
    assert said["response_type"] == ["code"]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another application"},
        {"aud": ["another application"]},
        {"aud": ["console", "another"]},
        {"aud": ["console", "another"], "azp": "another"},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": ""},
    ],
)
async def test_a_token_with_a_wrong_claim_lets_nobody_in(claims: dict[str, Any]) -> None:
    idp = Idp()
    idp.claims = {name: value for name, value in (idp.claims | claims).items() if value is not None}
    with pytest.raises(SignInError):
        await provider(idp).finish(BEGUN, ANSWER)


async def test_clocks_may_differ_a_little_and_no_more() -> None:
    idp = Idp()
    idp.claims["exp"] = int(time.time()) - 30
    assert (await provider(idp).finish(BEGUN, ANSWER)).who == "person-1"
    with pytest.raises(SignInError):
        await provider(idp, clock_skew_seconds=0).finish(BEGUN, ANSWER)


async def test_a_token_may_be_for_several_when_it_was_made_for_us() -> None:
    idp = Idp()
    idp.claims |= {"aud": ["console", "another"], "azp": "console"}
    assert (await provider(idp).finish(BEGUN, ANSWER)).who == "person-1"


def unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


async def test_a_token_without_a_signature_lets_nobody_in() -> None:
    idp = Idp()
    idp.token = unsigned(idp.claims)
    with pytest.raises(SignInError):
        await provider(idp).finish(BEGUN, ANSWER)


@pytest.mark.parametrize("secret", [b"the secret", KEY.as_pem(private=False)])
async def test_a_token_signed_with_what_others_know_lets_nobody_in(secret: bytes) -> None:
    idp = Idp()
    idp.header = {"alg": "HS256", "kid": "one"}
    idp.sign_with = OctKey.import_key(secret.hex())
    with pytest.raises(SignInError):
        await provider(idp).finish(BEGUN, ANSWER)


async def test_a_token_signed_with_another_key_lets_nobody_in() -> None:
    idp = Idp()
    idp.sign_with = OTHER
    with pytest.raises(SignInError):
        await provider(idp).finish(BEGUN, ANSWER)


@pytest.mark.parametrize("token", ["", "x", "x.y.z", "....", "é"])
async def test_what_is_no_token_lets_nobody_in(token: str) -> None:
    idp = Idp()
    idp.token = token or " "
    with pytest.raises(SignInError):
        await provider(idp).finish(BEGUN, ANSWER)


async def test_a_key_that_is_new_is_fetched_when_it_is_first_seen() -> None:
    idp = Idp()
    one = provider(idp)
    await one.finish(BEGUN, ANSWER)
    idp.keys, idp.sign_with, idp.header = [OTHER], OTHER, {"alg": "RS256", "kid": "two"}
    assert (await one.finish(BEGUN, ANSWER)).who == "person-1"


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER | {"state": "another"},
        {"code": "a code", "iss": ISSUER},
        ANSWER | {"iss": "https://evil.example"},
        {"code": "a code", "state": "the state"},
        ANSWER | {"error": "access_denied"},
        {"state": "the state", "iss": ISSUER},
    ],
)
async def test_an_answer_that_is_not_to_this_sign_in_lets_nobody_in(answer: dict[str, str]) -> None:
    with pytest.raises(SignInError):
        await provider(Idp()).finish(BEGUN, answer)


async def test_groups_that_are_not_in_the_token_are_asked_for() -> None:
    idp = Idp()
    del idp.claims["groups"]
    assert dict((await provider(idp).finish(BEGUN, ANSWER)).roles) == {"991": {"operator"}}
    idp.userinfo["sub"] = "somebody else"
    with pytest.raises(SignInError):
        await provider(idp).finish(BEGUN, ANSWER)


@pytest.mark.parametrize("groups", [[], ["others"], "others", [["operators"]], [7]])
async def test_without_a_group_of_ours_there_is_no_role(groups: Any) -> None:
    idp = Idp()
    idp.claims["groups"] = groups
    assert (await provider(idp).finish(BEGUN, ANSWER)).trusts == []


async def test_a_provider_that_calls_itself_otherwise_is_not_used() -> None:
    idp = Idp()
    idp.discovery["issuer"] = "https://evil.example"
    with pytest.raises(ProviderUnavailableError):
        await provider(idp).start(BEGUN)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("address", ["http://id.example/x", "javascript:alert(1)", None])
async def test_an_endpoint_that_would_not_keep_a_secret_is_not_used(name: str, address: str | None) -> None:
    idp = Idp()
    idp.discovery[name] = address
    with pytest.raises(ProviderUnavailableError):
        await provider(idp).start(BEGUN)


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_a_provider_that_is_away_is_said_to_be(status: int) -> None:
    idp = Idp()
    idp.status = status
    with pytest.raises(ProviderUnavailableError):
        await provider(idp).start(BEGUN)


async def test_signing_out_ends_at_the_provider_where_that_is_wanted() -> None:
    idp = Idp()
    target = await provider(idp).sign_out()
    assert target.startswith(f"{ISSUER}/end?client_id=console&post_logout_redirect_uri=")
    assert await provider(idp, sign_out_everywhere=False).sign_out() == ""
    del idp.discovery["end_session_endpoint"]
    assert await provider(idp).sign_out() == ""
