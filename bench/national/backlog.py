"""Files arrive while the database, and then the broker, is away: how long it takes to catch up afterwards."""

import time
from collections.abc import Callable
from typing import Any, Final

from bench.national import files
from bench.national.files import Written
from bench.national.proof import prove
from bench.national.watching import until
from bench.national.whole import PATIENCE, all_have, desired, hand_in
from bench.national.world import AWAY, Servers, World, world

ARRIVING: Final = 3
"""Trusts whose full file arrives in each outage."""

FIRST: Final = 901


def run(servers: Servers, records: int, outage: float) -> dict[str, Any]:
    """Let a file in undisturbed; then, in each outage of so many seconds, one for each of three more trusts."""
    vpds = [str(FIRST + number) for number in range(1 + 2 * ARRIVING)]
    with world(servers, dict.fromkeys(vpds, AWAY)) as bridge:
        bridge.queues.tap()
        bridge.start()
        people = files.people_for(records)
        written = [files.write_full(bridge.folder / "written", vpd, people) for vpd in vpds]
        start = time.perf_counter()
        hand_in(bridge, written[0])
        undisturbed = records / (_caught_up(bridge, written[:1]) - start)
        told: dict[str, Any] = {"records of a file": written[0].records, "outage seconds": outage}
        told["undisturbed per second"] = round(undisturbed, 1)
        done = 1
        for name, cut in (("database", servers.kill_database), ("broker", lambda: _kill_broker(servers, bridge))):
            arriving = written[done : done + ARRIVING]
            done += ARRIVING
            back = _outage(bridge, arriving, outage, cut)
            drained = _caught_up(bridge, written[:done]) - back
            rate = sum(one.records for one in arriving) / drained
            told[name] = {
                "records": sum(one.records for one in arriving),
                "seconds to drain": round(drained, 2),
                "per second": round(rate, 1),
                "of undisturbed": round(rate / undisturbed, 3),
            }
        told["counted"] = prove(bridge, written, again=True)
    return told


def _outage(bridge: World, arriving: list[Written], seconds: float, cut: Callable[[], Callable[[], None]]) -> float:
    """Cut a server's power, let files arrive, start it again; return when it was back."""
    restart = cut()
    for one in arriving:
        time.sleep(seconds / len(arriving))
        hand_in(bridge, one)
    restart()
    return time.perf_counter()


def _kill_broker(servers: Servers, bridge: World) -> Callable[[], None]:
    servers.broker.kill()

    def restart() -> None:
        servers.broker.restart()
        bridge.queues.reconnect()

    return restart


def _caught_up(bridge: World, written: list[Written]) -> float:
    until("every line accounted for", PATIENCE, lambda: all_have(bridge, written, "complete"), 0.25)
    return until("everything desired", PATIENCE, lambda: desired(bridge, written))
