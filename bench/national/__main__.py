"""``python -m bench.national``: every stage, or some; see ``bench/README.md``."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

from bench.national import backlog, dead, latency, limits, parts, report, whole
from bench.national.machine import described
from bench.national.peers import run as peers
from bench.national.sizes import RESULTS, Sizes
from bench.national.world import Servers, servers

NAME: Final = "national.json"
PARTS: Final = ("to broker", "to state")
WITHOUT_PEER: Final = "not measured: the dependency group `bench` is not installed"

Keep = Callable[[str, object], None]
Stage = Callable[[Servers, Sizes, argparse.Namespace, Keep], None]


def _limits(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    keep("limits", limits.run(running.broker.url, running.database.url, int(sizes.limit_records)))


def _parts(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    for name, figures in zip(PARTS, parts.run(running, int(sizes.part_records), int(sizes.part_rounds)), strict=True):
        keep(name, figures)


def _whole(running: Servers, sizes: Sizes, options: argparse.Namespace, keep: Keep) -> None:
    wanted = options.records or sizes.records
    runs = [run for run in options.before.get("whole", ()) if all(abs(run["records"] - one) > 10 for one in wanted)]
    for records in wanted:
        profiles = options.results / "profiles" if options.profile and records == max(wanted) else None
        runs.append(whole.run(running, records, trusts=int(sizes.trusts), tapped=not options.no_tap, profiles=profiles))
        keep("whole", sorted(runs, key=lambda run: run["records"]))


def _alone(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    keep("alone", whole.run(running, int(sizes.alone_records), tapped=False))


def _peers(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    found = {}
    for name in peers.WORKERS:
        if peers.installed(name):
            found[name] = peers.run(running, name, int(sizes.peer_records))
            keep("peers", found)
        else:
            print(f"peer {name}: {WITHOUT_PEER}", file=sys.stderr)


def _latency(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    said = latency.run(running, int(sizes.changes_quiet), int(sizes.changes_beside), int(sizes.full_beside))
    keep("latency", said)


def _dead(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    keep("dead letters", dead.run(running, int(sizes.letters)))


def _backlog(running: Servers, sizes: Sizes, _: argparse.Namespace, keep: Keep) -> None:
    keep("backlog", backlog.run(running, int(sizes.outage_records), sizes.outage_seconds))


def _replicas(running: Servers, sizes: Sizes, options: argparse.Namespace, keep: Keep) -> None:
    runs: list[Any] = []
    for number in options.replicas or sizes.replicas:
        several = {"people": number, "competency": number}
        runs.append(whole.run(running, int(sizes.replica_records), replicas=several, tapped=not options.no_tap))
        keep("replicas", runs)


STAGES: Final[dict[str, Stage]] = {
    "limits": _limits, "parts": _parts, "alone": _alone, "peers": _peers, "whole": _whole, "latency": _latency,
    "dead": _dead, "replicas": _replicas, "backlog": _backlog,
}  # fmt: skip
"""In the order in which they run: the outages come last, as they kill the servers."""


def _numbers(said: str) -> tuple[int, ...]:
    return tuple(int(float(one)) for one in said.split(","))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.national", description="Measure the national night.")
    parser.add_argument("--only", default=",".join(STAGES), help="stages, of: %(default)s")
    parser.add_argument("--records", type=_numbers, help="records of each run of the whole: 10000,1000000")
    parser.add_argument("--replicas", type=_numbers, help="processes of people and competency: 1,2,3")
    parser.add_argument("--profile", action="store_true", help="py-spy on each process in the largest run of the whole")
    parser.add_argument("--no-tap", action="store_true", help="do not listen to events: faster, and proves less")
    parser.add_argument("--add", action="store_true", help="keep what the last run measured of other stages")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where figures go (%(default)s)")
    parser.add_argument("--document", action="store_true", help="measure nothing; write the document again")
    options = parser.parse_args(arguments)
    options.only = [one for one in options.only.split(",") if one]
    if unknown := set(options.only) - set(STAGES):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    options.results.mkdir(parents=True, exist_ok=True)
    path: Path = options.results / NAME
    results = json.loads(path.read_text()) if path.exists() and (options.add or options.document) else {}
    options.before = dict(results)
    if not options.document:
        _measure(options, results, path)
    print(report.text(results))
    if options.results == RESULTS:
        report.document(results)


def _measure(options: argparse.Namespace, results: dict[str, Any], path: Path) -> None:
    """Run the stages; what each measured is written at once, so that a run cut short leaves what it has."""

    def keep(name: str, figures: object) -> None:
        results[name] = figures
        path.write_text(json.dumps(results, indent=1) + "\n")

    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as running:
        keep("machine", described(running))
        for name in options.only:
            print(f"{datetime.now(UTC):%H:%M:%S} {name}", file=sys.stderr)
            STAGES[name](running, Sizes(), options, keep)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Leave through the ``with`` blocks, which end every server and service."""
    raise SystemExit("told to stop")


if __name__ == "__main__":
    main()
