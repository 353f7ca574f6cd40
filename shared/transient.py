"""Which failures pass by themselves: those are waited for, and never become dead letters."""

from typing import Final

from asyncpg.exceptions import InterfaceError as DriverError
from asyncpg.exceptions import PostgresConnectionError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.errors import TransientError

_TRANSIENT_STATES: Final = ("08", "40", "53", "55", "57")
"""SQLSTATE classes: connection, serialization and deadlock, out of resources, object in use, operator intervention."""


def is_transient(error: BaseException) -> bool:
    """Tell whether trying the same again later can help."""
    if isinstance(error, TransientError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, InterfaceError):
            return True
        state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
        return state.startswith(_TRANSIENT_STATES) or (isinstance(error, OperationalError) and not state)
    return isinstance(
        error,
        OSError | TimeoutError | PoolTimeoutError | PostgresConnectionError | DriverError,
    )
