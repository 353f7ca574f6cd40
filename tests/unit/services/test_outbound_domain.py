"""What should be in the LMS, and the steps that bring it there."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.domain import Step, next_step
from services.outbound.lms.port import Account
from services.outbound.wanted import idnumber, wanted_account
from shared.account_settings import AccountPolicy
from shared.events import Person, PersonState

DAY = date(2026, 3, 3)
POLICY = AccountPolicy()
ZOE = Person(
    person_id="9000001",
    state="employee",
    employee_number="2990 0012A",
    first_name="Zoë",
    last_name="O'Placeholder",
    email="Zoe@Trust.example",
)
ACCOUNT = wanted_account("999", ZOE, POLICY, DAY)


def person(state: PersonState = "employee", *, number: str = "2990 0012A", email: str = "Zoe@Trust.example") -> Person:
    return Person(
        person_id="9000001",
        state=state,
        employee_number=number,
        first_name="Zoë",
        last_name="O'Placeholder",
        email=email,
    )


def wanted(said: Person, policy: AccountPolicy = POLICY) -> Account:
    return wanted_account("999", said, policy, DAY)


def test_an_account_is_keyed_by_trust_and_person() -> None:
    assert idnumber("999", "9000001") == "999-9000001"
    assert idnumber("998", "9000001") != idnumber("999", "9000001")


def test_an_employee_has_a_permanent_account_with_their_own_names() -> None:
    assert wanted(person()) == Account(
        idnumber="999-9000001",
        username="29900012a",
        first_name="Zoë",
        last_name="O'Placeholder",
        email="Zoe@Trust.example",
        account_type="PERM",
    )


def test_an_applicant_has_a_temporary_account_under_the_person_id() -> None:
    account = wanted(person("applicant"))
    assert (account.account_type, account.username, account.suspended) == ("TEMP", "999-9000001", False)


def test_hiring_keeps_the_key_of_the_account() -> None:
    assert wanted(person("applicant")).idnumber == wanted(person()).idnumber


@pytest.mark.parametrize(
    ("source", "username"),
    [("employee_number", "29900012a"), ("email", "zoe@trust.example"), ("person_id", "999-9000001")],
)
def test_the_trust_decides_what_the_user_name_is_taken_from(source: str, username: str) -> None:
    policy = AccountPolicy.model_validate({"username": source})
    assert wanted(person(), policy).username == username


@pytest.mark.parametrize("source", ["employee_number", "email"])
def test_a_user_name_falls_back_to_the_person_id(source: str) -> None:
    policy = AccountPolicy.model_validate({"username": source})
    assert wanted(person(number="", email=""), policy).username == "999-9000001"


def test_someone_without_an_address_gets_one_that_can_never_be_delivered_to() -> None:
    assert wanted(person(email="")).email == "999-9000001@no-mail.invalid"


@pytest.mark.parametrize(
    ("state", "suspended"),
    [("applicant", False), ("employee", False), ("leaver", True), ("unknown", True), ("out_of_scope", True)],
)
def test_accounts_of_those_who_are_gone_are_suspended(state: PersonState, suspended: bool) -> None:
    assert wanted(person(state)).suspended is suspended


def test_a_trust_may_keep_leavers_accounts_open_but_not_those_of_people_out_of_scope() -> None:
    keep = AccountPolicy(suspend_on_termination=False)
    assert not wanted(person("leaver"), keep).suspended
    assert wanted(person("out_of_scope"), keep).suspended


def test_an_account_that_is_missing_is_made() -> None:
    assert next_step(ACCOUNT, None) == Step("ensure_account", ACCOUNT)


def test_an_account_is_never_made_only_to_be_suspended() -> None:
    assert next_step(replace(ACCOUNT, suspended=True), None) is None


def test_an_account_as_it_should_be_needs_nothing() -> None:
    assert next_step(ACCOUNT, ACCOUNT) is None


def test_changed_details_are_brought_over() -> None:
    assert next_step(ACCOUNT, replace(ACCOUNT, email="old@trust.example")) == Step("update_account", ACCOUNT)


def test_suspending_changes_nothing_else_of_the_account() -> None:
    removed = replace(ACCOUNT, first_name="", last_name="", suspended=True)
    step = next_step(removed, ACCOUNT)
    assert step == Step("suspend", replace(ACCOUNT, suspended=True))
    assert next_step(removed, step.account) is None


def test_a_rehired_persons_account_is_reactivated_and_then_brought_up_to_date() -> None:
    seen = replace(ACCOUNT, email="old@trust.example", suspended=True)
    first = next_step(ACCOUNT, seen)
    assert first == Step("reactivate", replace(seen, suspended=False))
    assert not first.last
    second = next_step(ACCOUNT, first.account)
    assert second == Step("update_account", ACCOUNT)
    assert second.last


accounts = st.builds(
    Account,
    idnumber=st.just("999-9000001"),
    username=st.sampled_from(["a", "b"]),
    first_name=st.just("Zoë"),
    last_name=st.sampled_from(["Placeholder", "Other"]),
    email=st.just("z@trust.example"),
    account_type=st.sampled_from(["TEMP", "PERM"]),
    suspended=st.booleans(),
)


@given(accounts, st.none() | accounts)
def test_a_few_steps_bring_any_account_to_what_is_wanted(wanted: Account, seen: Account | None) -> None:
    steps: list[Step] = []
    while (step := next_step(wanted, seen)) is not None:
        assert step.account != seen
        steps.append(step)
        seen = step.account
        assert len(steps) <= 2
    assert [step for step in steps[:-1] if step.operation != "reactivate"] == []
    if seen is None:
        assert wanted.suspended
    elif wanted.suspended:
        assert seen.suspended
    else:
        assert seen == wanted
