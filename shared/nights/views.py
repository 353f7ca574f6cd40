"""How a night is told to people and programs: the same for HTTP, the command line and reports."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from shared.clock import LONDON
from shared.nights.store import PENDING, AnyRow
from shared.schedule import Step, is_late


def entry(row: AnyRow, step: Step | None, now: datetime, asked: Iterable[AnyRow]) -> dict[str, Any]:
    """Return one step of one day as JSON; moments are UK local times with their offset."""
    open_late = row.state in PENDING and step is not None and is_late(step, row.due_at, now)
    return {
        "step": row.step,
        "day": row.day.isoformat(),
        "state": row.state,
        "due_at": _local(row.due_at),
        "late": open_late or row.late,
        "started_at": _local(row.started_at),
        "ended_at": _local(row.ended_at),
        "attempts": row.attempts,
        "result": row.result,
        "code": row.code,
        "covered_by": row.covered_by.isoformat() if row.covered_by else None,
        "asked": [
            {
                "at": _local(one.asked_at),
                "who": one.who,
                "why": one.why,
                "ended_at": _local(one.ended_at),
                "result": one.result,
                "code": one.code,
            }
            for one in asked
        ],
    }


def _local(moment: datetime | None) -> str | None:
    return moment.astimezone(LONDON).isoformat() if moment else None
