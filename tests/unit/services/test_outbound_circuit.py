"""When an LMS is spoken to, and when it is left alone."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.circuit import BUSY_WAIT, FIRST_WAIT, LONGEST_WAIT, MISCONFIGURED_WAIT, Circuit
from services.outbound.guard import Suspensions, holds
from shared.account_settings import AccountPolicy
from shared.throttle import Throttled


def test_a_new_site_is_looked_at_before_anything_else() -> None:
    assert Circuit().lets_through(0)
    assert not Circuit().checked
    assert Circuit().closed().checked


def test_a_site_that_was_away_is_looked_at_again_and_left_alone_until_then() -> None:
    away = Circuit().closed().opened(100, "LMS_UNAVAILABLE")
    assert (away.lets_through(100 + FIRST_WAIT - 0.01), away.lets_through(100 + FIRST_WAIT)) == (False, True)
    assert not away.checked


@given(st.integers(1, 60))
def test_it_is_left_alone_longer_each_time_but_never_for_ever(failures: int) -> None:
    circuit, now = Circuit(), 0.0
    for _ in range(failures):
        circuit = circuit.opened(now, "LMS_UNAVAILABLE")
    assert circuit.until == min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
    assert circuit.closed().opened(0, "x").until == FIRST_WAIT


def test_being_asked_to_slow_down_is_no_failure() -> None:
    slowed = Circuit().closed().slowed(100, "LMS_BUSY")
    assert (slowed.until, slowed.checked, slowed.failures) == (100 + BUSY_WAIT, True, 0)


def test_a_site_that_does_not_let_us_work_is_left_to_a_person() -> None:
    assert Circuit().barred(100, "LMS_MISCONFIGURED").until == 100 + MISCONFIGURED_WAIT


# The guard


def test_two_in_a_hundred_may_go_by_themselves() -> None:
    assert not holds(Suspensions(20, 0, 1_000), AccountPolicy())
    assert holds(Suspensions(21, 0, 1_000), AccountPolicy())
    assert holds(Suspensions(11, 10, 1_000), AccountPolicy())


def test_a_small_trust_may_lose_a_few_without_asking() -> None:
    assert not holds(Suspensions(5, 0, 10), AccountPolicy())
    assert holds(Suspensions(6, 0, 10), AccountPolicy())


def test_nothing_waiting_is_nothing_to_hold() -> None:
    assert not holds(Suspensions(0, 500, 10), AccountPolicy())


# The limit on calls


class Site(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.at: list[float] = []
        self.now = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.at.append(self.now)
        return httpx.Response(204, request=request)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_no_minute_has_more_calls_than_the_site_allows() -> None:
    site = Site()
    limit = 60
    transport = Throttled(site, limit, clock=lambda: site.now, sleep=site.sleep)
    async with httpx.AsyncClient(transport=transport, base_url="http://lms.example") as client:
        for number in range(300):
            if number == 150:
                site.now += 1_000
            await client.get("/")
    assert all(later - first >= 60 - 1e-6 for first, later in zip(site.at, site.at[limit:], strict=False))
    assert site.at[:6] == [0.0] * 6
