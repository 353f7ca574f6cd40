"""Profiles by py-spy, where it is installed: a flame graph and the collapsed stacks of each Python process."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

RATE: Final = 50
"""Samples a second; py-spy stops the process for each of them."""

SERVERS: Final = ("postgres", "rabbitmq")


def program() -> str | None:
    """Return where py-spy is, beside this Python or on the path."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


@contextmanager
def profiled(pids: Mapping[str, int], folder: Path | None) -> Iterator[None]:
    """Profile processes while inside, one file of collapsed stacks and one SVG for each; nothing without a folder."""
    spy = program()
    if folder is None or spy is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    spies = [
        subprocess.Popen(
            [spy, "record", "--pid", str(pid), "--rate", str(RATE), "--format", form, "--output",
             str(folder / f"{name}.{ending}"), "--nonblocking"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for name, pid in pids.items()
        if name not in SERVERS
        for form, ending in (("raw", "folded"), ("flamegraph", "svg"))
    ]  # fmt: skip
    try:
        yield
    finally:
        for one in spies:
            one.send_signal(signal.SIGINT)
        for one in spies:
            one.wait(60)
