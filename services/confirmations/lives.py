"""Stores what is told of completions besides being sent: what the LMS said, why one waits, what ESR shows later."""

from collections.abc import Sequence

from sqlalchemy import or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.confirmations.intake import Row, insert_new
from services.confirmations.schema import COMPLETIONS, DIFFERENCES
from shared import events


async def save_lives(connection: AsyncConnection, said: Sequence[events.Event]) -> None:
    """Store what else is told of completions; of each kind the newest revision stands."""
    completed = [_completed(one) for one in said if isinstance(one, events.CertificationCompleted)]
    withdrawn = [
        _life(one) | {"withdrawn": one.revision, "withdrawn_reason": one.reason}
        for one in said
        if isinstance(one, events.CertificationWithdrawn)
    ]
    withheld = [
        _life(one) | {"withheld": one.revision, "withheld_code": one.code}
        for one in said
        if isinstance(one, events.CompletionWithheld)
    ]
    await _keep_newest(connection, completed, "revision")
    await _keep_newest(connection, withdrawn, "withdrawn")
    await _keep_newest(connection, withheld, "withheld")
    await insert_new(
        connection, DIFFERENCES, [_difference(one) for one in said if isinstance(one, events.AchievementMissing)]
    )


async def _keep_newest(connection: AsyncConnection, rows: Sequence[Row], revision: str) -> None:
    newest: dict[tuple[str, str, str], Row] = {}
    for row in sorted(rows, key=lambda one: int(one[revision])):
        newest[row["vpd"], row["person_id"], row["key"]] = row
    if not newest:
        return
    new = insert(COMPLETIONS).values([newest[key] for key in sorted(newest)])
    first = next(iter(newest.values()))
    said = {name: new.excluded[name] for name in first if name not in ("vpd", "person_id", "key")}
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=["vpd", "person_id", "key"],
            set_=said,
            where=or_(COMPLETIONS.c[revision] < new.excluded[revision], COMPLETIONS.c[revision] == 0),
        )
    )


def _life(event: events.CertificationCompleted | events.CertificationWithdrawn | events.CompletionWithheld) -> Row:
    return {"vpd": event.vpd, "person_id": event.person_id, "key": event.key}


def _completed(event: events.CertificationCompleted) -> Row:
    return _life(event) | {
        "revision": event.revision, "stream": event.cause.stream, "file": event.cause.file,
        "file_no": event.cause.file_no, "certification": event.certification, "competence_id": event.competence_id,
        "competence_name": event.competence_name, "achieved_on": event.achieved_on, "expires_on": event.expires_on,
        "reason": event.reason,
    }  # fmt: skip


def _difference(event: events.AchievementMissing) -> Row:
    return {
        "vpd": event.vpd, "reference": event.reference, "file": event.cause.file, "difference": event.difference,
        "file_no": event.cause.file_no, "person_id": event.person_id, "key": event.key, "held": event.held,
    }  # fmt: skip
