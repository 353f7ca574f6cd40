"""The results in words: ratios first. Printed, and written into the marked section of ``docs/performance.md``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.national import plot
from bench.national.goals import SERVERS, judge

Results = Mapping[str, Any]
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- measured: written by `make bench`, not by hand -->"
END: Final = "<!-- end of measured -->"


def text(results: Results) -> str:
    """Return everything that was measured as Markdown."""
    sections = (_machine, _goals, _rates, _whole, _replicas, _latency, _backlog)
    return "\n\n".join(part for section in sections if (part := section(results))) + "\n"


def document(results: Results) -> None:
    """Put the tables between the marks of the document, and the plots beside it."""
    before, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{DOCUMENT.name} has no place for what was measured: {BEGIN} ... {END}")
    shown = [f"![{title}]({name})\n" for name, title in _plots(results)]
    DOCUMENT.write_text("\n".join([f"{before}{BEGIN}\n", text(results), *shown, f"{END}{after}"]))


def _plots(results: Results) -> Iterator[tuple[str, str]]:
    """Write what can be drawn; yield names and titles."""
    if rates := _all_rates(results):
        yield _draw("performance-rates.svg", "Records or messages a second", partial(plot.bars, rates))
    if results.get("whole"):
        largest = max(results["whole"], key=lambda run: run["records"])
        title = f"Memory of each process over {largest['records']:,} records"
        yield _draw("performance-memory.svg", title, partial(plot.lines, largest["memory"]))


def _draw(name: str, title: str, picture: Callable[[str], str]) -> tuple[str, str]:
    (DOCUMENT.parent / name).write_text(picture(title))
    return name, title


def _machine(results: Results) -> str:
    said = results["machine"]
    return (
        f"Measured on {said['at']}: {said['cores']} cores ({said['processor']}), {said['memory GiB']} GiB, "
        f"{said['system']}, Python {said['python']}, RabbitMQ {said['rabbitmq']}, PostgreSQL {said['postgresql']}; "
        f"servers, bridge and benchmark all on it. Load when it began: {said['load']}."
    )


def _goals(results: Results) -> str:
    rows = [(goal.what, goal.wanted, goal.measured, goal.verdict) for goal in judge(results)]
    return _table(("Goal", "Wanted", "Measured", ""), rows)


def _all_rates(results: Results) -> dict[str, float]:
    """Return every rate of the run, by a name for people."""
    limits = results.get("limits", {})
    rates = {
        "limit: raw consumption": limits.get("consume per second", 0),
        "limit: bare COPY": limits.get("copy per second", 0),
        "limit: raw confirmed publishing": limits.get("publish per second", 0),
        "file to broker": results.get("to broker", {}).get("per second", 0),
        "broker to state and events": results.get("to state", {}).get("per second", 0),
    }
    rates["the whole"] = results.get("alone", {}).get("per second", 0)
    dead = results.get("dead letters", {})
    rates |= {"dead letters replayed": dead.get("replay per second", 0)}
    rates |= {f"peer: {name}": said["per second"] for name, said in results.get("peers", {}).items()}
    return {name: rate for name, rate in rates.items() if rate}


def _rates(results: Results) -> str:
    rates = _all_rates(results)
    limit = results.get("limits", {}).get("publish per second", 0)
    rows = [(name, f"{rate:,.0f}", f"{rate / limit:.3f}" if limit else "") for name, rate in rates.items()]
    return _table(("What", "a second", "of raw confirmed publishing"), rows)


def _whole(results: Results) -> str:
    rows = [(f"{run['records']:,}", *_run(results, run), f"{run['counted']['events']:,}") for run in _tapped(results)]
    if alone := results.get("alone"):
        rows.append((f"{alone['records']:,}, nobody listening", *_run(results, alone), "not heard"))
    head = (
        "Records", "Seconds", "a second", "CPU µs a record", "cores in use", "largest process MiB", "CPU goes to",
        "events, each once",
    )  # fmt: skip
    return "The whole, every run proved line by line:\n\n" + _table(head, rows) if rows else ""


def _tapped(results: Results) -> Sequence[Results]:
    return [run for run in results.get("whole", ()) if "events" in run["counted"]]


def _run(results: Results, run: Results) -> tuple[str, ...]:
    used = sum(run["cpu seconds"].values())
    peaks = [mib for name, mib in run["peak MiB"].items() if name not in SERVERS]
    cores = f"{used / run['seconds']:.2f} of {results.get('machine', {}).get('cores', '?')}"
    return (
        f"{run['seconds']:,.1f}", f"{run['per second']:,.0f}", f"{used / run['records'] * 1e6:,.0f}", cores,
        f"{max(peaks):.0f}", _dearest(run),
    )  # fmt: skip


def _dearest(run: Results) -> str:
    """Name the processes that use most CPU, with their shares."""
    total = sum(run["cpu seconds"].values()) or 1.0
    ordered = sorted(run["cpu seconds"].items(), key=lambda pair: -pair[1])[:4]
    return ", ".join(f"{name} {100 * used / total:.0f} %" for name, used in ordered)


def _replicas(results: Results) -> str:
    rows = [
        (str(run["replicas"]["people"]), f"{run['records']:,}", f"{run['per second']:,.0f}",
         f"{run['per second'] / results['replicas'][0]['per second']:.2f}", _dearest(run))
        for run in results.get("replicas", ())
    ]  # fmt: skip
    head = ("Processes each of people and competency", "Records", "a second", "of the first row", "CPU goes to")
    return "Replicas, each run proved alike:\n\n" + _table(head, rows) if rows else ""


def _latency(results: Results) -> str:
    said = results.get("latency")
    if not said:
        return ""
    rows = [
        (name, str(said[name]["files"]), *(f"{said[name][key]:,.0f}" for key in _LATENCIES))
        for name in ("quiet", "beside")
    ]
    head = ("A changes file of 300", "Files", "p50 ms", "p99 ms", "p50 ms from the file", "p99 ms from the file")
    outlasted = "" if said["full file outlasted them"] else " The full file ended first."
    return f"Latency; beside: a full file of {said['full file']:,} records.{outlasted}\n\n" + _table(head, rows)


_LATENCIES: Final = ("p50 ms", "p99 ms", "p50 ms from file", "p99 ms from file")


def _backlog(results: Results) -> str:
    said = results.get("backlog")
    if not said:
        return ""
    rows = [
        (f"the {name}", f"{said[name]['records']:,}", f"{said[name]['seconds to drain']:,.1f}",
         f"{said[name]['per second']:,.0f}", f"{said[name]['of undisturbed']:.2f}")
        for name in ("database", "broker")
    ]  # fmt: skip
    head = ("Killed", "Records that arrived", "Seconds to drain", "a second", "of undisturbed")
    return f"Backlog after an outage of {said['outage seconds']:.0f} s:\n\n" + _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) if rows else ""
