"""The certification reports of the sandbox's Totara, as their owner set them up for the bridge: current and history.

Texts are the product's English ones. Its report on certification completion has two columns for the state: whether
somebody is certified, and whether the renewal is due.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox import totara_cert_state as certs

HEADINGS: Final = (
    "User ID Number", "Certification ID Number", "Status", "Renewal Status", "Completion Date", "Expiry Date",
    "Window Open Date", "Course ID Number",
)  # fmt: skip

HISTORY_HEADINGS: Final = (
    "User ID Number", "Certification ID Number", "Completion Date", "Expiry Date", "Window Open Date",
    "Course ID Number",
)  # fmt: skip

#: Status and renewal status by state.
STATES: Final = {
    certs.ASSIGNED: ("Assigned", "Not due for renewal"),
    certs.CERTIFIED: ("Certified", "Not due for renewal"),
    certs.WINDOW_OPEN: ("Certified", "Due for renewal"),
    certs.EXPIRED: ("Expired", "Renewal expired"),
}


def current(rows: Iterable[Mapping[str, Any]], zone: str) -> bytes:
    """Return current records as CSV in UTF-8, dates in the site's zone; a record without dates has empty cells."""
    return _written(HEADINGS, ([*_names(row), *STATES[row["state"]], *_dates(row, zone), ""] for row in rows))


def history(rows: Iterable[Mapping[str, Any]], zone: str) -> bytes:
    """Return the history as CSV, likewise."""
    return _written(HISTORY_HEADINGS, ([*_names(row), *_dates(row, zone), ""] for row in rows))


def _names(row: Mapping[str, Any]) -> list[str]:
    return [row["user_idnumber"], row["certification"]]


def _dates(row: Mapping[str, Any], zone: str) -> list[str]:
    return [_shown(row[name], zone) for name in ("completed", "expires", "opens")]


def _written(headings: Iterable[str], rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue().encode()


def _shown(moment: int, zone: str) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%d %b %Y at %H:%M") if moment else ""
