"""One round of a trust's accounts: each account that is not as it should be takes its next step."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from services.outbound import due, due_learning, guard
from services.outbound.directory import Directory
from services.outbound.domain import Step, next_step
from services.outbound.due import AccountRow, Noted
from services.outbound.linking import NO_CAUSE, TAKEN, Linking
from services.outbound.lms.port import Account, Accounts, Answer
from services.outbound.wanted import looked_up, wanted_account
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit, Work

Taken = tuple[AccountRow, Step]

_EVENTS: Final = {"suspend": events.AccountSuspended, "reactivate": events.AccountReactivated}


class AccountsRound:
    """Brings one trust's accounts to the desired state."""

    def __init__(self, work: Work, trust: TrustConfig, accounts: Accounts, directory: Directory | None) -> None:
        self._work = work
        self._trust = trust
        self._accounts = accounts
        self._directory = directory
        self._linking = Linking(work, trust, accounts)

    async def run(self) -> int:
        """Do one batch; return how much was done, zero when nothing is left to do now."""
        returned = await self._linking.give_back()
        day, now = self._work.clock.today(), self._work.clock.now()
        vpd = self._trust.vpd
        async with self._work.engine.connect() as connection:
            # Counted and taken from one snapshot: a file that completes in between opens no way past the guard.
            await connection.execution_options(isolation_level="REPEATABLE READ")
            suspensions = await guard.count(connection, vpd, day)
            held = guard.holds(suspensions, self._trust.accounts)
            rows = await due.accounts(connection, vpd, day, now, self._trust.lms.rows, closing_held=held)
        if held:
            async with self._work.unit() as unit:
                await guard.hold(unit, vpd, day, suspensions)
        names = await self._look_up(rows, day)
        steps, settled = self._steps(rows, names, day)
        if settled:
            async with self._work.engine.begin() as connection:
                await due.note_accounts(connection, self._trust.vpd, settled)
        steps = await self._without_strangers(steps, names)
        steps.sort(key=lambda one: (one[1].operation, one[0].person_id))
        for operation, group in groupby(steps, key=lambda one: one[1].operation):
            members = list(group)
            answers = await self._operate(operation, [step.account for _, step in members])
            await self._note(members, answers, names, day)
        return returned + len(rows)

    async def _look_up(self, rows: Sequence[AccountRow], day: date) -> dict[str, str]:
        """Return what the directory calls people, by person ID. What was found once is not asked for again."""
        wanting = [row for row in rows if looked_up(row.person, self._trust.accounts)]
        names = {row.person_id: row.directory_name for row in wanting if row.directory_name}
        missing = [row for row in wanting if not row.directory_name]
        if missing and self._directory is not None:
            found = await self._directory.names([row.person.employee_number for row in missing])
            fresh = {row.person_id: found[row.person.employee_number] for row in missing
                     if row.person.employee_number in found}  # fmt: skip
            noted = [
                Noted(row.person_id, row.revision, done=False, directory_name=fresh[row.person_id])
                for row in missing
                if row.person_id in fresh
            ]
            async with self._work.engine.begin() as connection:
                await due.note_accounts(connection, self._trust.vpd, noted)
            names |= fresh
        return names

    def _steps(self, rows: Sequence[AccountRow], names: dict[str, str], day: date) -> tuple[list[Taken], list[Noted]]:
        policy = self._trust.accounts
        steps: list[Taken] = []
        settled: list[Noted] = []
        for row in rows:
            name = names.get(row.person_id, "")
            wanted = wanted_account(self._trust.vpd, row.person, policy, day, name)
            step = next_step(wanted, row.seen, reactivates=policy.reactivate_on_rehire)
            if step is None or (step.operation == "ensure_account" and row.matched == "asked"):
                settled.append(Noted(row.person_id, row.revision, look_on=self._look_on(row, name, day)))
            else:
                steps.append((row, step))
        return steps, settled

    def _look_on(self, row: AccountRow, name: str, day: date) -> date | None:
        """The next day on which the account may have to change although nobody says anything."""
        if looked_up(row.person, self._trust.accounts) and not name:
            return day + timedelta(days=1)
        return row.closes_on if row.closes_on is not None and row.closes_on > day else None

    async def _without_strangers(self, steps: list[Taken], names: dict[str, str]) -> list[Taken]:
        """Before an account is made, find out whether there is one; take over what is the person's already."""
        without = [row for row, _ in steps if row.seen is None]
        if not without:
            return steps
        found = await self._linking.sort(without, names)
        for row, held in found.linked:
            answer, noted = await self._linking.adopt(row, held)
            async with self._work.unit() as unit:
                failed = self._refused(unit, row, answer) if noted is None else noted
                await due.note_accounts(unit.connection, self._trust.vpd, [failed])
        new = {row.person_id for row in found.new}
        return [(row, step) for row, step in steps if row.seen is not None or row.person_id in new]

    async def _operate(self, operation: str, accounts: Sequence[Account]) -> list[Answer]:
        if operation == "suspend":
            return await self._accounts.suspend([account.idnumber for account in accounts])
        if operation == "reactivate":
            return await self._accounts.reactivate([account.idnumber for account in accounts])
        if operation == "ensure_account":
            return await self._accounts.ensure_account(accounts)
        return await self._accounts.update_account(accounts)

    async def _note(
        self, members: Sequence[Taken], answers: Sequence[Answer], names: dict[str, str], day: date
    ) -> None:
        strangers = [
            (row, step.account, answer)
            for (row, step), answer in zip(members, answers, strict=True)
            if step.operation == "ensure_account" and answer.status == "rejected" and answer.code in TAKEN
        ]
        asked = await self._linking.ask(strangers) if strangers else set()
        async with self._work.unit() as unit:
            noted = []
            for (row, step), answer in zip(members, answers, strict=True):
                if answer.taken:
                    noted.append(self._taken(unit, row, step, names, day))
                elif row.person_id not in asked:
                    noted.append(self._refused(unit, row, answer))
            await due.note_accounts(unit.connection, self._trust.vpd, noted)
            opened = [row.person_id for (row, step), answer in zip(members, answers, strict=True)
                      if step.operation == "reactivate" and answer.taken]  # fmt: skip
            if opened:
                await due_learning.wake(unit.connection, self._trust.vpd, opened)

    def _taken(self, unit: Unit, row: AccountRow, step: Step, names: dict[str, str], day: date) -> Noted:
        _announce(unit, self._trust.vpd, row, step)
        return Noted(
            row.person_id,
            row.revision,
            step.account,
            done=step.last,
            closed_on=day if step.operation == "suspend" else None,
            matched="new" if row.seen is None else None,
            look_on=self._look_on(row, names.get(row.person_id, ""), day) if step.last else None,
        )

    def _refused(self, unit: Unit, row: AccountRow, answer: Answer) -> Noted:
        """What was refused waits until the person changes; what may have been done is looked up after a while."""
        if answer.status == "unknown":
            settling = timedelta(seconds=self._accounts.settling)
            return Noted(row.person_id, row.revision, done=False, not_before=self._work.clock.now() + settling)
        event = events.DeliveryFailed(vpd=self._trust.vpd, cause=NO_CAUSE, subject=row.person_id, code=answer.code)
        unit.emit(event, row.person_id, row.revision)
        return Noted(row.person_id, row.revision, refused=answer.code or "refused")


def _announce(unit: Unit, vpd: str, row: AccountRow, step: Step) -> None:
    before, account, person_id, revision = row.seen, step.account, row.person_id, row.revision
    event: events.Event
    if step.operation in _EVENTS:
        event = _EVENTS[step.operation](vpd=vpd, cause=NO_CAUSE, person_id=person_id, revision=revision)
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
