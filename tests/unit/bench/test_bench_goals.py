"""Goals are judged by what was measured, and what a run is too small to tell stays open."""

from typing import Any

from bench.national import report
from bench.national.goals import Goal, judge


def _run(records: int, seconds: float, mib: float) -> dict[str, Any]:
    return {
        "records": records,
        "seconds": seconds,
        "per second": records / seconds,
        "cpu seconds": {"people": seconds, "postgres": seconds},
        "peak MiB": {"people": mib, "postgres": 900.0},
        "counted": {"events": records},
    }


def _results(**other: Any) -> dict[str, Any]:
    whole = [_run(100_000, 25, 120), _run(1_000_000, 250, 130)]
    peers = {"faststream": {"per second": 390.0}, "celery": {"per second": 100.0}}
    limits = {"publish per second": 19_000.0, "consume per second": 90_000.0, "copy per second": 60_000.0}
    return {"whole": whole, "alone": _run(100_000, 25, 120), "peers": peers, "limits": limits} | other


def _verdicts(results: dict[str, Any]) -> dict[str, str]:
    return {goal.what: goal.verdict for goal in judge(results)}


def test_the_whole_is_compared_with_the_peer_and_with_the_limit_by_the_run_nobody_listens_to() -> None:
    said = {goal.what: goal for goal in judge(_results())}

    assert said["the whole, against faststream"] == Goal(
        "the whole, against faststream", "at least 10 times", "10.3 times", met=True
    )
    assert said["the whole, against celery"].met is None
    assert said["the whole, against raw confirmed publishing"].measured == "0.211"
    assert said["25 million records"].measured == "in 1.7 hours"
    assert said["25 million records"].met is False


def test_a_slower_whole_misses_the_goals() -> None:
    said = _verdicts(_results(alone=_run(100_000, 30, 130)))

    assert said["the whole, against faststream"] == "**not met**"
    assert said["the whole, against raw confirmed publishing"] == "**not met**"


def test_memory_is_the_bridges_own_and_flat_means_flat() -> None:
    said = _verdicts(_results())
    grown = _verdicts(_results(whole=[_run(100_000, 25, 120), _run(1_000_000, 250, 290)]))
    large = _verdicts(_results(whole=[_run(100_000, 25, 310), _run(1_000_000, 250, 310)]))
    what = "memory of a process over 1,000,000 records"

    assert (said[what], said["the same, flat"]) == ("met", "met")
    assert (grown[what], grown["the same, flat"]) == ("met", "**not met**")
    assert (large[what], large["the same, flat"]) == ("**not met**", "met")


def test_cost_per_record_is_linear_within_fifteen_percent() -> None:
    what = "cost per record, 100,000 to 1,000,000"

    assert _verdicts(_results(whole=[_run(100_000, 25, 120), _run(1_000_000, 287, 120)]))[what] == "met"
    assert _verdicts(_results(whole=[_run(100_000, 25, 120), _run(1_000_000, 288, 120)]))[what] == "**not met**"


def test_what_a_small_run_holds_is_open_and_what_it_misses_is_missed() -> None:
    small = [_run(100_000, 25, 120), _run(300_000, 75, 130)]
    dead = {"letters": 5_000, "of first": 0.6, "of first, with the plan": 0.4}

    said = _verdicts(_results(whole=small, **{"dead letters": dead}))
    missed = _verdicts(_results(**{"dead letters": dead | {"of first": 0.1}}))

    assert said["memory of a process over 300,000 records"] == "open"
    assert said["cost per record, 100,000 to 300,000"] == "open"
    assert said["replay of 5,000, against first processing"] == "open"
    assert missed["replay of 5,000, against first processing"] == "**not met**"


def test_latency_beside_a_full_file_is_measured_against_quiet() -> None:
    latency = {"records": 300, "full file": 999_992, "quiet": {"p99 ms": 400.0}, "beside": {"p99 ms": 1_200.0}}
    slow = latency | {"beside": {"p99 ms": 1_201.0}}
    what = "the same beside a full file of 999,992"

    assert _verdicts(_results(latency=latency))["changes file of 300, p99 quiet"] == "met"
    assert _verdicts(_results(latency=latency))[what] == "met"
    assert _verdicts(_results(latency=slow))[what] == "**not met**"
    smaller = _verdicts(_results(latency=latency | {"full file": 60_000}))
    assert smaller["the same beside a full file of 60,000"] == "open"


def test_stages_that_were_not_run_have_no_goal_and_no_table() -> None:
    machine = dict.fromkeys(
        ("at", "cores", "processor", "memory GiB", "system", "python", "rabbitmq", "postgresql", "load"), "?"
    )

    assert judge({}) == []
    assert "| Goal |" not in report.text({"machine": machine})
    assert report.text({"machine": machine} | _results()).index("| Goal |") < report.text(
        {"machine": machine} | _results()
    ).index("| What |")
