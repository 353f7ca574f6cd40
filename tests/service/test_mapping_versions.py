"""Versions of mappings on a real database: drafted, checked, previewed, applied, undone, and proposed by themselves."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from esrbridge.embedded import as_role
from services.competency import queue, store, versions, views
from services.competency.handlers import CompetencyHandlers
from shared import events, records
from shared.clock import FixedClock
from shared.config import BridgeConfig
from shared.db.engine import Reader, make_engine
from shared.db.unit import Work
from shared.errors import DecisionError
from shared.mapping_settings import MappingSet, from_json
from shared.messaging.memory import MemoryBroker
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS, LMS, RECORDS

VPD = "991"
FIRE, SAFE, COOKING = "100", "200", "900"
NAMES = {
    FIRE: "NHS|CSTF|Fire Safety - 2 Years|",
    SAFE: "NHS|CSTF|Safeguarding Adults - Level 1 - 3 Years|",
    COOKING: "999|LOCAL|Cooking|",
}
CONFIGURED = [{"competence_id": FIRE, "certification": "FIRE"}]
BOTH = from_json({"mappings": [*CONFIGURED, {"competence_id": SAFE, "certification": "SGA"}], "for_esr": [FIRE]})

Said = tuple[str, dict[str, str]]


@dataclass(slots=True)
class Rig:
    """One replica of the service and what it told."""

    competency: CompetencyHandlers
    work: Work
    reader: Reader
    clock: FixedClock
    told: list[events.Event] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def take(self, *said: Said) -> None:
        """Handle a file, and all that follows."""
        number = next(self.numbers)
        messages = [
            Message(
                exchange=LMS if kind.startswith(("completion", "certification")) else RECORDS,
                type=kind,
                message_id=f"{number}-{line}",
                vpd=VPD,
                body=records.encode(columns),
                stream="lms" if kind.startswith(("completion", "certification")) else "feed",
                file=f"F{number:04d}",
                file_no=number,
                line=line,
            )
            for line, (kind, columns) in enumerate(said, start=1)
        ]
        await self.competency.on_records(messages)
        await self.settle()

    async def hire(self, *person_ids: str) -> None:
        """Have people told of."""
        cause = events.Cause("feed", "F0001", 1)
        for one in person_ids:
            person = events.Person(person_id=one, state="employee", revision=1, hire_date="2026-01-01")
            event = events.EmployeeHired(vpd=VPD, cause=cause, person=person)
            name = events.NAMES[type(event)]
            body = events.encode(event)
            await self.competency.on_events([Message(exchange=EVENTS, type=name, message_id=one, vpd=VPD, body=body)])

    async def settle(self) -> None:
        """Let the tick do all that waits."""
        while await self.competency.tick():
            pass

    async def holds(self) -> list[str]:
        """What each person has, as decided."""
        async with self.work.engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT person_id, source, verdict, decision->>'certification' AS certification "
                    "FROM competency.decisions WHERE verdict <> 'removed' ORDER BY 1, 2, key"
                )
            )
            return [f"{row.person_id} {row.verdict} {row.certification}".strip() for row in rows]

    def names(self) -> list[str]:
        """The events told since the last time."""
        told = [type(one).__name__ for one in self.told]
        self.told.clear()
        return sorted(told)


@asynccontextmanager
async def rigged(database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    """Start the service on a database, with three people who hold fire safety; one has done safeguarding too."""
    config = BridgeConfig.model_validate({"trusts": [{"vpd": VPD, "mappings": CONFIGURED}]})
    engine = make_engine(as_role(database, "competency", passwords["competency"]), name="test", pool=3)
    told: list[events.Event] = []

    def note(message: Message) -> None:
        if message.exchange == EVENTS:
            told.append(events.decode(message.type, message.body))

    broker = MemoryBroker(tap=note)
    await broker.start()
    clock = FixedClock(datetime(2026, 3, 3, 6))  # noqa: DTZ001 - local
    work = Work("competency", engine, broker, clock)
    rig = Rig(CompetencyHandlers(work, config), work, Reader(engine, "competency"), clock, told)
    try:
        await rig.take(*(definition(key) for key in NAMES))
        await rig.hire("1", "2", "3")
        await rig.take(
            *(achieved(one) for one in "123"), achieved("1", SAFE), achieved("2", COOKING), completed("3", "SGA")
        )
        told.clear()
        yield rig
    finally:
        await engine.dispose()


def definition(key: str, name: str = "", start: str = "2020-01-01", end: str = "") -> Said:
    said = {"competence_id": key, "competence_name": name or NAMES[key], "date_from": start}
    return "competence.upsert", said | ({"date_to": end} if end else {})


def achieved(person: str, competence: str = FIRE) -> Said:
    return "competency_element.upsert", {
        "competency_element_id": f"{person}{competence}",
        "competency_type": "PERSONAL",
        "competency_name": NAMES[competence],
        "competence_id": competence,
        "person_id": person,
        "date_from": "2026-02-01",
    }


def completed(person: str, certification: str) -> Said:
    return "completion.upsert", {
        "reference": f"r{person}",
        "user_idnumber": f"{VPD}-{person}",
        "certification_idnumber": certification,
        "completed_at": "2026-03-02T10:00:00",
    }


START = [
    "1 certification FIRE",
    "1 evidence",
    "2 certification FIRE",
    "2 evidence",
    "3 certification FIRE",
    "3 unmapped SGA",
]
AFTER = [
    "1 certification FIRE",
    "1 certification SGA",
    "2 certification FIRE",
    "2 evidence",
    "3 certification FIRE",
    "3 to_esr SGA",
]


async def drafted(rig: Rig, said: MappingSet = BOTH) -> None:
    await rig.competency.desk.draft(VPD, said, "sam", "safeguarding is trained in the LMS now")


async def test_a_trust_without_versions_works_by_bridge_yaml(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig:
        assert await rig.holds() == START
        shown = await rig.competency.desk.show(VPD)
        assert (shown["version"], shown["draft"], shown["later"]) == (0, None, None)
        assert shown["in_force"]["mappings"] == CONFIGURED


async def test_a_draft_changes_nothing_and_its_preview_tells_what_applying_it_then_does(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await drafted(rig)
        assert await rig.competency.tick() == 0
        told = await rig.competency.desk.preview(VPD, 10)
        assert (told["version"], told["in_place_of"], told["people_looked_at"]) == (1, 0, 2)
        assert [(one["direction"], one["certification"], one["gain"], one["lose"]) for one in told["changes"]] == [
            ("evidence", "", {"people": 0, "person_ids": []}, {"people": 1, "person_ids": ["1"]}),
            ("to-esr", "SGA", {"people": 1, "person_ids": ["3"]}, {"people": 0, "person_ids": []}),
            ("to-lms", "SGA", {"people": 1, "person_ids": ["1"]}, {"people": 0, "person_ids": []}),
        ]
        assert (await rig.holds(), rig.names()) == (START, [])
        done = await rig.competency.desk.apply(VPD, "sam", "agreed by the board")
        assert (done["version"], done["people"]) == (1, 2)
        await rig.settle()
        assert await rig.holds() == AFTER
        assert rig.names() == ["CertificationCompleted", "CompetenceAchieved"]


async def test_undo_goes_back_to_bridge_yamls_mappings_and_takes_nothing_back_that_esr_was_told(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await drafted(rig)
        await rig.competency.desk.apply(VPD, "sam", "agreed")
        await rig.settle()
        rig.names()
        undone = await rig.competency.desk.undo(VPD, "kim", "too early")
        await rig.settle()
        assert (undone["undone"], undone["people"]) == (1, 2)
        assert await rig.holds() == [*START[:5], "3 to_esr SGA"]
        assert rig.names() == ["EvidenceRecorded"]
        with pytest.raises(DecisionError, match="no version before"):
            await rig.competency.desk.undo(VPD, "kim", "once more")
        async with rig.reader.trust(VPD) as connection:
            done = await versions.history(connection, VPD)
        assert [(one["action"], one["version"], one["who"]) for one in done] == [
            ("undo", 1, "kim"),
            ("apply", 1, "sam"),
            ("apply", 2, "bridge.yaml"),
            ("draft", 1, "sam"),
        ]


async def test_applying_the_same_again_tells_nothing_twice_to_esr(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig:
        for _ in range(2):
            await drafted(rig)
            await rig.competency.desk.apply(VPD, "sam", "agreed")
            await rig.settle()
            await rig.competency.desk.undo(VPD, "kim", "too early")
            await rig.settle()
        assert rig.names().count("CertificationCompleted") == 1


async def test_a_draft_with_errors_is_not_applied(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig:
        await drafted(rig, from_json({"mappings": [{"competence_id": "777", "certification": "X"}]}))
        found = await rig.competency.desk.check(VPD)
        assert (found["errors"], found["findings"][0]["code"], found["version"]) == (1, "ME01", 1)
        with pytest.raises(DecisionError, match="ME01"):
            await rig.competency.desk.apply(VPD, "sam", "agreed")


async def test_nothing_is_done_without_who_and_why_nor_without_a_draft(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        for refused in (
            rig.competency.desk.draft(VPD, BOTH, "sam", " "),
            rig.competency.desk.apply(VPD, "", "why"),
            rig.competency.desk.apply(VPD, "sam", "no draft"),
            rig.competency.desk.preview(VPD, 1),
            rig.competency.desk.discard(VPD, "sam", "no draft"),
            rig.competency.desk.undo(VPD, "sam", "nothing applied"),
        ):
            with pytest.raises(DecisionError):
                await refused


async def test_a_draft_begun_before_another_version_was_applied_is_drafted_again(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await drafted(rig)
        await rig.competency.desk.apply(VPD, "sam", "agreed")
        await drafted(rig, MappingSet())
        await rig.competency.desk.undo(VPD, "kim", "too early")
        with pytest.raises(DecisionError, match="another version"):
            await rig.competency.desk.apply(VPD, "sam", "agreed")


async def test_a_version_applied_for_a_later_day_comes_into_force_on_that_day(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await drafted(rig)
        await rig.competency.desk.apply(VPD, "sam", "agreed", date(2026, 4, 1))
        rig.clock.set(datetime(2026, 3, 31, 23, 59))  # noqa: DTZ001 - local
        await rig.settle()
        assert await rig.holds() == START
        assert (await rig.competency.desk.show(VPD))["later"] == {"version": 1, "from": "2026-04-01"}
        rig.clock.set(datetime(2026, 4, 1, 0, 1))  # noqa: DTZ001 - local
        await rig.settle()
        assert await rig.holds() == AFTER
        assert (await rig.competency.desk.show(VPD))["later"] is None


async def test_a_version_to_come_can_be_called_off(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig:
        await drafted(rig)
        await rig.competency.desk.apply(VPD, "sam", "agreed", date(2026, 4, 1))
        await rig.competency.desk.undo(VPD, "kim", "not yet")
        rig.clock.set(datetime(2026, 4, 2, 6))  # noqa: DTZ001 - local
        await rig.settle()
        assert await rig.holds() == START


async def test_what_arrived_unmapped_is_told_once_for_each_competence_and_listed_with_counts(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(achieved("3", COOKING))
        assert rig.names() == ["EvidenceRecorded"]
        await rig.hire("4")
        await rig.take(achieved("4", COOKING), completed("4", "SGA"), definition("901", "999|LOCAL|Knots|"))
        missing = [one for one in rig.told if isinstance(one, events.MappingMissing)]
        assert [(one.kind, one.name) for one in missing] == [("certification", "SGA")]
        async with rig.reader.trust(VPD) as connection:
            listed = await queue.missing(connection, VPD)
        assert [(one["kind"], one["name"], one["records"], one["people"]) for one in listed] == [
            ("competence", NAMES[COOKING], 3, 3),
            ("certification", "SGA", 2, 2),
            ("competence", NAMES[SAFE], 1, 1),
        ]


async def test_a_new_version_of_a_competence_is_drafted_by_itself_and_not_again_once_discarded(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        news = (
            definition(FIRE, end="2026-03-31"),
            definition("101", "NHS|CSTF|Fire Safety - 1 Year|", "2026-04-01"),
        )
        await rig.take(*news)
        draft = (await rig.competency.desk.show(VPD))["draft"]
        assert (draft["who"], draft["why"]) == ("the bridge", "ESR ended 100 and started 101")
        assert [one.get("competence_id") for one in draft["content"]["mappings"]] == [FIRE, FIRE, "101"]
        assert (await rig.competency.desk.check(VPD))["errors"] == 0
        assert await rig.holds() == START
        await rig.competency.desk.discard(VPD, "sam", "we do it by hand")
        await rig.take(*news)
        assert (await rig.competency.desk.show(VPD))["draft"] is None


async def test_definitions_are_listed_with_subject_and_level(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig, rig.reader.trust(VPD) as connection:
        listed = await views.definitions(connection, VPD)
    assert [(one["competence_id"], one["subject"], one["level"], one["period"]) for one in listed] == [
        (COOKING, None, None, None),
        (FIRE, "fire_safety", "1", "2 years"),
        (SAFE, "safeguarding_adults", "1", "3 years"),
    ]


async def test_everyone_concerned_is_decided_again_in_bounded_batches(
    database: str, passwords: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.competency.handlers.TICK_PEOPLE", 1)
    async with rigged(database, passwords) as rig:
        await drafted(rig, MappingSet())
        assert (await rig.competency.desk.apply(VPD, "sam", "start anew"))["people"] == 3
        assert [await rig.competency.tick() for _ in range(4)] == [1, 1, 1, 0]
        async with rig.reader.trust(VPD) as connection:
            assert await store.count_by_verdict(connection, VPD) == {"evidence": 5, "unmapped": 1}
