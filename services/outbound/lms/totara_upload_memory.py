"""What the driver of the completion upload has to remember: nothing answers there, and a file may lie for days.

Kept in a JSON file, where one is named. Rows are remembered by digests: no names, no idnumbers and no dates are in it.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from shared.errors import ConfigurationError
from shared.files import put_file


@dataclass(slots=True)
class Memory:
    """The file that lies or lay in the folder last, and evidence that was sent at any time."""

    path: Path | None = None
    number: int = 0
    """Of the last file: names are never used twice."""
    name: str = ""
    """Of the last file."""
    pending: list[str] = field(default_factory=list)
    """Digests of the rows of the last file, until the file is seen to be taken."""
    gone_at: float = 0.0
    """Seconds since 1970 at which the last file was first seen to be gone."""
    evidence: set[str] = field(default_factory=set)
    """Digests of evidence that was sent: the upload makes another item of each repetition."""

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Return what was kept. Raises ConfigurationError when the file is not one of ours."""
        if path is None or not path.exists():
            return cls(path)
        try:
            held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                path,
                int(held["number"]),
                str(held["name"]),
                [str(one) for one in held["pending"]],
                float(held["gone_at"]),
                {str(one) for one in held["evidence"]},
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{path} is not what the driver of uploads remembers; remove it") from None

    def keep(self) -> None:
        """Write it down."""
        if self.path is not None:
            content = asdict(self) | {"evidence": sorted(self.evidence)}
            del content["path"]
            put_file(self.path, json.dumps(content).encode())
