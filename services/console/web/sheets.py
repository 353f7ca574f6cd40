"""Tables as CSV files that are downloaded. No I/O here."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from starlette.responses import Response

_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(value: Any) -> Any:  # noqa: ANN401 - a cell
    """Return a cell that no spreadsheet takes for a formula, whoever wrote it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_DANGEROUS) else value


def lines(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV (RFC 4180)."""
    written = io.StringIO()
    csv.writer(written).writerows([safe(cell) for cell in row] for row in rows)
    return written.getvalue()


def attached(name: str) -> dict[str, str]:
    """Return the headers of a file to be kept. ``name`` is ours: letters, digits, dots and hyphens."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def sheet(name: str, rows: Iterable[Sequence[Any]]) -> Response:
    """Return a CSV file."""
    return Response(lines(rows), media_type="text/csv", headers=attached(name))
