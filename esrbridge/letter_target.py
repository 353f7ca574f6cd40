"""The actions upon dead letters, on whichever kind of target: a running console, or a folder's own tables."""

import asyncio
import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from esrbridge.embedded import Bridge
from esrbridge.once import clock_at, with_bridge
from esrbridge.remote import is_url
from esrbridge.targets import Target as Place
from services.console import actions, audit, operations, store
from services.console.actions import Operator
from services.console.checking import Schemas
from services.console.domain import Kind, State
from services.console.grouping import groups
from services.console.limits import Limits
from services.console.planning import Pace, Planner
from services.console.search import LONGEST_PAGE, Search, Selection, page
from services.console.showing import history
from shared.errors import ConfigurationError

LETTERS: Final = "/dead-letters"
RUNS: Final = "/dead-letter-runs"
PAUSE: Final = 0.5
"""Seconds between two looks at a run that waits."""

AT_WORK: Final = ("collecting", "running")


class Letters:
    """Dead letters of a target, in the name of whoever is logged in here."""

    def __init__(self, target: str, trust: str, now: Any = None) -> None:  # noqa: ANN401 - typer's datetime or None
        self._place = Place("console", target, trust, now)
        self._remote = is_url(target)
        self._folder = Path(target)
        self._trust = trust
        self._now = now
        self._who = getpass.getuser()

    async def listing(self, search: Search, limit: int) -> list[dict[str, Any]]:
        """Return letters that match, of all the folder's trusts unless one is named."""
        if self._remote:
            return await self._pages(search, limit)

        async def work(bridge: Bridge) -> dict[str, Any]:
            found: list[dict[str, Any]] = []
            for vpd in self._trusts(bridge):
                found += [actions.summary(row) for row in await _rows(bridge, vpd, search, limit - len(found))]
            return {"letters": found}

        return list((await with_bridge(self._folder, clock_at(self._now), work))["letters"])

    async def groups(self, state: State) -> list[dict[str, Any]]:
        """Return the causes of a trust's letters."""
        return list(await self._place.get(f"{LETTERS}/groups", lambda read, vpd: groups(read, vpd, state), state=state))

    async def show(self, letter: str, *, reveal: bool) -> dict[str, Any]:
        """Return one letter."""
        self._reveals(reveal)
        if self._remote:
            return dict(await self._place.ask("GET", f"{LETTERS}/{letter}"))

        async def work(bridge: Bridge) -> dict[str, Any]:
            row = await self._find(bridge, letter)
            return actions.detail(row, reveal=reveal, schemas=Schemas(bridge.config))

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def edits(self, letter: str, *, reveal: bool) -> list[dict[str, Any]]:
        """Return every edit of a letter."""
        self._reveals(reveal)
        if self._remote:
            return list(await self._place.ask("GET", f"{LETTERS}/{letter}/edits"))

        async def work(bridge: Bridge) -> dict[str, Any]:
            row = await self._find(bridge, letter)
            async with bridge.readers["console"].trust(row.vpd) as connection:
                return {"edits": history(row, await store.edits(connection, row.vpd, row.id), reveal=reveal)}

        return list((await with_bridge(self._folder, clock_at(self._now), work))["edits"])

    async def edit(self, letter: str, changes: dict[str, str], why: str, *, replay: bool) -> dict[str, Any]:
        """Change a letter's record, and send it when asked to."""
        if self._remote:
            path = f"{LETTERS}/{letter}/{'edit-and-replay' if replay else 'edit'}"
            return dict(await self._place.ask("POST", path, json=self._decision(why) | {"columns": changes}))

        async def work(bridge: Bridge) -> dict[str, Any]:
            row = await self._find(bridge, letter)
            operator = self._operator(bridge)
            if not replay:
                return await operator.edit(row.vpd, row.id, changes, why)
            done = await operator.edit_and_replay(row.vpd, row.id, changes, why)
            await bridge.until_idle()
            return done | {"state": (await self._find(bridge, row.id)).state}

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def discard(self, letter: str, why: str) -> dict[str, Any]:
        """Close a letter."""
        return await self._close(letter, why, "discard", "discarded")

    async def undo(self, letter: str, why: str) -> dict[str, Any]:
        """Open a discarded letter again."""
        return await self._close(letter, why, "undo", "open")

    async def replay(self, letters: list[str], everything: bool, code: str, why: str) -> list[dict[str, Any]]:
        """Replay letters one by one, and say what became of them."""
        search, most = Search(code=code), Limits().replays_alone
        if self._remote:
            found = await self._pages(search, most + 1) if everything else []
            chosen = [*letters, *(letter["id"] for letter in found)]
            _few(chosen, most)
            return [
                await self._place.ask("POST", f"{LETTERS}/{one}/replay", json=self._decision(why)) | {"code": ""}
                for one in chosen
            ]

        async def work(bridge: Bridge) -> dict[str, Any]:
            rows = [await self._find(bridge, letter) for letter in letters]
            for vpd in self._trusts(bridge) if everything else ():
                rows += await _rows(bridge, vpd, search, most + 1)
            _few(rows, most)
            for row in rows:
                await self._operator(bridge).replay(row.vpd, row.id, why)
            await bridge.until_idle()
            return {"letters": [actions.summary(await self._find(bridge, row.id)) for row in rows]}

        return list((await with_bridge(self._folder, clock_at(self._now), work))["letters"])

    async def change(
        self,
        action: str,
        selection: Selection,
        why: str,
        **values: Any,  # noqa: ANN401 - what the action takes
    ) -> dict[str, Any]:
        """Assign, hold, note or link letters; return how many."""
        if self._remote:
            told = {name: str(value) if name == "until" and value else value for name, value in values.items()}
            said = self._decision(why) | _chosen(selection) | told
            return dict(await self._place.ask("POST", f"{LETTERS}/{action}", json=said))

        async def act(bridge: Bridge, vpd: str) -> dict[str, int]:
            whole = await _whole_ids(bridge, vpd, selection)
            return {"letters": await getattr(self._operator(bridge), action)(vpd, whole, why=why, **values)}

        return dict(await self._place.on_folder(act))

    async def plan(self, kind: Kind, selection: Selection, why: str, pace: Pace) -> dict[str, Any]:
        """Make a plan."""
        if self._remote:
            how = {"kind": kind, "canary": pace.canary, "per_second": pace.per_second}
            how |= {"allowed_percent": pace.allowed_percent, "insist": pace.insist}
            return dict(await self._place.ask("POST", RUNS, json=self._decision(why) | _chosen(selection) | how))

        async def act(bridge: Bridge, vpd: str) -> dict[str, Any]:
            whole = await _whole_ids(bridge, vpd, selection)
            return await self._planner(bridge).plan(vpd, kind, whole, self._who, why, pace)

        return dict(await self._place.on_folder(act))

    async def decide(self, number: int, action: str, why: str) -> dict[str, Any]:
        """Approve, start, pause, resume, stop or undo a plan; in a folder a run is watched until it stands still."""
        if self._remote:
            return dict(await self._place.ask("POST", f"{RUNS}/{number}/{action}", json=self._decision(why)))

        async def act(bridge: Bridge, vpd: str) -> dict[str, Any]:
            planner = self._planner(bridge)
            told: dict[str, Any] = await getattr(planner, action)(vpd, number, self._who, why)
            while told["state"] in AT_WORK:
                await bridge.until_idle()
                told = await planner.show(vpd, number)
                if told["state"] in AT_WORK:
                    await asyncio.sleep(PAUSE)
            return told

        return dict(await self._place.on_folder(act))

    async def runs(self, number: int, *, letters: bool) -> Any:  # noqa: ANN401 - JSON
        """Return plans and runs, or one of them, or its letters."""
        if not number:
            return await self._place.get(RUNS, operations.listed)
        if letters:
            return await self._place.get(
                f"{RUNS}/{number}/letters",
                lambda read, vpd: operations.items(read, vpd, number, limit=LONGEST_PAGE),
                limit=LONGEST_PAGE,
            )
        return await self._place.get(f"{RUNS}/{number}", lambda read, vpd: operations.shown(read, vpd, number))

    async def audit(self, letter: str, plan: int, after: int, limit: int) -> Any:  # noqa: ANN401 - JSON
        """Return who did what."""
        asked: dict[str, Any] = {"letter": letter, "operation": plan, "after": after, "limit": limit}
        return await self._place.get(f"{LETTERS}/audit", lambda read, vpd: audit.read(read, vpd, **asked), **asked)

    async def _close(self, letter: str, why: str, action: str, state: str) -> dict[str, Any]:
        if self._remote:
            return dict(await self._place.ask("POST", f"{LETTERS}/{letter}/{action}", json=self._decision(why)))

        async def work(bridge: Bridge) -> dict[str, Any]:
            row = await self._find(bridge, letter)
            await getattr(self._operator(bridge), action)(row.vpd, row.id, why)
            return {"id": row.id, "state": state}

        return await with_bridge(self._folder, clock_at(self._now), work)

    async def _pages(self, search: Search, limit: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = msgspec.to_builtins(search) | {"state": search.state or "any"}
        while len(found) < limit:
            params["limit"] = min(LONGEST_PAGE, limit - len(found))
            more = await self._place.ask("GET", LETTERS, params=params)
            found += more
            if len(more) < params["limit"]:
                break
            params["after"] = more[-1]["id"]
        return found

    async def _find(self, bridge: Bridge, letter: str) -> store.AnyRow:
        found: list[store.AnyRow] = []
        for vpd in self._trusts(bridge):
            async with bridge.readers["console"].trust(vpd) as connection:
                found += await store.starting_with(connection, vpd, letter)
        if len(found) != 1:
            raise ConfigurationError(f"{len(found)} dead letters begin with {letter}; one is needed")
        return found[0]

    def _reveals(self, reveal: bool) -> None:
        if self._remote and reveal:
            raise ConfigurationError("a running console reveals no values; --reveal is for one-shot folders")

    def _trusts(self, bridge: Bridge) -> list[str]:
        return [trust.vpd for trust in bridge.config.trusts if self._trust in ("", trust.vpd)]

    def _operator(self, bridge: Bridge) -> Operator:
        return Operator(bridge.components["console"].work, self._who, Schemas(bridge.config))

    def _planner(self, bridge: Bridge) -> Planner:
        return Planner(bridge.components["console"].work, Schemas(bridge.config))

    def _decision(self, why: str) -> dict[str, Any]:
        return {"who": self._who, "why": why}


async def _rows(bridge: Bridge, vpd: str, search: Search, limit: int) -> list[store.AnyRow]:
    now = bridge.components["console"].work.clock.now()
    found: list[store.AnyRow] = []
    async with bridge.readers["console"].trust(vpd) as connection:
        while len(found) < limit:
            most = min(LONGEST_PAGE, limit - len(found))
            more = await page(connection, vpd, search, now, after=found[-1].id if found else "", limit=most)
            found += more
            if len(more) < most:
                break
    return found


async def _whole_ids(bridge: Bridge, vpd: str, selection: Selection) -> Selection:
    """Return the selection with whole ids in the place of their first characters."""
    whole: list[str] = []
    async with bridge.readers["console"].trust(vpd) as connection:
        for one in selection.ids:
            found = await store.starting_with(connection, vpd, one)
            if len(found) != 1:
                raise ConfigurationError(f"{len(found)} dead letters begin with {one}; one is needed")
            whole.append(found[0].id)
    return Selection(ids=tuple(whole), search=selection.search)


def _chosen(selection: Selection) -> dict[str, Any]:
    match: Mapping[str, Any] | None = msgspec.to_builtins(selection.search) if selection.search else None
    return {"ids": list(selection.ids), "match": match}


def _few(chosen: Sequence[object], most: int) -> None:
    if len(chosen) > most:
        raise ConfigurationError(f"these are more than {most} letters; make a plan with 'esrbridge dead plan'")
