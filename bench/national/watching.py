"""CPU and memory of processes and their children, read from /proc a few times a second by a thread of its own."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EVERY: Final = 0.5
_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Watch:
    """What was seen of each process: MiB of resident memory over time, and CPU seconds used while watched.

    Children count with their parent: PostgreSQL is a family. Memory that they share is then counted several times, so
    of servers only CPU says something.
    """

    pids: Mapping[str, int]
    memory: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    def peaks(self) -> dict[str, float]:
        return {name: round(max(seen), 1) for name, seen in self.memory.items() if seen}

    def growth(self) -> dict[str, float]:
        """Return by how many MiB each process grew from the second quarter of the time to the last: 0 when flat."""
        found = {}
        for name, seen in self.memory.items():
            quarter = len(seen) // 4
            if quarter:
                found[name] = round(_mean(seen[3 * quarter :]) - _mean(seen[quarter : 2 * quarter]), 1)
        return found


@contextmanager
def watching(pids: Mapping[str, int]) -> Iterator[Watch]:
    """Watch processes while inside."""
    watch, over = Watch(dict(pids)), threading.Event()
    before = {name: _cpu(pid) for name, pid in pids.items()}

    def look() -> None:
        while not over.wait(EVERY):
            for name, pid in watch.pids.items():
                if size := _resident(pid):
                    watch.memory.setdefault(name, []).append(size)
                if used := _cpu(pid):
                    watch.cpu[name] = round(max(used - before[name], watch.cpu.get(name, 0.0)), 2)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _mean(seen: list[float]) -> float:
    return sum(seen) / len(seen)


def _resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    except (OSError, IndexError):
        return 0.0


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, living or ended, as far as the system tells."""
    return _used(pid) + sum(_used(child) for child in _children(pid))


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICK


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def until(what: str, seconds: float, done: object, pause: float = 0.1) -> float:
    """Ask ``done`` until it says yes; return when it did, by ``time.perf_counter``. Gives up after ``seconds``."""
    assert callable(done)
    end = time.perf_counter() + seconds
    while not done():
        if time.perf_counter() > end:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return time.perf_counter()
