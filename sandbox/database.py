"""One sqlite file per sandbox: every change is one transaction, so a killed process leaves the old state or the new."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from shared.errors import ConfigurationError

#: Seconds to wait for another process that is writing to the same file.
BUSY_SECONDS: Final = 30.0


@contextmanager
def transaction(state: Path) -> Iterator[sqlite3.Connection]:
    """Open the state for one transaction: committed when the block ends well, rolled back when it raises."""
    with closing(sqlite3.connect(state, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma synchronous = off")  # outlives a killed process; a lost machine ends a sandbox
        connection.execute("begin immediate")
        try:
            yield connection
        except BaseException:
            connection.execute("rollback")
            raise
        connection.execute("commit")


def create(state: Path, schema: str, settings: dict[str, str]) -> None:
    """Create the tables that are missing and fix the settings a state was made with.

    Raises ConfigurationError when the file was made with other settings: it belongs to another trust or seed.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    with transaction(state) as connection:
        for statement in filter(str.strip, schema.split(";")):
            connection.execute(statement)
        for name, value in settings.items():
            connection.execute("insert or ignore into meta (name, value) values (?, ?)", (name, value))
            (held,) = connection.execute("select value from meta where name = ?", (name,)).fetchone()
            if held != value:
                raise ConfigurationError(
                    f"The sandbox state was made with {name} {held}, not {value}; use another file."
                )


def counter(connection: sqlite3.Connection, name: str, first: int = 1) -> int:
    """Return the next number of a named counter, starting at ``first``."""
    row = connection.execute(
        "insert into meta (name, value) values (?, ?) "
        "on conflict (name) do update set value = cast(value as integer) + 1 returning value",
        (f"counter:{name}", str(first)),
    ).fetchone()
    return int(row["value"])
