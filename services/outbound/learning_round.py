"""One round of what a trust's people have learnt: certifications and evidence that ESR told of go into the LMS."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from services.outbound import due_learning
from services.outbound.due_learning import DeliveryRow
from services.outbound.lms.port import Answer, Certification, Evidence, Learning, Withdraws
from services.outbound.wanted import idnumber
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Work
from shared.errors import LmsBusyError

NO_CAUSE: Final = events.Cause("", "", 0)


class LearningRound:
    """Brings one trust's achievements into its LMS, for people whose account is there."""

    def __init__(self, work: Work, trust: TrustConfig, learning: Learning) -> None:
        self._work = work
        self._trust = trust
        self._learning = learning

    async def run(self) -> int:
        """Do one batch; return how many."""
        async with self._work.engine.connect() as connection:
            rows = await due_learning.deliveries(connection, self._trust.vpd, self._trust.lms.rows)
        unknown = 0
        for (withdraw, kind), group in groupby(rows, key=lambda row: row.step):
            members = list(group)
            answers = await (self._withdraw(kind, members) if withdraw else self._deliver(kind, members))
            await self._note(members, answers)
            unknown += sum(answer.status == "unknown" for answer in answers)
        if unknown:
            raise LmsBusyError("what became of a call to the LMS is not known; it is looked up later")
        return len(rows)

    async def _deliver(self, kind: str, rows: Sequence[DeliveryRow]) -> list[Answer]:
        if kind == "certification":
            return await self._learning.record_completion([self._certification(row) for row in rows])
        return await self._learning.add_evidence([self._evidence(row) for row in rows])

    async def _withdraw(self, kind: str, rows: Sequence[DeliveryRow]) -> list[Answer]:
        if not isinstance(self._learning, Withdraws):
            return [Answer("rejected", "cannot-withdraw")] * len(rows)
        if kind == "certification":
            return await self._learning.withdraw_completion([self._certification(row) for row in rows])
        return await self._learning.withdraw_evidence([self._evidence(row) for row in rows])

    async def _note(self, members: Sequence[DeliveryRow], answers: Sequence[Answer]) -> None:
        vpd = self._trust.vpd
        async with self._work.unit() as unit:
            for row, answer in zip(members, answers, strict=True):
                event: events.Event
                if answer.taken and not row.withdraw:
                    event = events.CertificationDelivered(
                        vpd=vpd,
                        cause=NO_CAUSE,
                        person_id=row.person_id,
                        key=row.key,
                        revision=row.revision,
                        as_=row.kind,
                    )
                    unit.emit(event, row.person_id, row.key, row.revision)
                elif answer.status == "rejected":
                    event = events.DeliveryFailed(vpd=vpd, cause=NO_CAUSE, subject=row.key, code=answer.code)
                    unit.emit(event, row.key, row.revision)
            await due_learning.note_deliveries(unit.connection, vpd, list(zip(members, answers, strict=True)))

    def _certification(self, row: DeliveryRow) -> Certification:
        said = msgspec.convert(row.content, events.CompetenceAchieved)
        account = idnumber(self._trust.vpd, row.owner)
        return Certification(account, said.certification, said.achieved_on, said.expires_on, said.due_on)

    def _evidence(self, row: DeliveryRow) -> Evidence:
        said = msgspec.convert(row.content, events.EvidenceRecorded)
        account = idnumber(self._trust.vpd, row.owner)
        return Evidence(account, said.key, said.competence_name, said.achieved_on, said.expires_on)
