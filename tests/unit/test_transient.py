"""What is waited for, and what can never succeed."""

from collections.abc import Callable
from typing import cast

import asyncpg
import pytest
from asyncpg.exceptions import InterfaceError as AsyncpgInterfaceError
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.errors import BrokerRefusedError, BrokerUnavailableError, LmsUnavailableError, RecordError, UnroutableError
from shared.transient import is_transient

closed = cast("Callable[[str], Exception]", AsyncpgInterfaceError)


class DriverFailureError(Exception):
    """What SQLAlchemy wraps: carries the SQLSTATE of the server."""

    def __init__(self, state: str = "") -> None:
        super().__init__()
        self.sqlstate = state


def database(state: str, kind: type[DBAPIError] = DBAPIError, *, invalidated: bool = False) -> DBAPIError:
    return kind("select 1", {}, DriverFailureError(state), connection_invalidated=invalidated)


@pytest.mark.parametrize(
    "error",
    [
        BrokerUnavailableError("x"),
        BrokerRefusedError("x"),
        LmsUnavailableError("x"),
        TimeoutError(),
        ConnectionRefusedError(),
        ConnectionResetError(),
        PoolTimeoutError(),
        asyncpg.ConnectionDoesNotExistError(),
        closed("connection is closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_down_or_slow_is_waited_for(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "state", ["08006", "08001", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57P03", "57014"]
)
def test_a_database_that_is_away_busy_or_full_is_waited_for(state: str) -> None:
    assert is_transient(database(state))


def test_a_lost_connection_is_waited_for_whatever_the_state_says() -> None:
    assert is_transient(database("22001", invalidated=True))


def test_an_operational_failure_without_a_state_is_waited_for() -> None:
    assert is_transient(database("", OperationalError))


@pytest.mark.parametrize("state", ["22001", "22021", "22P02", "23505", "23502", "42P01", "42501", "XX000"])
def test_what_the_database_refuses_is_not_waited_for(state: str) -> None:
    assert not is_transient(database(state))
    assert not is_transient(database(state, ProgrammingError))
    assert not is_transient(database(state, OperationalError))


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        KeyError("x"),
        RecordError("R101", "x"),
        UnroutableError("x"),
        asyncpg.UniqueViolationError(),
        database("", IntegrityError),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_can_never_succeed_is_not_waited_for(error: Exception) -> None:
    assert not is_transient(error)


def test_a_value_that_the_driver_cannot_send_is_not_waited_for() -> None:
    """asyncpg refuses a value, such as a number too large for its column, before anything reaches the server."""
    refused = asyncpg.DataError("invalid input for query argument $1")
    assert not is_transient(refused)
    assert not is_transient(DBAPIError("insert", {}, refused))


def test_a_closed_connection_that_sqlalchemy_wraps_is_waited_for() -> None:
    assert is_transient(InterfaceError("insert", {}, closed("connection is closed")))
