"""Brings written files to where ESR collects them, and tells that their records were sent.

A file is sent when it stands in the trust's folder; where a connection carries files on, when the other side was noted
to hold it. Until then the same bytes are put there again, and nothing else is, and the next file waits for its turn.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from services.outbound.locks import trust_lock
from services.outbound.towards_esr import outfiles
from services.outbound.towards_esr.outfiles import OutFile, Sent
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit, Work
from shared.errors import StorageUnavailableError, TransportConflictError
from shared.events import Cause
from shared.files import put_file

ANNOUNCED: Final = 2_000
"""Records that are told of in one transaction."""

log = structlog.get_logger(__name__)


class Delivery:
    """Delivers the completion files of every trust, each trust's in order."""

    def __init__(self, work: Work, trusts: Sequence[TrustConfig], files: Path) -> None:
        self._work = work
        self._trusts = {trust.vpd: trust for trust in trusts}
        self._files = files
        self._waiting: dict[str, str] = {}
        self._forgot: dict[str, int] = {}

    @property
    def waiting(self) -> Mapping[str, str]:
        """Code of what keeps a trust's files back, by trust."""
        return self._waiting

    async def run(self, only: str = "") -> int:
        """Deliver what is not delivered, of one trust or of all; return how many steps were taken, 0 for nothing."""
        done = 0
        for vpd, trust in self._trusts.items() if not only else [(only, self._trusts[only])]:
            async with self._work.engine.connect() as connection:
                files = await outfiles.to_do(connection, vpd)
            if files:
                done += await self._trust(trust, files)
            await self._forget(trust)
        return done

    async def _trust(self, trust: TrustConfig, files: Sequence[OutFile]) -> int:
        done = 0
        async with trust_lock(self._work.engine, "completion-delivery", trust.vpd) as free:
            if not free:
                return 0
            self._waiting.pop(trust.vpd, None)
            try:
                for file in files:
                    steps, delivered = await self._file(trust, file)
                    done += steps
                    if not delivered:
                        break
            except (TransportConflictError, StorageUnavailableError) as error:
                self._waiting[trust.vpd] = error.code
                log.warning("completion file kept back", vpd=trust.vpd, code=error.code, reason=error.sentence)
        return done

    async def _file(self, trust: TrustConfig, file: OutFile) -> tuple[int, bool]:
        """Return how many steps were taken, and whether the file is delivered."""
        moment, steps = file.delivered_at, 0
        if moment is None:
            moment, steps = await self._bring(trust, file)
            if moment is None:
                return steps, False
            async with self._work.engine.begin() as connection:
                await outfiles.mark_delivered(connection, file, moment)
            log.info("completion file delivered", vpd=file.vpd, file=file.name)
        while await self._announce(file, moment):
            steps += 1
        return steps + 1, True

    async def _bring(self, trust: TrustConfig, file: OutFile) -> tuple[datetime | None, int]:
        """Return when the file reached ESR's side, None while it has not, and how often something was put."""
        remote = trust.esr.remote and bool(trust.esr.deliver_to)
        async with self._work.engine.connect() as connection:
            if remote and (moment := await outfiles.arrived(connection, file, f"esr:{trust.esr.deliver_to}")):
                return moment, 0
            content = await outfiles.content(connection, file)
        path = self._files / file.vpd / "to-esr" / file.name
        put = await asyncio.to_thread(put_once, path, content)
        return None if remote else self._work.clock.now(), int(put)

    async def _announce(self, file: OutFile, moment: datetime) -> bool:
        """Tell of the next records of a delivered file; return whether there may be more."""
        async with self._work.unit() as unit:
            sent = await outfiles.take_unannounced(unit.connection, file, moment, ANNOUNCED)
            for one in sent:
                _tell(unit, file, one, moment)
            if len(sent) < ANNOUNCED:
                await outfiles.mark_announced(unit.connection, file)
        return len(sent) == ANNOUNCED

    async def _forget(self, trust: TrustConfig) -> None:
        """Drop, once a day, the bytes of files whose retention is over."""
        now = self._work.clock.now()
        if self._forgot.get(trust.vpd) == now.toordinal():
            return
        async with self._work.engine.begin() as connection:
            await outfiles.forget(connection, trust.vpd, now - timedelta(days=trust.archive_days))
        self._forgot[trust.vpd] = now.toordinal()


def put_once(path: Path, content: bytes) -> bool:
    """Put a file where there is none; return False when the same stands there.

    Raises TransportConflictError when another does: what a name stood for is never written over.
    """
    try:
        if path.exists():
            if path.read_bytes() == content:
                return False
            raise TransportConflictError(
                f"'to-esr' holds another file under the name {path.name}; compare the two, and remove the wrong one"
            )
        put_file(path, content)
    except OSError as error:
        raise StorageUnavailableError(f"{path.name} cannot be put into 'to-esr' ({error.strerror})") from error
    return True


def _tell(unit: Unit, file: OutFile, sent: Sent, moment: datetime) -> None:
    event = events.CompletionSent(
        vpd=file.vpd,
        cause=Cause("", "", 0),
        reference=sent.reference,
        person_id=sent.person_id,
        key=sent.key,
        competence_id=sent.content.competence_id,
        achieved_on=sent.content.achieved_on,
        expires_on=sent.content.expires_on,
        sent_file=file.name,
        position=sent.position,
        resend=sent.change == "resend",
        change=sent.change,
        replaces=sent.replaces,
        sent_at=moment.astimezone(UTC).isoformat(),
    )
    unit.emit(event, sent.reference, file.name)
