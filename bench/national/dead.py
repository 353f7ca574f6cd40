"""Replay of dead letters through the console's own plans and runs, against the first processing of as many records.

The run is compared: a plan is made before, perhaps by another person on another day. Its time is told, too.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.national import files
from bench.national.watching import until, watching
from bench.national.whole import PATIENCE, VPD
from bench.national.world import AWAY, TOKEN, Servers, World, world
from esrbridge.letter_target import Letters
from services.console.planning import Pace
from services.console.search import Search, Selection
from services.ingest.esr_files import EsrFiles
from services.ingest.source import Place
from services.ingest.steps import StepReader
from services.ingest.turns import Turn
from shared.esr.profile import load_profile
from shared.messaging.message import Message
from shared.messaging.rabbitmq import RabbitBroker
from shared.messaging.topology import DEAD

QUEUE: Final = "competency.records"
SOME: Final = 10_000
"""Messages published before the queue is asked whether there is room for more."""

PER_SECOND: Final = 10_000
"""The most that a run may send in a second; unless told otherwise it is 50, so that nobody is flooded."""

SETTINGS: Final = {"ESRBRIDGE_DEAD_REPLAYS_ALONE": "1000000", "ESRBRIDGE_DEAD_IN_FLIGHT": "4000"}
"""No second person, and as many letters on their way as the splitter has records."""

_SERVICES: Final = ("people", "competency", "outbound", "console")


def run(servers: Servers, letters: int) -> dict[str, Any]:
    """Process so many records for the first time, then replay as many that lie in the dead letters."""
    people = -(-2 * letters // files.HELD)
    with world(servers, {VPD: AWAY}) as bridge:
        bridge.start(*_SERVICES, settings=SETTINGS)
        one = files.write_full(bridge.folder, VPD, people)
        everything = messages_of(one.path, VPD)
        learning = [message for message in everything if message.type == "competency_element.upsert"]
        publish(bridge, [message for message in everything if message.type != "competency_element.upsert"])
        until("people known", PATIENCE, lambda: _known(bridge) == people)

        start = time.perf_counter()
        publish(bridge, learning[:letters])
        first = until("the records decided", PATIENCE, lambda: _decided(bridge, letters)) - start

        publish(bridge, [_dead(message) for message in learning[letters : 2 * letters]])
        until("the letters in the console", PATIENCE, lambda: _letters(bridge, "open") == letters)
        pids = {name: process.pid for name, process in bridge.processes.items()} | servers.pids()
        with watching(pids) as watch:
            start = time.perf_counter()
            number = _plan(bridge)
            planned = time.perf_counter()
            _run(bridge, number)
            ended = until("every case closed", PATIENCE, lambda: _done(bridge))
            again = ended - planned
        if _letters(bridge, "resolved") != letters:
            raise SystemExit("letters were not closed")
        if not _decided(bridge, 2 * letters):
            raise SystemExit("replayed records are missing")
    return {
        "letters": letters,
        "first per second": round(letters / first, 1),
        "replay per second": round(letters / again, 1),
        "seconds to plan": round(planned - start, 3),
        "seconds to run": round(again, 3),
        "of first": round(first / again, 3),
        "of first, with the plan": round(first / (ended - start), 3),
        "cpu seconds": watch.cpu,
        "peak MiB": watch.peaks(),
    }


def messages_of(path: Path, vpd: str) -> list[Message]:
    """Return the messages that the splitter makes of a file."""
    profile = load_profile("esr-cstf")
    number = profile.parse_file_name(path.name).number
    turn = Turn(vpd, path.name, "", "esr", "feed", number, 0, Place(), 0, datetime.now(UTC))
    reader = StepReader(turn, EsrFiles(profile), path, int(time.time()))
    found: list[Message] = []
    while (step := reader.read(SOME)).records:
        found += step.messages
    return found


def publish(bridge: World, messages: Sequence[Message]) -> None:
    """Publish messages, confirmed, never so many that a queue is full."""
    asyncio.run(_publish(bridge, messages))


async def _publish(bridge: World, messages: Sequence[Message]) -> None:
    broker = RabbitBroker(bridge.servers.broker.url)
    try:
        for first in range(0, len(messages), SOME):
            while bridge.queues.depth(QUEUE) > 10 * SOME:  # noqa: ASYNC110 - a queue tells nobody when it is empty
                await asyncio.sleep(0.05)
            await broker.publish(messages[first : first + SOME])
    finally:
        await broker.stop()


def _dead(message: Message) -> Message:
    """Return the message as a service gives it up."""
    letter = msgspec.structs.replace(message, code="R103", reason="given up for the benchmark", queue=QUEUE)
    return letter.to(DEAD, f"{QUEUE}.dead")


def _plan(bridge: World) -> int:
    """Do what an operator does who asks for every open letter; return the plan's number."""
    pace = Pace(per_second=PER_SECOND)
    everything = Selection(search=Search())
    said = asyncio.run(_console(bridge).plan("replay", everything, "benchmark", pace))
    return int(said["operation"])


def _run(bridge: World, number: int) -> None:
    asyncio.run(_console(bridge).decide(number, "start", "benchmark"))


def _console(bridge: World) -> Letters:
    os.environ["ESRBRIDGE_API_TOKEN"] = TOKEN
    return Letters(f"http://127.0.0.1:{bridge.ports['console']}", VPD)


def _known(bridge: World) -> int:
    """Count the people competency has heard of, once none is on the way to people."""
    if bridge.queues.depth("people.records"):
        return 0
    return int(bridge.asker.value("SELECT count(*) FROM competency.people WHERE state = 'employee'"))


def _decided(bridge: World, number: int) -> bool:
    """Tell whether so many decisions stand; not counted before the queue is empty, as counting takes time as well."""
    return not bridge.queues.depth(QUEUE) and bridge.asker.value("SELECT count(*) FROM competency.decisions") == number


def _done(bridge: World) -> bool:
    """Tell whether the run has ended: what was sent last is closed before it does. Counting letters would cost more."""
    return bool(bridge.asker.value("SELECT count(*) FROM console.operations WHERE state = 'done'"))


def _letters(bridge: World, state: str) -> int:
    query = "SELECT count(*) FROM console.dead_letters WHERE vpd = $1 AND state = $2"
    return int(bridge.asker.value(query, VPD, state))
