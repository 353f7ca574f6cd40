"""What became of a letter's line, told by the thousand: how the letters concerned are found."""

from typing import Final

from sqlalchemy import text

from services.console import store
from shared.db.engine import make_engine
from tests.service.plans import most_rows

MANY: Final = 20_000
SAID: Final = 300

LETTERS: Final = """
INSERT INTO console.dead_letters (vpd, id, state, queue, type, code, reason, stream, file, file_no, line, replay,
    failures, first_at, last_at, message)
SELECT '991', md5(n::text), 'open', 'competency.records', 'competency_element.upsert', 'R103', '', 'feed', 'F', 1, n,
    0, 1, now(), now(), '' FROM generate_series(1, :many) n
"""


async def test_letters_of_lines_are_found_without_reading_all_others_of_their_file(database: str) -> None:
    engine = make_engine(database, name="test")
    async with engine.connect() as connection:
        await connection.execute(text(LETTERS), {"many": MANY})
        await connection.execute(text("ANALYZE console.dead_letters"))
        lines = list(range(2, 3 * SAID, 3))
        fates = [(("991", "F"), (line, line, 16, 1)) for line in lines]
        concerned = await store.concerned(connection, fates)
        assert sorted((row.line, row.fate) for row in concerned) == [(line, 16) for line in lines]
        said = {
            "vpd": ["991"] * SAID, "file": ["F"] * SAID, "first": lines, "last": lines, "fate": [16] * SAID,
            "revision": [1] * SAID,
        }  # fmt: skip
        assert await most_rows(connection, store._CONCERNED, said) <= SAID
    await engine.dispose()
