"""The Moodle driver when answers do not come, come broken, or come from something else: nothing is done twice."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import httpx
import pytest
import pytest_asyncio
import uvicorn
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandbox.moodle import TOKEN, SandboxMoodle
from sandbox.moodle_http import create_app
from services.outbound.lms.moodle_rest import MoodleRest
from services.outbound.lms.moodle_search import MoodleSearch
from services.outbound.lms.port import Account, Answer, Sought
from shared.errors import LmsBusyError, LmsMisconfiguredError, LmsUnavailableError
from shared.moodle.call import MoodleCall
from tests.unit.services.rig_moodle import FIELDS, KNOWN, Moodle, Seconds, furnished, moodle, settings

APPLIED = Answer("applied")
LOST = Answer("unknown", "outcome-unknown")
NOT_TRIED = Answer("unknown", "not-tried")
CREATE = "core_user_create_users"
UPDATE = "core_user_update_users"

ZOE = Account("999-1", "zoe", "Zoë", "O'Placeholder", "zoe@trust.example", "TEMP")
TOM = Account("999-2", "tom", "Tom", "Quote", "tom@trust.example", "PERM")
EVE = Account("999-3", "eve", "Eve", "Example", "eve@trust.example", "PERM")

Operation = Callable[[MoodleRest], Awaitable[Any]]
OPERATIONS: list[Operation] = [
    lambda lms: lms.ensure_account([ZOE]),
    lambda lms: lms.update_account([ZOE]),
    lambda lms: lms.suspend(["999-1"]),
    lambda lms: lms.reactivate(["999-1"]),
    lambda lms: lms.find_account("999-1"),
    lambda lms: lms.candidates([Sought("999-1")]),
    lambda lms: lms.adopt("7", "999-1"),
]


@pytest.fixture
def site(tmp_path: Path) -> SandboxMoodle:
    return furnished(tmp_path)


@pytest_asyncio.fixture(loop_scope="function")
async def it(site: SandboxMoodle) -> AsyncIterator[Moodle]:
    async with moodle(site) as made:
        yield made


@asynccontextmanager
async def over_a_socket(site: SandboxMoodle) -> AsyncIterator[tuple[MoodleRest, str]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(create_app(site), log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        patient = settings(url).model_copy(update={"timeout_seconds": 2.0})
        driver = MoodleRest(patient, FIELDS, lambda: TOKEN)
        try:
            yield driver, url
        finally:
            await driver.close()
            server.should_exit = True
            await serving


def calls(site: SandboxMoodle, function: str) -> int:
    return [name for name, _ in site.calls].count(function)


def people(site: SandboxMoodle, idnumber: str = "999-1") -> int:
    return sum(one["idnumber"] == idnumber for one in site.accounts())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


# Lost replies, over a real socket


async def test_a_creation_that_timed_out_is_looked_up_and_never_blindly_repeated(site: SandboxMoodle) -> None:
    site.faults.late_commit = 5
    async with over_a_socket(site) as (driver, _):
        assert await driver.ensure_account([ZOE, TOM]) == [LOST, NOT_TRIED]
        assert people(site) == 0
        assert await driver.ensure_account([ZOE]) == [LOST]
        await until(lambda: people(site) == 1)
        site.faults.late_commit = 0
        # Its middle names are not known to have been taken, so they are sent again: a change, no creation.
        assert await driver.ensure_account([ZOE]) == [APPLIED]
    assert calls(site, CREATE) == 1
    assert people(site) == 1


async def test_a_reply_that_breaks_off_is_a_lost_one(site: SandboxMoodle) -> None:
    async with over_a_socket(site) as (driver, _):
        site.faults.lose_replies = 1
        assert await driver.ensure_account([ZOE]) == [LOST]
        assert await driver.ensure_account([ZOE]) == [APPLIED]
        site.faults.lose_replies = 1
        assert await driver.suspend(["999-1"]) == [LOST]
        assert await driver.suspend(["999-1"]) == [APPLIED]
    assert (calls(site, CREATE), people(site)) == (1, 1)


async def test_a_site_that_is_not_there_is_away_and_nothing_is_known(site: SandboxMoodle) -> None:
    async with over_a_socket(site) as (_, url):
        pass
    driver = MoodleRest(settings(url), FIELDS, lambda: TOKEN)
    for operation in OPERATIONS:
        with pytest.raises(LmsUnavailableError):
            await operation(driver)
    with pytest.raises(LmsUnavailableError):
        await driver.check()
    await driver.close()


# Lost replies, of each operation


async def test_a_proxy_that_would_not_wait_leaves_the_outcome_open(it: Moodle) -> None:
    it.site.faults.proxy_pages = 1
    assert await it.driver.ensure_account([ZOE]) == [LOST]
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]
    assert calls(it.site, CREATE) == 1


async def test_after_a_lost_reply_the_rest_of_a_batch_is_not_tried(it: Moodle) -> None:
    await it.driver.ensure_account([EVE])
    it.site.faults.lose_replies = 1
    batch = [ZOE, TOM, replace(EVE, last_name="New")]
    assert await it.driver.ensure_account(batch) == [LOST, NOT_TRIED, NOT_TRIED]
    assert people(it.site, "999-2") == 0
    assert await it.driver.ensure_account(batch) == [APPLIED] * 3


async def test_a_lost_change_is_looked_up_and_not_repeated_when_it_was_done(it: Moodle) -> None:
    await it.driver.ensure_account([ZOE])
    it.site.faults.lose_replies = 1
    changed = replace(ZOE, last_name="New")
    assert await it.driver.update_account([changed]) == [LOST]
    assert await it.driver.update_account([changed]) == [APPLIED]
    assert it.account("999-1")["lastname"] == "New"
    assert it.account("999-1")["changes"] == 1


async def test_after_a_lost_change_nobody_is_called_suspended_who_is_not(it: Moodle) -> None:
    gone = replace(EVE, suspended=True)
    await it.driver.ensure_account([ZOE, TOM, gone])
    it.site.faults.lose_replies = 1
    batch = [replace(ZOE, last_name="New"), replace(TOM, suspended=True), gone]
    assert await it.driver.ensure_account(batch) == [LOST, NOT_TRIED, APPLIED]
    assert await it.driver.ensure_account(batch) == [APPLIED] * 3
    assert it.account("999-2")["suspended"] == 1


class Swallowing(httpx.AsyncBaseTransport):
    """Lets reading calls through; writing ones never arrive, and nobody can tell that they did not."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.on = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl((await request.aread()).decode()))
        if self.on and form["wsfunction"] in (CREATE, UPDATE):
            raise httpx.ReadTimeout("nothing came", request=request)
        return await self.inner.handle_async_request(request)


@pytest.mark.parametrize(
    "operation",
    [
        lambda lms: lms.ensure_account([ZOE]),
        lambda lms: lms.update_account([replace(TOM, last_name="New")]),
        lambda lms: lms.suspend(["999-2"]),
    ],
)
async def test_a_lost_call_is_made_again_only_after_it_can_no_longer_commit(
    site: SandboxMoodle, operation: Operation
) -> None:
    clock = Seconds()
    transport = Swallowing(httpx.ASGITransport(create_app(site)))
    driver = MoodleRest(settings(), FIELDS, lambda: TOKEN, transport=transport, clock=clock)
    assert await driver.ensure_account([TOM]) == [APPLIED]
    transport.on = True
    assert await operation(driver) == [LOST]
    transport.on = False
    before = calls(site, CREATE), calls(site, UPDATE)
    clock.now += driver.settling - 1
    assert await operation(driver) == [LOST]
    assert (calls(site, CREATE), calls(site, UPDATE)) == before
    clock.now += 1
    assert await operation(driver) == [APPLIED]
    assert sum(one["idnumber"] == "999-1" for one in site.accounts()) <= 1
    await driver.close()


async def test_a_lost_adoption_is_unknown(it: Moodle) -> None:
    user = it.site.add_account(username="b", firstname="A", lastname="B", email="b@t.example")
    it.site.faults.lose_replies = 1
    assert await it.driver.adopt(str(user), "999-1") == LOST
    assert await it.driver.adopt(str(user), "999-1") == APPLIED


async def test_an_answer_that_fails_moodle_s_own_check_is_looked_up_at_once(it: Moodle) -> None:
    it.site.faults.invalid_responses = 1
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]
    it.site.faults.invalid_responses = 1
    asked = [replace(ZOE, last_name="New"), replace(ZOE, idnumber="999-9")]
    assert await it.driver.update_account(asked) == [APPLIED, Answer("rejected", "unknown-account")]
    assert it.account("999-1")["changes"] <= 2
    assert calls(it.site, CREATE) == 1


# The site is away, busy, or wants a person


@pytest.mark.parametrize("state", ["sitemaintenance", "maintenance-page", "dbconnectionfailed"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_site_that_is_away_by_whatever_status_is_waited_for(
    it: Moodle, state: Any, operation: Operation
) -> None:
    it.site.faults.state = state
    with pytest.raises(LmsUnavailableError):
        await operation(it.driver)
    with pytest.raises(LmsUnavailableError):
        await it.driver.check()
    it.site.faults.state = ""
    assert await it.driver.ensure_account([ZOE]) == [APPLIED]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_site_that_asks_to_slow_down_is_busy(it: Moodle, operation: Operation) -> None:
    it.site.faults.state = "busy"
    with pytest.raises(LmsBusyError):
        await operation(it.driver)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_a_person_has_to_mend_is_no_rejection_of_anybody(it: Moodle, operation: Operation) -> None:
    it.site.expire_token()
    with pytest.raises(LmsMisconfiguredError, match="access-refused"):
        await operation(it.driver)


# Something else answers


def answered(*responses: httpx.Response | Exception) -> tuple[MoodleRest, list[httpx.Request]]:
    """A driver to whom these answers come in turn, the last one again and again."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        one = responses[min(len(seen), len(responses)) - 1]
        if isinstance(one, Exception):
            raise one
        return one

    return MoodleRest(settings(), FIELDS, lambda: TOKEN, transport=httpx.MockTransport(answer)), seen


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(200, text="<html>sign in</html>"), LmsUnavailableError),
        (httpx.Response(200, text="<EXCEPTION><ERRORCODE>invalidtoken</ERRORCODE></EXCEPTION>"), LmsUnavailableError),
        (httpx.Response(500, text="oops"), LmsUnavailableError),
        (httpx.Response(502, text="oops"), LmsUnavailableError),
        (httpx.Response(301, headers={"Location": "https://elsewhere.example"}), LmsMisconfiguredError),
        (httpx.Response(404, text="oops"), LmsMisconfiguredError),
        (httpx.Response(403), LmsMisconfiguredError),
        (httpx.Response(200, json={"id": 1}), LmsUnavailableError),
        (httpx.Response(200, json=[{"name": "x"}]), LmsUnavailableError),
        (httpx.Response(200, json=None), LmsUnavailableError),
        (httpx.Response(200, json={"exception": "x", "errorcode": 7}), LmsMisconfiguredError),
        (httpx.ConnectTimeout("x"), LmsUnavailableError),
        (httpx.ReadTimeout("x"), LmsUnavailableError),
    ],
)
async def test_an_answer_to_a_look_up_that_is_not_moodle_s_is_taken_for_nobody_s_absence(
    response: httpx.Response | Exception, error: type[Exception]
) -> None:
    driver, seen = answered(response)
    with pytest.raises(error):
        await driver.ensure_account([ZOE])
    assert all(b"create_users" not in request.content for request in seen)
    await driver.close()


async def test_the_token_goes_first_into_the_body_of_a_post_and_nowhere_else(it: Moodle) -> None:
    driver, seen = answered(httpx.Response(200, json=[]))
    with pytest.raises(LmsMisconfiguredError):
        await driver.ensure_account([ZOE])
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "https://moodle.example/webservice/rest/server.php")
    assert [name for name, _ in parse_qsl(request.content.decode())][:3] == [
        "wstoken",
        "wsfunction",
        "moodlewsrestformat",
    ]
    assert TOKEN not in str(request.headers)
    await driver.close()


async def test_texts_and_codes_of_moodle_s_errors_never_leave(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    leaking = {
        "exception": "moodle_exception",
        "errorcode": "<div>zoe@trust.example</div>",
        "message": "Email address already exists: zoe@trust.example",
        "debuginfo": "INSERT INTO mdl_user VALUES ('zoe@trust.example')",
    }
    driver, _ = answered(httpx.Response(200, json=leaking))
    with pytest.raises(LmsMisconfiguredError) as caught:
        await driver.ensure_account([ZOE])
    assert "zoe" not in str(caught.value)
    assert "zoe" not in caplog.text
    await driver.close()


async def test_a_form_of_too_many_variables_or_bytes_does_not_leave_whoever_made_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    transport = httpx.MockTransport(answer)
    call = MoodleCall("https://moodle.example", lambda: TOKEN, timeout=1, variables=50, transport=transport)
    assert (await call.exchange(UPDATE, [("a", "b")] * 47)).verdict == "done"
    for form in ([("a", "b")] * 48, [("a", "x" * 1_000_000)]):
        with pytest.raises(LmsMisconfiguredError, match="not sent"):
            await call.exchange(UPDATE, form)
    assert len(seen) == 1
    await call.close()


async def test_who_is_found_by_a_database_that_minds_no_accents_is_compared_again() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        users = [{"id": n, "email": f"{name}@t.example", "lastname": name} for n, name in enumerate(["zoé", "ZOE"])]
        return httpx.Response(200, json={"users": users, "warnings": []})

    transport = httpx.MockTransport(answer)
    call = MoodleCall("https://moodle.example", lambda: TOKEN, timeout=1, variables=50, transport=transport)
    search = MoodleSearch(call, KNOWN, ZoneInfo("Europe/London"))
    assert [row.id for row in await search.by_email("zoe@t.example")] == [1]
    assert [row.id for row in await search.by_name("lastname", "Zoe")] == [1]
    await call.close()


async def test_a_search_that_was_not_done_as_asked_finds_nobody_for_sure() -> None:
    answer = {"users": [{"id": 7}], "warnings": [{"item": "lastname", "warningcode": "invalidfieldparameter"}]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    call = MoodleCall("https://moodle.example", lambda: TOKEN, timeout=1, variables=50, transport=transport)
    with pytest.raises(LmsMisconfiguredError, match="lastname"):
        await MoodleSearch(call, KNOWN, ZoneInfo("Europe/London")).by_name("lastname", "Zoe")
    await call.close()


async def test_the_token_is_read_anew_for_each_call(site: SandboxMoodle) -> None:
    tokens = iter(["wrong", *[TOKEN] * 20])
    transport = httpx.ASGITransport(create_app(site))
    driver = MoodleRest(settings(), FIELDS, lambda: next(tokens), transport=transport)
    with pytest.raises(LmsMisconfiguredError, match="token-invalid"):
        await driver.find_account(KNOWN)
    assert await driver.find_account(KNOWN)
    await driver.close()


# Everything together

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ensure", "update", "suspend", "reactivate"]),
        st.sampled_from(["999-1", "999-2"]),
        st.sampled_from(["Old", "New", "Newer"]),
        st.sampled_from(["", "", "lose_replies", "proxy_pages", "invalid_responses", "rival", "away"]),
        st.integers(0, 100),
    ),
    max_size=12,
)


@hypothesis_settings(
    max_examples=20, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
async def test_whatever_gets_lost_each_person_is_there_once_and_as_last_wanted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str, str, int]]
) -> None:
    async with moodle(furnished(tmp_path_factory.mktemp("site"))) as it:
        for step in steps:
            await _disturbed(it, *step)
        it.clock.now += it.driver.settling
        wanted = [replace(ZOE, last_name="Last"), replace(TOM, suspended=True)]
        assert await it.driver.ensure_account(wanted) == [APPLIED] * 2
        assert (people(it.site, "999-1"), people(it.site, "999-2")) == (1, 1)
        assert await it.driver.reactivate(["999-1"]) == [APPLIED]
        assert (it.account("999-1")["lastname"], it.account("999-1")["suspended"]) == ("Last", 0)
        assert (it.account("999-2")["lastname"], it.account("999-2")["suspended"]) == ("Quote", 1)


async def _disturbed(it: Moodle, name: str, idnumber: str, last: str, fault: str, seconds: int) -> None:
    it.clock.now += seconds
    faults = it.site.faults
    faults.rivals = [{}] if fault == "rival" else []
    faults.state = "sitemaintenance" if fault == "away" else ""
    if fault not in ("", "rival", "away"):
        setattr(faults, fault, 1)
    account = replace(ZOE if idnumber == "999-1" else TOM, last_name=last)
    operations: dict[str, Operation] = {
        "ensure": lambda lms: lms.ensure_account([account]),
        "update": lambda lms: lms.update_account([account]),
        "suspend": lambda lms: lms.suspend([idnumber]),
        "reactivate": lambda lms: lms.reactivate([idnumber]),
    }
    if fault == "away":
        with pytest.raises(LmsUnavailableError):
            await operations[name](it.driver)
    else:
        (answer,) = await operations[name](it.driver)
        assert answer.status in ("applied", "unknown") or answer.code == "unknown-account"
    faults.state = ""
    faults.lose_replies = faults.proxy_pages = faults.invalid_responses = 0
    faults.rivals = []
