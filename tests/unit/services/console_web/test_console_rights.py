"""Who may do what, as one table."""

import ast
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from services.console.web import rights
from services.console.web.demo import ACCOUNTS, DemoAccounts
from services.console.web.rights import API, BRIDGE_TOKEN_ROLES, PAGES, ROLES, Caller, Open, Right, granted
from shared.config import BridgeConfig, TrustConfig
from shared.console_settings import ConsoleSettings, RoleName, SignIn


def test_every_role_of_the_settings_stands_in_the_table_and_no_other() -> None:
    assert set(ROLES) == set(get_args(RoleName))


def test_a_viewer_sees_and_does_nothing_else() -> None:
    assert ROLES["viewer"] == {Right.SEE}


@pytest.mark.parametrize("role", [role for role in ROLES if role != "approver"])
def test_only_an_approver_approves(role: RoleName) -> None:
    assert Right.APPROVE in ROLES["approver"]
    assert Right.APPROVE not in ROLES[role]


def test_whoever_approves_or_audits_changes_nothing() -> None:
    for role in ("approver", "auditor"):
        assert not ROLES[role] & {Right.MEND, Right.DISCARD, Right.REVEAL, Right.MATCH, Right.RELEASE, Right.DRAFT}


def test_the_token_that_services_share_never_approves() -> None:
    assert Right.APPROVE not in {right for role in BRIDGE_TOKEN_ROLES for right in ROLES[role]}


def test_what_changes_something_asks_for_more_than_seeing() -> None:
    # searches, and turns of a page, that keep a staff number out of addresses
    searches = ("dead-letters", "completions", "completions/cases", "matches")
    looks_only = {("POST", f"/trusts/{{vpd}}/{path}") for path in searches}
    for (method, path), right in {**API, **PAGES}.items():
        if method != "GET" and (method, path) not in looks_only:
            assert right not in (Right.SEE, Right.SETTINGS), path


def test_only_the_way_in_and_what_is_about_no_trust_is_open_to_anybody() -> None:
    public = {path for (_, path), right in PAGES.items() if right is Open.PUBLIC}
    assert public == {
        "/static/{path:path}",
        "/sign-in",
        "/sign-in/start",
        "/sign-in/callback",
        "/signed-out",
        "/accessibility",
    }
    assert not any("{vpd}" in path for (_, path), right in PAGES.items() if isinstance(right, Open))


def test_a_role_at_one_trust_is_none_at_another() -> None:
    caller = Caller("a", "A", {"991": frozenset({"operator"})})
    assert caller.may("991", Right.MEND)
    assert not caller.rights("992")
    assert caller.trusts == ["991"]


def test_a_star_stands_for_the_trusts_that_are_served_and_for_no_other() -> None:
    found = granted([("*", ["viewer"]), ("991", ["operator"]), ("777", ["operator"])], ["991", "992"])
    assert found == {"991": {"viewer", "operator"}, "992": {"viewer"}}


def test_a_demonstration_has_an_account_for_each_role() -> None:
    accounts = DemoAccounts(BridgeConfig(trusts=(TrustConfig(vpd="991"),)))
    assert {roles[0] for roles in ACCOUNTS.values() if len(roles) == 1} == set(ROLES)
    caller = accounts.check("viewer", accounts.password)
    assert caller is not None
    assert caller.rights("991") == {Right.SEE}
    assert accounts.check("viewer", "wrong") is None
    assert accounts.check("nobody", accounts.password) is None


def test_local_accounts_are_made_by_the_demonstration_and_nowhere_else() -> None:
    root = Path(rights.__file__).parents[3]
    made = [
        path.relative_to(root).as_posix()
        for package in ("services", "shared", "esrbridge")
        for path in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "DemoAccounts"
    ]
    assert made == ["esrbridge/console.py"]


def sign_in(**more: str) -> SignIn:
    return SignIn(**{"issuer": "https://id.example", "client_id": "console"} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example", "https://user:x@id.example", "ftp://id.example", "id.example", "https://id.example?a"],
)
def test_an_issuer_that_would_not_keep_a_sign_in_secret_is_refused(issuer: str) -> None:
    with pytest.raises(ValidationError):
        sign_in(issuer=issuer)


def test_an_issuer_on_this_machine_may_be_plain() -> None:
    assert sign_in(issuer="http://127.0.0.1:4000/").issuer == "http://127.0.0.1:4000/"


def test_a_sign_in_without_the_consoles_own_address_is_refused() -> None:
    with pytest.raises(ValidationError, match="address"):
        ConsoleSettings(sign_in=sign_in())
