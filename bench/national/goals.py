"""The goals, and whether the figures of a run meet them. A goal of a size that was not run is open, not met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.national.sizes import LARGEST

Results = Mapping[str, Any]
SMALLEST: Final = 99_000
"""Records from which the start of a run no longer counts."""

MIB: Final = 300.0
FLAT_MIB: Final = 30.0
"""Growth from 10⁵ to the largest number of records that still counts as flat: a tenth of what a process may hold."""

SERVERS: Final = ("postgres", "rabbitmq")


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal: what is asked, what was measured, and whether that is met (None: it cannot be told by this run)."""

    what: str
    wanted: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "**not met**", None: "open"}[self.met]


def judge(results: Results) -> list[Goal]:
    """Judge every goal whose stages were run."""
    return [goal for check in _CHECKS for goal in check(results)]


def whole_rate(results: Results) -> float:
    """Return the rate of the whole, one process of each service, with nobody listening: as the peers have it."""
    return float(results["alone"]["per second"])


def _peers(results: Results) -> list[Goal]:
    goals = []
    for name, times in (("faststream", 10.0), ("celery", None)):
        if results.get("alone") and name in results.get("peers", {}):
            ratio = whole_rate(results) / results["peers"][name]["per second"]
            wanted = f"at least {times:.0f} times" if times else "(no goal)"
            goals.append(
                Goal(f"the whole, against {name}", wanted, f"{ratio:.1f} times", ratio >= times if times else None)
            )
    return goals


def _of_limit(results: Results) -> list[Goal]:
    if not results.get("alone") or "limits" not in results:
        return []
    share = whole_rate(results) / results["limits"]["publish per second"]
    hours = 25e6 / whole_rate(results) / 3600
    return [
        Goal("the whole, against raw confirmed publishing", "at least 0.20", f"{share:.3f}", share >= 0.2),
        Goal("25 million records", "in 1 hour (the star to steer by)", f"in {hours:.1f} hours", hours <= 1),
    ]


def _to_broker(results: Results) -> list[Goal]:
    if "to broker" not in results:
        return []
    share = results["to broker"]["of raw"]
    return [Goal("file to broker, against raw confirmed publishing", "at least 0.60", f"{share:.2f}", share >= 0.6)]


def _latency(results: Results) -> list[Goal]:
    if "latency" not in results:
        return []
    said = results["latency"]
    quiet, beside = said["quiet"]["p99 ms"], said["beside"]["p99 ms"]
    valid = said["full file"] >= 0.99 * LARGEST
    name = f"the same beside a full file of {said['full file']:,}"
    within = beside <= 3 * quiet
    # Failing beside a smaller file is failing; holding beside a smaller one says nothing of a million.
    met = within if valid or not within else None
    return [
        Goal(f"changes file of {said['records']}, p99 quiet", "under 500 ms", f"{quiet:.0f} ms", quiet < 500),
        Goal(name, "at most 3 times (a million records)", f"{beside:.0f} ms: {beside / quiet:.1f} times", met),
    ]


def _replay(results: Results) -> list[Goal]:
    if "dead letters" not in results:
        return []
    said = results["dead letters"]
    share = said["of first"]
    met = share >= 0.5 if said["letters"] >= 100_000 or share < 0.5 else None
    what = f"replay of {said['letters']:,}, against first processing"
    measured = f"{share:.3f}; with the making of its plan {said['of first, with the plan']:.3f}"
    return [Goal(what, "at least 0.50 (100,000)", measured, met)]


def _memory(results: Results) -> list[Goal]:
    runs = _by_size(results)
    if not runs:
        return []
    peaks = {name: mib for name, mib in runs[-1]["peak MiB"].items() if name not in SERVERS}
    worst = max(peaks, key=lambda name: peaks[name])
    wide = runs[-1]["records"] >= 0.99 * LARGEST
    held = peaks[worst] < MIB
    what = f"memory of a process over {runs[-1]['records']:,} records"
    goals = [Goal(what, "under 300 MiB", f"{peaks[worst]:.0f} MiB ({worst})", held if wide or not held else None)]
    if len(runs) > 1:
        grown = {name: mib - runs[0]["peak MiB"].get(name, mib) for name, mib in peaks.items()}
        most = max(grown, key=lambda name: grown[name])
        flat = grown[most] <= FLAT_MIB
        said = f"{grown[most]:+.0f} MiB ({most}) from {runs[0]['records']:,}"
        goals.append(Goal("the same, flat", f"within {FLAT_MIB:.0f} MiB", said, flat if wide or not flat else None))
    return goals


def _cost(results: Results) -> list[Goal]:
    runs = _by_size(results)
    if len(runs) < 2:
        return []
    costs = [run["seconds"] / run["records"] for run in runs]
    worst = max(abs(cost / costs[0] - 1) for cost in costs[1:])
    wide = runs[0]["records"] >= SMALLEST and runs[-1]["records"] >= 0.99 * LARGEST
    what = f"cost per record, {runs[0]['records']:,} to {runs[-1]['records']:,}"
    met = worst <= 0.15 if wide else None
    return [Goal(what, "within 15 % (10⁵ to 5·10⁶)", f"{100 * worst:.0f} %", met)]


def _by_size(results: Results) -> list[Mapping[str, Any]]:
    """Return the runs of the whole from 10⁵ records on; from the smallest on where there are not two such."""
    runs: Sequence[Mapping[str, Any]] = sorted(results.get("whole", ()), key=lambda run: run["records"])
    large = [run for run in runs if run["records"] >= SMALLEST]
    return large if len(large) > 1 else list(runs)


_CHECKS: Final[tuple[Callable[[Results], list[Goal]], ...]] = (
    _peers, _of_limit, _to_broker, _latency, _replay, _memory, _cost,
)  # fmt: skip
