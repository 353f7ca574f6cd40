"""Progress bars: one per file, filling as its records get their fates."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from esrbridge.embedded import OnProgress


@contextmanager
def progress_bars(screen: Console, *, shown: bool) -> Iterator[OnProgress | None]:
    """Yield what to call with progress, or None when nothing is to be shown."""
    if not shown:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=not screen.is_terminal) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def update(rows: list[tuple[str, str, int, int]]) -> None:
            for vpd, name, done, total in rows:
                task = tasks.get((vpd, name))
                if task is None:
                    if done >= total:
                        continue  # finished by an earlier run
                    task = tasks[vpd, name] = bars.add_task(f"{vpd} {name}", total=total)
                bars.update(task, completed=done)

        yield update
