"""The certification report of the sandbox's Totara, as its owner set it up for the bridge."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

HEADINGS: Final = (
    "User ID Number", "Certification ID Number", "Completion Date", "Expiry Date", "Status", "Course ID Number",
)  # fmt: skip


def written(rows: Iterable[Mapping[str, Any]], zone: str) -> bytes:
    """Return records as CSV in UTF-8, dates in the site's zone; a record without dates has empty cells."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for row in rows:
        dates = (_shown(row["completed"], zone), _shown(row["expires"], zone))
        writer.writerow([row["user_idnumber"], row["certification"], *dates, row["state"].capitalize(), ""])
    return text.getvalue().encode()


def _shown(moment: int, zone: str) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%d %b %Y at %H:%M") if moment else ""
