"""Finds out whether an account that was in the LMS before is a person's, and links it or asks an operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from services.outbound import matches
from services.outbound.due import AccountRow, Noted, note_accounts
from services.outbound.lms.port import Account, Accounts, Answer, Candidate, Sought
from services.outbound.matches import Decision, Found, Held
from services.outbound.matching import Match, Reason, decide, taken_by
from services.outbound.wanted import idnumber
from shared import events
from shared.config import TrustConfig
from shared.db.unit import Unit, Work

_GONE = frozenset({"unknown-account"})
"""Refusals that say the account has its former idnumber already: the last attempt was cut short."""

RETURN_AGAIN = 60.0
"""Seconds after which an account that could not be given back is tried again."""

NO_CAUSE = events.Cause("", "", 0)

TAKEN: Mapping[str, Reason] = {"username-taken": "username-taken", "email-taken": "email-taken"}
"""Refusals that say somebody has an account which may be the person's."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """People without an account, by what is to be done: make one, take one over, or wait for an operator."""

    new: tuple[AccountRow, ...]
    linked: tuple[tuple[AccountRow, Held], ...]


class Linking:
    """Matching of one trust's people with its LMS's accounts."""

    def __init__(self, work: Work, trust: TrustConfig, accounts: Accounts) -> None:
        self._work = work
        self._trust = trust
        self._accounts = accounts
        self._not_before = 0.0

    async def sort(self, rows: Sequence[AccountRow], names: Mapping[str, str]) -> Sorted:
        """Match those not looked at yet, put it on record, and say what is to be done for whom.

        ``names``: what the directory calls people, by person ID. Those for whom an operator is asked are left out.
        """
        fresh = [row for row in rows if row.matched == ""]
        if fresh and self._trust.accounts.link.by != "nothing":
            verdicts = await self._match(fresh, names)
        else:
            verdicts = dict.fromkeys((row.person_id for row in fresh), "new")
        linked = [row for row in rows if verdicts.get(row.person_id, row.matched) in ("link", "linked")]
        async with self._work.engine.connect() as connection:
            on_record = await matches.held(connection, self._trust.vpd, [row.person_id for row in linked])
        return Sorted(
            tuple(row for row in rows if verdicts.get(row.person_id, row.matched) == "new"),
            tuple((row, on_record[row.person_id]) for row in linked if row.person_id in on_record),
        )

    async def ask(self, refused: Sequence[tuple[AccountRow, Account, Answer]]) -> set[str]:
        """Put before an operator those whose user name or address another account has; return whom."""
        sought = [
            replace(self._sought(row, {}), username=wanted.username, email=wanted.email) for row, wanted, _ in refused
        ]
        found = await self._accounts.candidates(sought)
        asked = []
        for (row, _, answer), about, several in zip(refused, sought, found, strict=True):
            match = taken_by(about, TAKEN[answer.code], several)
            if several:
                among = [one for one in several if one.lms_id in match.among]
                asked.append(Found(row.person_id, row.revision, match, among))
        await self._note(asked)
        return {one.person_id for one in asked}

    async def adopt(self, row: AccountRow, held: Held) -> tuple[Answer, Noted | None]:
        """Give the linked account the person's key; return the LMS's answer and the account as it then is."""
        key = idnumber(self._trust.vpd, row.person_id)
        answer = await self._accounts.adopt(held.lms_id, key)
        candidate = held.candidate(held.lms_id)
        if not answer.taken or candidate is None:
            return answer, None
        return answer, Noted(row.person_id, row.revision, _as_seen(key, candidate), done=False)

    async def give_back(self) -> int:
        """Return accounts whose link an operator has undone; return how many."""
        if monotonic() < self._not_before:
            return 0
        async with self._work.engine.connect() as connection:
            returning = await matches.by_state(connection, self._trust.vpd, "returning", self._trust.lms.rows)
        done = 0
        for held in returning:
            if not await self._restore(held):
                self._not_before = monotonic() + RETURN_AGAIN
                continue
            asked = replace(held, state="asked", lms_id="", excluded=(*held.excluded, held.lms_id))
            async with self._work.unit() as unit:
                await matches.change(unit.connection, self._trust.vpd, asked, self._work.clock.now())
            done += 1
        return done

    async def _restore(self, held: Held) -> bool:
        """Make an account what it was before it was linked, as far as that is known; tell whether that is done.

        User name and address first: they are the person's, who needs them for another account.
        """
        was, ours = held.candidate(held.lms_id), idnumber(self._trust.vpd, held.person_id)
        if was is not None and was.email:
            former = replace(_as_seen(ours, was), auth=self._trust.accounts.auth)
            (answer,) = await self._accounts.update_account([former])
            if not answer.taken and answer.code not in _GONE:
                return False
        before = held.idnumber_before or f"unlinked-{held.lms_id}"
        return (await self._accounts.adopt(held.lms_id, before, instead_of=ours)).taken

    async def _match(self, rows: Sequence[AccountRow], names: Mapping[str, str]) -> dict[str, str]:
        sought = [self._sought(row, names) for row in rows]
        candidates = await self._accounts.candidates(sought)
        async with self._work.engine.connect() as connection:
            on_record = await matches.held(connection, self._trust.vpd, [row.person_id for row in rows])
            ids = [one.lms_id for several in candidates for one in several]
            taken = await matches.taken(connection, self._trust.vpd, ids)
        found = []
        for row, about, several in zip(rows, sought, candidates, strict=True):
            excluded = on_record[row.person_id].excluded if row.person_id in on_record else ()
            free = [one for one in several if one.lms_id not in excluded]
            match = decide(about, row.person.first_name, free, self._trust.accounts.link)
            # Of the others nothing is kept: they are somebody else's.
            free = [one for one in free if one.lms_id == match.lms_id or one.lms_id in match.among]
            owner = taken.get(match.lms_id, row.person_id) if match.verdict == "link" else row.person_id
            if owner != row.person_id:
                match = Match("ask", "belongs-to-another", among=(match.lms_id,))
            elif match.verdict == "link":
                taken[match.lms_id] = row.person_id
            found.append(Found(row.person_id, row.revision, match, free))
        await self._note(found)
        return {one.person_id: one.match.verdict for one in found}

    async def _note(self, found: Sequence[Found]) -> None:
        vpd, now = self._trust.vpd, self._work.clock.now()
        states = {"ask": "asked", "link": "linked", "new": "new"}
        async with self._work.unit() as unit:
            await matches.note(unit.connection, vpd, [one for one in found if one.match.verdict != "new"], now)
            for one in found:
                await self._announce(unit, one)
            noted = [
                Noted(one.person_id, one.revision, matched=states[verdict], done=verdict == "ask")
                for one in found
                for verdict in (one.match.verdict,)
            ]
            await note_accounts(unit.connection, vpd, noted)

    async def _announce(self, unit: Unit, one: Found) -> None:
        vpd, match = self._trust.vpd, one.match
        if match.verdict == "ask":
            event: events.Event = events.PersonMatchNeeded(
                vpd=vpd,
                cause=NO_CAUSE,
                person_id=one.person_id,
                revision=one.revision,
                reason=match.reason,
                candidates=len(one.candidates),
            )
            unit.emit(event, one.person_id, one.revision, match.reason)
        elif match.verdict == "link":
            event = events.PersonLinked(
                vpd=vpd, cause=NO_CAUSE, person_id=one.person_id, revision=one.revision, decided_by=match.reason
            )
            unit.emit(event, one.person_id, one.revision)
            decision = Decision(one.person_id, "link", "rule", match.reason, {"lms_id": match.lms_id})
            await matches.decided(unit.connection, vpd, decision, self._work.clock.now())

    def _sought(self, row: AccountRow, names: Mapping[str, str]) -> Sought:
        by, person = self._trust.accounts.link.by, row.person
        return Sought(
            idnumber=idnumber(self._trust.vpd, row.person_id),
            username=names.get(row.person_id, ""),
            email=person.email,
            first_name=person.first_name,
            last_name=person.last_name,
            employee_number=person.employee_number if by == "employee_number" else "",
            ni_number=person.ni_number if by == "ni_number" else "",
            birth_date=person.birth_date if by == "ni_number" else "",
        )


def _as_seen(key: str, candidate: Candidate) -> Account:
    """The account as it is once it has our key; what it is short of follows from the difference."""
    return Account(
        idnumber=key,
        username=candidate.username,
        first_name=candidate.first_name,
        last_name=candidate.last_name,
        email=candidate.email,
        account_type="PERM",
        suspended=candidate.suspended,
        auth="",
    )
