"""What operators do with mappings: draft, check, preview, apply, undo. Everything is written down with who and why."""

from datetime import date
from typing import Any, Final

from sqlalchemy import Row, select

from services.competency import queue, store, versions
from services.competency.catalogue import Catalogue, names_of
from services.competency.checking import check
from services.competency.deriver import Deriver
from services.competency.preview import Preview, changed_rows
from services.competency.proposing import propose
from services.competency.schema import MAPPING_VERSIONS
from services.competency.versions import BRIDGE_YAML, Standing
from shared.db.facts import FactStore
from shared.db.unit import Unit, Work
from shared.errors import DecisionError
from shared.mapping_settings import MappingSet, as_json, from_json

FIRST: Final = ("bridge.yaml", "the mappings of bridge.yaml, before the first version was applied")
ITSELF: Final = "the bridge"


class MappingDesk:
    """Looks at and changes the mappings of trusts."""

    def __init__(self, work: Work, deriver: Deriver, facts: FactStore) -> None:
        self._work = work
        self._deriver = deriver
        self._preview = Preview(work, facts)

    async def show(self, vpd: str) -> dict[str, Any]:
        """Return the mappings in force, what will be in force later, and the draft."""
        async with self._work.unit() as unit:
            stands = await versions.standing(unit.connection, vpd)
            content = await self._deriver.content(unit, vpd, stands.version)
            draft = await versions.draft(unit.connection, vpd)
        later = {"version": stands.next_version, "from": str(stands.next_on)} if stands.next_version else None
        return {
            "version": stands.version,
            "in_force": as_json(content),
            "later": later,
            "draft": _told(draft) if draft else None,
        }

    async def version(self, vpd: str, number: int) -> dict[str, Any]:
        """Return what a version says, as JSON of a mapping set; 0: ``bridge.yaml``. Raises DecisionError."""
        async with self._work.unit() as unit:
            return as_json(await self._deriver.content(unit, vpd, number))

    async def draft(self, vpd: str, said: MappingSet, who: str, why: str) -> dict[str, Any]:
        """Begin a draft, or put another content into the one there is. Nothing changes until it is applied."""
        _needs_a_reason(who, why)
        async with self._work.unit() as unit:
            stands = await versions.lock(unit.connection, vpd)
            number = await self._write(unit, vpd, stands, said, who, why)
        return {"version": number, "mappings": len(said.mappings)}

    async def discard(self, vpd: str, who: str, why: str) -> dict[str, Any]:
        """Throw the draft away. Raises DecisionError when there is none."""
        _needs_a_reason(who, why)
        async with self._work.unit() as unit:
            await versions.lock(unit.connection, vpd)
            draft = await _draft(unit, vpd)
            await versions.change(unit.connection, vpd, draft.version, state="discarded")
            await self._note(unit, vpd, "discard", draft.version, who, why)
        return {"discarded": draft.version}

    async def check(self, vpd: str) -> dict[str, Any]:
        """Check the draft, or what is in force when there is none."""
        async with self._work.unit() as unit:
            said, number = await self._looked_at(unit, vpd)
            catalogue = await self._deriver.catalogue(unit, vpd, said)
        found = check(catalogue, self._work.clock.today())
        return {
            "version": number,
            "errors": sum(one.forbids for one in found),
            "findings": [one.as_json() for one in found],
        }

    async def preview(self, vpd: str, limit: int) -> dict[str, Any]:
        """Return whom applying the draft would change, and how. Raises DecisionError when there is none."""
        async with self._work.unit() as unit:
            stands = await versions.standing(unit.connection, vpd)
            now = await self._deriver.content(unit, vpd, stands.version)
            draft = await _draft(unit, vpd)
        told = await self._preview.of(vpd, now, from_json(draft.content), limit)
        return {"version": draft.version, "in_place_of": stands.version, **told}

    async def apply(self, vpd: str, who: str, why: str, day: date | None = None) -> dict[str, Any]:
        """Put the draft into force, today or on a later ``day``; those concerned are decided for again soon.

        Raises DecisionError when there is no draft, it was begun under another version, or it has errors.
        """
        _needs_a_reason(who, why)
        async with self._work.unit() as unit:
            stands = await versions.lock(unit.connection, vpd)
            draft = await _draft(unit, vpd)
            if draft.base != stands.version or stands.next_version is not None:
                raise DecisionError("another version was applied since the draft was begun; draft it again")
            await self._refuse_errors(unit, vpd, from_json(draft.content))
            before = await self._keep_configured(unit, vpd, stands)
            await versions.change(
                unit.connection, vpd, draft.version, state="applied", before=before, who=who, why=why, at=self._now
            )
            await self._note(unit, vpd, "apply", draft.version, who, why)
            if day is not None and day > self._work.clock.today():
                await versions.stand(unit.connection, vpd, Standing(before, draft.version, day))
                return {"version": draft.version, "from": day.isoformat(), "people": 0}
            people = await self._bring(unit, vpd, before, draft.version)
        return {"version": draft.version, "from": self._work.clock.today().isoformat(), "people": people}

    async def undo(self, vpd: str, who: str, why: str) -> dict[str, Any]:
        """Go back to the version before, or call off one that is to come. Raises DecisionError when there is none."""
        _needs_a_reason(who, why)
        async with self._work.unit() as unit:
            stands = await versions.lock(unit.connection, vpd)
            undone, people = stands.next_version or stands.version, 0
            if stands.next_version is not None:
                await versions.stand(unit.connection, vpd, Standing(stands.version))
                await versions.change(unit.connection, vpd, stands.next_version, state="discarded")
                back = stands.version
            else:
                row = await versions.version(unit.connection, vpd, stands.version)
                if row is None or row.before is None:
                    raise DecisionError("there is no version before this one")
                back = row.before
                people = await self._bring(unit, vpd, stands.version, back)
            await self._note(unit, vpd, "undo", undone, who, why)
        return {"undone": undone, "version": back, "people": people}

    async def begin(self, vpd: str) -> None:
        """Bring the version into force whose day has come."""
        async with self._work.unit() as unit:
            stands = await versions.lock(unit.connection, vpd)
            if stands.next_version is None or stands.next_on is None or stands.next_on > self._work.clock.today():
                return  # another replica did it
            await self._bring(unit, vpd, stands.version, stands.next_version)
            await self._note(unit, vpd, "begin", stands.next_version, ITSELF, f"applied for {stands.next_on}")

    async def propose(self, vpd: str) -> int:
        """Draft mappings for new versions of competences, where ESR ended one and started another; return the draft.

        Nothing is proposed over somebody's draft, nor what was discarded before; ``check`` tells of it all the same.
        """
        async with self._work.unit() as unit:
            stands = await versions.standing(unit.connection, vpd)
            content = await self._deriver.content(unit, vpd, stands.version)
            said, why = propose(await self._deriver.catalogue(unit, vpd, content))
            if not why:
                return 0
            stands = await versions.lock(unit.connection, vpd)
            if await versions.draft(unit.connection, vpd) or await _said_before(unit, vpd, said):
                return 0
            return await self._write(unit, vpd, stands, said, ITSELF, why)

    @property
    def _now(self) -> Any:  # noqa: ANN401 - a column's value
        return self._work.clock.now()

    async def _write(self, unit: Unit, vpd: str, stands: Standing, said: MappingSet, who: str, why: str) -> int:
        draft = await versions.draft(unit.connection, vpd)
        if draft is None:
            number = await versions.add(
                unit.connection, vpd, said, state="draft", base=stands.version, who=who, why=why, at=self._now
            )
        else:
            number = draft.version
            content = {"content": as_json(said), "base": stands.version, "who": who, "why": why, "at": self._now}
            await versions.change(unit.connection, vpd, number, **content)
        await self._note(unit, vpd, "draft", number, who, why)
        return number

    async def _looked_at(self, unit: Unit, vpd: str) -> tuple[MappingSet, int]:
        draft = await versions.draft(unit.connection, vpd)
        if draft is not None:
            return from_json(draft.content), draft.version
        stands = await versions.standing(unit.connection, vpd)
        return await self._deriver.content(unit, vpd, stands.version), stands.version

    async def _refuse_errors(self, unit: Unit, vpd: str, said: MappingSet) -> None:
        found = check(await self._deriver.catalogue(unit, vpd, said), self._work.clock.today())
        errors = [one for one in found if one.forbids]
        if errors:
            raise DecisionError(f"the draft has {len(errors)} errors, the first: {errors[0].code} {errors[0].sentence}")

    async def _keep_configured(self, unit: Unit, vpd: str, stands: Standing) -> int:
        """Store what ``bridge.yaml`` says as the first version, so that it can be gone back to; return its number."""
        if stands.version != BRIDGE_YAML:
            return stands.version
        said, (who, why) = self._deriver.configured(vpd), FIRST
        number = await versions.add(
            unit.connection, vpd, said, state="applied", base=BRIDGE_YAML, who=who, why=why, at=self._now
        )
        await self._note(unit, vpd, "apply", number, who, why)
        await versions.stand(unit.connection, vpd, Standing(number))
        return number

    async def _bring(self, unit: Unit, vpd: str, old: int, new: int) -> int:
        """Put a version into force in the place of another; return how many people wait to be decided for again."""
        before, then = await self._deriver.content(unit, vpd, old), await self._deriver.content(unit, vpd, new)
        rows = changed_rows(before, then)
        names = names_of(rows, Catalogue(await store.definitions(unit.connection, vpd), then))
        await versions.stand(unit.connection, vpd, Standing(new))
        return await queue.enqueue(unit.connection, vpd, names, sorted({row.certification for row in rows}))

    async def _note(self, unit: Unit, vpd: str, action: str, number: int, who: str, why: str) -> None:
        await versions.note(unit.connection, vpd, action, number, who, why, self._now)


async def _draft(unit: Unit, vpd: str) -> Row[Any]:
    draft = await versions.draft(unit.connection, vpd)
    if draft is None:
        raise DecisionError("there is no draft of the mappings")
    return draft


async def _said_before(unit: Unit, vpd: str, said: MappingSet) -> bool:
    mine = (MAPPING_VERSIONS.c.vpd == vpd) & (MAPPING_VERSIONS.c.state == "discarded")
    contents = await unit.connection.scalars(select(MAPPING_VERSIONS.c.content).where(mine))
    return as_json(said) in list(contents)


def _told(row: Row[Any]) -> dict[str, Any]:
    at = row.at.isoformat(timespec="seconds")
    return {"version": row.version, "who": row.who, "why": row.why, "at": at, "content": row.content}


def _needs_a_reason(who: str, why: str) -> None:
    if not who.strip() or not why.strip():
        raise DecisionError("say who decides, and why")
