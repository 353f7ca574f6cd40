"""Keeps a file that came otherwise than through a folder."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from services.ingest import store
from services.ingest.store import Arrival
from shared import events
from shared.db.unit import Unit
from shared.files import put_file

Archived = Callable[[str, str], Path]
"""From trust and checksum to where a file's bytes are kept."""


async def keep(unit: Unit, archived: Archived, arrival: Arrival, content: bytes, moment: datetime) -> None:
    """Note the file and archive it, the latter before the former is committed: nothing accepted can be lost.

    A death in between leaves bytes in the archive that nobody knows of. Two who bring the same file at once wait for
    each other at its row, so one of them writes.
    """
    if await store.add(unit.connection, arrival, moment) == store.NEW:
        said = events.FileReceived(vpd=arrival.vpd, cause=events.Cause("", arrival.name, 0), status="received")
        unit.emit(said, arrival.name, arrival.sha256)
        await asyncio.to_thread(put_file, archived(arrival.vpd, arrival.sha256), content)
