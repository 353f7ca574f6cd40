"""The whole: full files in, accounts and certifications desired in outbound, every line accounted for."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.national import files
from bench.national.files import Written
from bench.national.profiling import profiled
from bench.national.proof import prove
from bench.national.watching import until, watching
from bench.national.world import AWAY, Servers, World, world

VPD: Final = "901"
PATIENCE: Final = 4 * 3600.0


def run(
    servers: Servers,
    records: int,
    *,
    trusts: int = 1,
    replicas: Mapping[str, int] | None = None,
    tapped: bool = True,
    profiles: Path | None = None,
) -> dict[str, Any]:
    """Let full files of so many records in all through the whole bridge; return rate, memory, CPU and the proof."""
    vpds = [str(int(VPD) + place) for place in range(trusts)]
    with world(servers, dict.fromkeys(vpds, AWAY)) as bridge:
        if tapped:
            bridge.queues.tap()
        bridge.start(replicas=replicas)
        people = files.people_for(records // trusts)
        outside = bridge.folder / "written"
        written = [files.write_full(outside, vpd, people) for vpd in vpds]
        pids = {name: process.pid for name, process in bridge.processes.items()} | servers.pids()
        with watching(pids) as watch, profiled(pids, profiles):
            start = time.perf_counter()
            for one in written:
                hand_in(bridge, one)
            split = until("everything split", PATIENCE, lambda: all_have(bridge, written, "split", "complete"))
            complete = until("every line accounted for", PATIENCE, lambda: all_have(bridge, written, "complete"))
            end = until("everything desired", PATIENCE, lambda: desired(bridge, written))
        counted = prove(bridge, written, tapped=tapped)
        shutil.rmtree(outside)
    total = sum(one.records for one in written)
    return {
        "records": total,
        "seconds": round(end - start, 3),
        "seconds until split": round(split - start, 3),
        "seconds until complete": round(complete - start, 3),
        "per second": round(total / (end - start), 1),
        "trusts": trusts,
        "replicas": dict(replicas or {}),
        "tapped": tapped,
        "cpu seconds": watch.cpu,
        "peak MiB": watch.peaks(),
        "growth MiB": watch.growth(),
        "memory": {name: _thinned(seen) for name, seen in watch.memory.items() if name not in ("postgres", "rabbitmq")},
        "counted": counted,
    }


def hand_in(bridge: World, one: Written) -> None:
    """Put a file that was written elsewhere where ESR puts files, whole."""
    folder = bridge.folder / one.vpd / "from-esr"
    folder.mkdir(parents=True, exist_ok=True)
    one.path.rename(folder / one.path.name)


def all_have(bridge: World, written: Sequence[Written], *statuses: str) -> bool:
    """Tell whether the full files of all these trusts have got so far. Ends the run when one was not let in."""
    rows = bridge.ask("SELECT name, vpd, status, code FROM ingest.files WHERE mode = 'full' OR code <> ''")
    if refused := [row["code"] for row in rows if row["code"]]:
        raise SystemExit(f"files were not let in: {refused}")
    return sum(row["status"] in statuses for row in rows) >= len(written)


def desired(bridge: World, written: Sequence[Written]) -> bool:
    """Tell whether outbound has heard everything: gates open last, so they are asked first."""
    if bridge.queues.depth("outbound.events") or bridge.queues.depth("competency.events"):
        return False
    (row,) = bridge.ask(
        "SELECT (SELECT count(*) FROM outbound.gates) AS gates, (SELECT count(*) FROM outbound.accounts) AS accounts,"
        " (SELECT count(*) FROM outbound.deliveries) AS deliveries"
    )
    wanted = [
        sum(column) for column in zip(*((1, w.people, w.certifications + w.evidence) for w in written), strict=True)
    ]
    return bool(row["gates"] == wanted[0] and row["accounts"] == wanted[1] and row["deliveries"] == wanted[2])


def _thinned(seen: Sequence[float], most: int = 200) -> list[float]:
    step = max(1, len(seen) // most)
    return [round(one, 1) for one in seen[::step]]
