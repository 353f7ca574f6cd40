"""What operators do with files that were not applied: the same actions for the API and the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import insert, select, update

from services.ingest import roster
from services.ingest.domain import RELEASABLE
from services.ingest.requests import FileActionError
from services.ingest.schema import ACTIONS, FILES
from services.ingest.store import AnyRow, is_arrival, lock_trust
from shared import events
from shared.db.unit import Unit, Work
from shared.esr.faults import FileCode

Action = Literal["release", "discard", "recheck"]

OFFERS: Final[dict[str, tuple[Action, ...]]] = {
    "held": ("release", "discard"),
    "quarantined": ("recheck",),
    "refused": ("recheck",),
}
"""What may be done with a file in which status."""


_MISSING: Final = frozenset({FileCode.F006, FileCode.F008, FileCode.F016})
"""A file is held because something before it is missing: a full file would make good for it."""


def offers(status: str, code: str) -> list[str]:
    """Return what may be done about a file in this status; ``request`` asks for a full file."""
    possible: list[str] = [one for one in OFFERS.get(status, ()) if one != "release" or code in RELEASABLE]
    return [*possible, "request"] if status == "held" and code in _MISSING else possible


class FileDesk:
    """Acts on files in one person's name."""

    def __init__(self, work: Work, archived: Callable[[str, str], Path], who: str) -> None:
        self._work = work
        self._archived = archived
        self._who = who

    async def act(self, action: Action, vpd: str, name: str, why: str, sha256: str = "") -> dict[str, Any]:
        """Release, discard or check again a file; return its new status.

        ``release`` lets a held file in as if nothing kept it back; ``discard`` ends the matter without applying it;
        ``recheck`` looks at a file anew, for example after its profile was mended. ``sha256`` (or its beginning)
        tells apart files of one name. Raises FileActionError.
        """
        if not why.strip():
            raise FileActionError("a reason is needed")
        async with self._work.unit() as unit:
            await lock_trust(unit.connection, vpd)
            row = await self._find(unit, vpd, name, sha256)
            if action not in OFFERS.get(row.status, ()):
                raise FileActionError(f"file {name} is {row.status}; {action} is not possible")
            status = await self._apply(unit, action, row)
            await unit.connection.execute(
                insert(ACTIONS).values(
                    vpd=vpd,
                    file=row.name,
                    sha256=row.sha256,
                    at=self._work.clock.now(),
                    who=self._who,
                    action=action,
                    why=why,
                )
            )
        return {"vpd": vpd, "file": row.name, "sha256": row.sha256, "status": status}

    async def _find(self, unit: Unit, vpd: str, name: str, sha256: str) -> AnyRow:
        query = select(FILES).where(FILES.c.vpd == vpd, FILES.c.name == name, FILES.c.sha256.startswith(sha256))
        rows = (await unit.connection.execute(query.with_for_update())).all()
        if len(rows) > 1:  # a file of this name that was applied is not meant
            rows = [row for row in rows if row.status in OFFERS]
        if len(rows) != 1:
            raise FileActionError(f"{len(rows)} files of trust {vpd} match this name and checksum; one is needed")
        return rows[0]

    async def _apply(self, unit: Unit, action: Action, row: AnyRow) -> str:
        if action == "release":
            if row.code not in RELEASABLE:
                raise FileActionError(f"file {row.name} is held for {row.code}, which cannot be overruled")
            values: dict[str, Any] = {"released": True, "status": "held"}
        elif action == "discard":
            values = {"status": "discarded"}
            await roster.forget(unit.connection, row.vpd, row.sha256)
            cause = events.Cause(row.stream, row.name, row.number)
            said = events.FileQuarantined(vpd=row.vpd, cause=cause, status="discarded", code=row.code)
            unit.emit(said, row.name, row.sha256, "discarded")
        else:
            if row.purged_at is not None or not self._archived(row.vpd, row.sha256).is_file():
                raise FileActionError(f"the bytes of file {row.name} are no longer in the archive; have it sent again")
            values = {"status": "received", "code": "", "reason": "", "faults": [], "answered": False}
        await unit.connection.execute(update(FILES).where(is_arrival(row.vpd, row.name, row.sha256)).values(values))
        return str(values["status"])
