"""Trusts of a bridge that runs in this process, for tests that give them files and look at what became of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from esrbridge.embedded import STATE, Bridge, archive_of, open_bridge
from esrbridge.lms import IN_PROCESS, embedded_site
from esrbridge.report import collect
from services.competency import store as competency
from services.confirmations import store as confirmations
from services.ingest.actions import Action, FileDesk
from services.ingest.archive import Archive
from services.outbound import store as outbound
from services.people import store as people
from shared.accounting import Fate
from shared.clock import FixedClock
from shared.config import BridgeConfig
from shared.db.ledger import Ledger
from tests.e2e import feed, story

LMS = "lms-{vpd}.sqlite"
STATES = {"people": people, "competency": competency, "outbound": outbound, "confirmations": confirmations}
PERSONAL = (
    "Sampleton", "Fern", "Mockford", "Rowan", "Placeholder", "Zo\u00eb", "Specimen", "Orla", "Loosestrife",
    "QQ1234", "19900115", "1990-01-15", "@trust", "@mail",
)  # fmt: skip
"""Names, birth dates, NI numbers and mail addresses of the people in the files of these tests."""


@dataclass(frozen=True)
class Trust:
    """One trust of the bridge."""

    vpd: str
    bridge: Bridge
    folder: Path
    clock: FixedClock

    def put(self, name: str, content: bytes) -> Path:
        return story.put(self.folder, self.vpd, name, content)

    async def night(self) -> dict[str, Any]:
        """Let the bridge work; return what it reports of this trust, and check that nothing in it is personal."""
        await self.bridge.until_idle()
        report = await collect(self.bridge)
        told = json.dumps(report, ensure_ascii=False) + (self.folder / STATE / "bridge.log").read_text("utf-8")
        assert [secret for secret in PERSONAL if secret in told] == []
        trust: dict[str, Any] = report["trusts"][self.vpd]
        return trust | {"exit": report["exit"]}

    async def held(self) -> dict[str, Any]:
        """Everything that the bridge and the LMS hold of this trust, apart from the list of files."""
        rows: dict[str, Any] = {}
        for service, store in STATES.items():
            async with self.bridge.components[service].work.engine.connect() as connection:
                for table in store.METADATA.sorted_tables:
                    if table.name != "outbox":
                        found = await connection.execute(select(table).where(table.c.vpd == self.vpd))
                        rows[table.fullname] = sorted(map(repr, found))
        lms = story.prepare_lms(self.folder / LMS.format(vpd=self.vpd), self.vpd)
        return rows | {"accounts": lms.accounts(), "lms": lms.certifications(), "evidence": lms.evidence()}

    async def fates(self, name: str) -> dict[int, Fate]:
        async with self.bridge.readers["ingest"].trust(self.vpd) as connection:
            blocks = await Ledger("ingest").blocks(connection, (self.vpd, name.format(vpd=self.vpd)))
        return {line.line: line.fate for block in blocks for line in block.lines()}

    def sent(self, kind: str) -> list[list[list[str]]]:
        """Return the files of a kind in ``to-esr`` in the order of their numbers, each as its lines' columns."""
        return [
            [line.split("~") for line in path.read_bytes().decode("iso-8859-1").split("\r\n")[:-1]]
            for path in sorted((self.folder / self.vpd / "to-esr").glob(f"*_{kind}_*"), key=lambda one: one.name[-12:])
        ]


@asynccontextmanager
async def open_trust(folder: Path, vpd: str, *, now: str = story.NOW, **settings: Any) -> AsyncIterator[Trust]:
    """Open a bridge that serves one trust of the story, with further settings of its section of ``bridge.yaml``."""
    lms = {"driver": "sandbox", "url": IN_PROCESS + LMS.format(vpd=vpd)}
    config = BridgeConfig.model_validate({"trusts": [story.trust(vpd, lms) | settings]})
    story.prepare_lms(folder / LMS.format(vpd=vpd), vpd)
    clock = FixedClock(datetime.fromisoformat(now))
    async with open_bridge(config, folder, clock, site=embedded_site) as bridge:
        yield Trust(vpd, bridge, folder, clock)


def put(trust: Trust, day: date, seq: int, people: Any, *, full: bool = False, since: date | None = None) -> str:
    """Give the trust a feed file of these people and return its name."""
    content = feed.feed(trust.vpd, day, seq, feed.staff(people), full=full, since=since)
    return trust.put(feed.name(trust.vpd, day, seq, full=full), content).name


def status(report: dict[str, Any], name: str) -> tuple[str, str]:
    """Return status and code of a file in a report."""
    (found,) = [file for file in report["files"] if file["name"] == name.format(vpd=report["files"][0]["vpd"])]
    return found["status"], found["code"]


async def act(trust: Trust, action: Action, name: str, why: str = "agreed with ESR") -> dict[str, Any]:
    """Do with a file what an operator would."""
    archive = Archive(archive_of(trust.folder))
    return await FileDesk(trust.bridge.components["ingest"].work, archive.path, "a.nother").act(
        action, trust.vpd, name, why
    )


def later(trust: Trust, **time: int) -> None:
    """Let business time pass."""
    trust.clock.set(trust.clock.now() + timedelta(**time))
