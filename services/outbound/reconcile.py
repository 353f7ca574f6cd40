"""Brings the LMS to the desired state, trust by trust, and writes down what it accepted."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from services.outbound import due
from services.outbound.domain import Step, idnumber, next_step, wanted_account
from services.outbound.due import AccountRow, DeliveryRow
from services.outbound.lms.port import Account, Answer, Certification, Evidence, LmsPort
from services.outbound.locks import trust_lock
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit, Work
from shared.events import Cause

NO_CAUSE: Final = Cause("", "", 0)


class Reconciler:
    """Closes the difference between what each LMS should hold and what it was last seen to accept."""

    def __init__(self, work: Work, trusts: Sequence[TrustConfig], drivers: Mapping[str, LmsPort]) -> None:
        self._work = work
        self._trusts = trusts
        self._drivers = drivers

    async def run(self) -> int:
        """Do one round for every trust; return how many operations were made.

        Raises LmsUnavailableError when a trust's LMS is away, after the other trusts had their turn.
        """
        done = 0
        failure: Exception | None = None
        async with self._work.engine.connect() as connection:
            waiting = await due.trusts(connection)
        for trust in (trust for trust in self._trusts if trust.vpd in waiting):
            try:
                async with trust_lock(self._work.engine, "reconcile", trust.vpd) as free:
                    if free:
                        done += await self._accounts(trust) or await self._deliveries(trust)
            except Exception as error:  # noqa: BLE001 - raised below, once the other trusts had their turn
                failure = error
        if failure is not None and not done:
            raise failure
        return done

    async def _accounts(self, trust: TrustConfig) -> int:
        """Take the next step for accounts that are not as they should be."""
        async with self._work.engine.connect() as connection:
            rows = await due.accounts(connection, trust.vpd, trust.lms.batch)
        steps: list[tuple[AccountRow, Step]] = []
        settled: list[AccountRow] = []
        for row in rows:
            wanted = wanted_account(trust.vpd, row.person, trust.accounts)
            step = next_step(wanted, row.seen)
            if step is None:
                settled.append(row)
            else:
                steps.append((row, step))
        steps.sort(key=lambda one: one[1].operation)
        for operation, group in groupby(steps, key=lambda one: one[1].operation):
            members = list(group)
            answers = await self._operate(trust.vpd, operation, [step.account for _, step in members])
            await self._note_accounts(trust, members, answers)
        if settled:
            async with self._work.engine.begin() as connection:
                await due.clean_accounts(connection, trust.vpd, settled)
        return len(rows)

    async def _operate(self, vpd: str, operation: str, accounts: Sequence[Account]) -> list[Answer]:
        driver = self._drivers[vpd]
        if operation == "suspend":
            return await driver.suspend([account.idnumber for account in accounts])
        if operation == "reactivate":
            return await driver.reactivate([account.idnumber for account in accounts])
        if operation == "ensure_account":
            return await driver.ensure_account(accounts)
        return await driver.update_account(accounts)

    async def _note_accounts(
        self, trust: TrustConfig, members: Sequence[tuple[AccountRow, Step]], answers: Sequence[Answer]
    ) -> None:
        async with self._work.unit() as unit:
            for (row, step), answer in zip(members, answers, strict=True):
                if answer.taken:
                    _announce_account(unit, trust.vpd, row, step)
                else:
                    _announce_failure(unit, trust.vpd, row.person_id, answer.code, row.revision)
            await due.note_accounts(
                unit.connection,
                trust.vpd,
                [
                    due.Accepted(
                        row.person_id,
                        row.revision,
                        step.account if answer.taken else None,
                        answer.code,
                        done=not answer.taken or step.last,
                    )
                    for (row, step), answer in zip(members, answers, strict=True)
                ],
            )

    async def _deliveries(self, trust: TrustConfig) -> int:
        """Deliver certifications and evidence of people whose account is there."""
        async with self._work.engine.connect() as connection:
            rows = await due.deliveries(connection, trust.vpd, trust.lms.batch)
        for kind, group in groupby(rows, key=lambda row: row.kind):
            members = list(group)
            driver = self._drivers[trust.vpd]
            if kind == "certification":
                answers = await driver.record_completion([_certification(trust.vpd, row) for row in members])
            else:
                answers = await driver.add_evidence([_evidence(trust.vpd, row) for row in members])
            await self._note_deliveries(trust.vpd, members, answers)
        return len(rows)

    async def _note_deliveries(self, vpd: str, members: Sequence[DeliveryRow], answers: Sequence[Answer]) -> None:
        async with self._work.unit() as unit:
            for row, answer in zip(members, answers, strict=True):
                if answer.taken:
                    event = events.CertificationDelivered(
                        vpd=vpd, cause=NO_CAUSE, person_id=row.person_id, key=row.key, revision=row.revision,
                        as_=row.kind,
                    )  # fmt: skip
                    unit.emit(event, row.person_id, row.key, row.revision)
                else:
                    _announce_failure(unit, vpd, row.key, answer.code, row.revision)
            await due.note_deliveries(unit.connection, vpd, list(zip(members, answers, strict=True)))


def _announce_account(unit: Unit, vpd: str, row: AccountRow, step: Step) -> None:
    before = row.seen
    account, person_id, revision = step.account, row.person_id, row.revision
    event: events.Event
    if step.operation == "suspend":
        event = events.AccountSuspended(vpd=vpd, cause=NO_CAUSE, person_id=person_id, revision=revision)
    elif step.operation == "reactivate":
        event = events.AccountReactivated(vpd=vpd, cause=NO_CAUSE, person_id=person_id, revision=revision)
    elif before is None:
        event = events.AccountProvisioned(
            vpd=vpd, cause=NO_CAUSE, person_id=person_id, revision=revision, account_type=account.account_type
        )
    elif before.account_type == "TEMP" and account.account_type == "PERM":
        event = events.AccountPromoted(
            vpd=vpd, cause=NO_CAUSE, person_id=person_id, revision=revision, account_type=account.account_type
        )
    else:
        return
    unit.emit(event, person_id, revision)


def _announce_failure(unit: Unit, vpd: str, subject: str, code: str, revision: int) -> None:
    unit.emit(events.DeliveryFailed(vpd=vpd, cause=NO_CAUSE, subject=subject, code=code), subject, revision)


def _certification(vpd: str, row: DeliveryRow) -> Certification:
    said = msgspec.convert(row.content, events.CompetenceAchieved)
    return Certification(idnumber(vpd, said.person_id), said.certification, said.achieved_on, said.expires_on)


def _evidence(vpd: str, row: DeliveryRow) -> Evidence:
    said = msgspec.convert(row.content, events.EvidenceRecorded)
    return Evidence(idnumber(vpd, said.person_id), said.key, said.competence_name, said.achieved_on, said.expires_on)
