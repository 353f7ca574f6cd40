"""``ingest`` that sends a whole file at once although nobody takes its records: to measure the way to the broker alone.

Run by the benchmark in place of ``esrbridge serve ingest``; otherwise the same process.
"""

from typing import Final

from services.ingest import main, splitter
from shared.runtime import serve

FOREVER: Final = 100_000_000

if __name__ == "__main__":
    splitter.IN_FLIGHT = splitter.AMONG_OTHERS = FOREVER  # type: ignore[misc]
    serve(main.NAME, main.build)
