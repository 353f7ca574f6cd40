"""The two halves by themselves: from a file to the broker, and from the broker to committed state and events."""

import statistics
import time
from typing import Any, Final

from bench.national import files
from bench.national.limits import raw_publish
from bench.national.watching import until, watching
from bench.national.whole import hand_in
from bench.national.world import AWAY, Servers, World, world

FIRST: Final = 901
QUEUES: Final = ("people.records", "competency.records")
MOST: Final = 200_000
"""Records of a round at most: a queue of the bridge takes no more messages than this, and refuses publishers."""

LOOKING: Final = {"ESRBRIDGE_SCAN_SECONDS": "0.1"}
"""Look at the folder often: what is measured is the work, not how long a file lies there."""

PATIENCE: Final = 3600.0


def run(servers: Servers, records: int, rounds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure file to broker ``rounds`` times in turn with raw frames, then drain what the last round left."""
    people = files.people_for(min(records, MOST))
    vpds = [str(FIRST + number) for number in range(rounds)]
    with world(servers, dict.fromkeys(vpds, AWAY)) as bridge:
        bridge.start("people", "competency")  # they declare the queues
        bridge.stop()
        bridge.start("ingest", module="bench.national.unbounded", settings=LOOKING)
        ours, raw, checked = [], [], []
        for vpd in vpds:
            bridge.queues.purge(*QUEUES)
            one = files.write_full(bridge.folder / "written", vpd, people)
            raw.append(raw_publish(servers.broker.url, one.records))
            start = time.perf_counter()
            hand_in(bridge, one)
            ready = until(
                "the file checked", PATIENCE, lambda vpd=vpd: _status(bridge, vpd, "splitting", "split"), 0.02
            )
            end = until("the file split", PATIENCE, lambda vpd=vpd: _status(bridge, vpd, "split"), 0.02)
            ours.append(one.records / (end - start))
            checked.append(ready - start)
        bridge.stop()
        drained = _drain(bridge, servers, one)
    to_broker = {
        "records": one.records,
        "per second": round(statistics.median(ours), 1),
        "seconds until checked": round(statistics.median(checked), 3),
        "raw per second": round(statistics.median(raw), 1),
        "of raw": round(statistics.median(mine / limit for mine, limit in zip(ours, raw, strict=True)), 3),
        "rounds": {"ours": ours, "raw": raw},
    }
    return to_broker, drained


def _status(bridge: World, vpd: str, *statuses: str) -> bool:
    rows = bridge.ask("SELECT status, code FROM ingest.files WHERE vpd = $1", vpd)
    if rows and rows[0]["code"]:
        raise SystemExit(f"the file was not let in: {rows[0]['code']}")
    return bool(rows) and rows[0]["status"] in statuses


def _drain(bridge: World, servers: Servers, one: files.Written) -> dict[str, Any]:
    """Start people and competency on full queues; time from the first message taken to the last thing committed."""
    full = sum(map(bridge.queues.depth, QUEUES))
    bridge.queues.purge("outbound.events")
    bridge.start("people", "competency", wait=False)
    pids = {name: process.pid for name, process in bridge.processes.items()} | servers.pids()
    with watching(pids) as watch:
        start = until("the first message taken", PATIENCE, lambda: sum(map(bridge.queues.depth, QUEUES)) < full, 0.02)
        end = until("queues drained", PATIENCE, lambda: _drained(bridge, one))
    return {
        "records": full,
        "seconds": round(end - start, 3),
        "per second": round(full / (end - start), 1),
        "cpu seconds": watch.cpu,
        "peak MiB": watch.peaks(),
    }


def _drained(bridge: World, one: files.Written) -> bool:
    if any(bridge.queues.depth(queue) for queue in (*QUEUES, "competency.events")):
        return False
    (row,) = bridge.ask(
        "SELECT (SELECT count(*) FROM people.people WHERE vpd = $1 AND state = 'employee') AS people, "
        "(SELECT count(*) FROM competency.decisions"
        " WHERE vpd = $1 AND verdict IN ('certification', 'evidence')) AS told, "
        "(SELECT count(*) FROM people.outbox) + (SELECT count(*) FROM competency.outbox) AS unpublished",
        one.vpd,
    )
    told = one.certifications + one.evidence
    return bool(row["people"] == one.people and row["told"] == told and not row["unpublished"])
