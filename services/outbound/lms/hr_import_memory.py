"""What the driver of HR Import has to remember: HR Import answers nothing, and a file may lie for a day.

Kept in a JSON file, where one is named: without it, what became of files of an earlier process is never told, and
parents of that time are not known. No names and no addresses are in it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from shared.errors import ConfigurationError
from shared.files import put_file


@dataclass(slots=True)
class Sent:
    """One row of a file that was placed. ``quiet``: when it changes nothing, nothing is logged of it."""

    key: str
    quiet: bool


@dataclass(slots=True)
class Heard:
    """What the log said of one row, until somebody has written it down."""

    element: str
    key: str
    status: Literal["applied", "accepted", "rejected", "unknown"]
    code: str


@dataclass(slots=True)
class Memory:
    """Placed files whose outcome is not known, by element and oldest first; and the last time of change of each row."""

    path: Path | None = None
    last_log_id: int = 0
    last_time: int = 0
    shipments: dict[str, list[list[Sent]]] = field(default_factory=dict)
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)
    items: dict[str, bool] = field(default_factory=dict)
    """Organisations and positions that were sent, and whether they are known to be there."""
    heard: list[Heard] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Return what was kept. Raises ConfigurationError when the file is not one of ours."""
        if path is None or not path.exists():
            return cls(path)
        try:
            held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                path,
                int(held["last_log_id"]),
                int(held["last_time"]),
                {
                    element: [[Sent(**one) for one in shipment] for shipment in shipments]
                    for element, shipments in held["shipments"].items()
                },
                {key: (str(text), int(seconds)) for key, (text, seconds) in held["rows"].items()},
                {key: bool(there) for key, there in held["items"].items()},
                [Heard(**one) for one in held.get("heard", [])],
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{path} is not what the driver of HR Import remembers; remove it") from None

    def keep(self) -> None:
        """Write it down."""
        if self.path is not None:
            content = asdict(self)
            del content["path"]
            put_file(self.path, json.dumps(content).encode())

    def modified(self, element: str, key: str, cells: Sequence[str], now: int) -> tuple[int, bool]:
        """Return the time of change for a row, and whether the very row was sent before.

        HR Import passes a row over whose time is the one it holds. So a row that comes again has the time it had, and
        what somebody changed in the LMS since, such as a suspension, is not undone by a mere repetition; every other
        row has a later one.
        """
        text = hashlib.sha256("\x1f".join(cells).encode()).hexdigest()[:32]
        before = self.rows.get(f"{element}:{key}")
        if before is not None and before[0] == text:
            return before[1], True
        self.last_time = max(now, self.last_time + 1)
        self.rows[f"{element}:{key}"] = (text, self.last_time)
        return self.last_time, False
