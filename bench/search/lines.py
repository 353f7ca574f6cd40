"""Files whose every line has a fate, written as ingest's accountant leaves them.

A trust's lines lie in one file of a fifth of them all and some 1,500 others; one line in a hundred is a dead
letter, and of every 25th file the second half is still at work.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bench.search.filling import OTHERS, VPD
from services.ingest.batch import BY_REQUEST
from shared.accounting import BLOCK, Fate

FILES: Final = 1_500
SMALL: Final = 50_000
"""Files of a line each, which an LMS sent by requests."""
PEOPLE: Final = 25_000
TEMPLATES: Final = 40
"""Kinds of blocks: those at even places are whole, the second half of the others is still at work."""
_SHARES: Final = {
    Fate.APPLIED: 30, Fate.UNCHANGED: 60, Fate.SUPERSEDED: 2, Fate.PARKED_PERSON_UNKNOWN: 2,
    Fate.IGNORED_LIST_OF_VALUES: 5, Fate.DEAD_LETTERED: 1,
}  # fmt: skip

_TEMPLATES: Final = (
    "CREATE TEMPORARY TABLE templates ON COMMIT DROP AS SELECT * FROM unnest(CAST(:number AS int[]), "
    "CAST(:cells AS bytea[]), CAST(:dead AS text[])) AS t(number, cells, dead)"
)

_FILES: Final = """
INSERT INTO ingest.files (vpd, name, sha256, origin, size, mtime_ns, received_at, status, stream, kind, mode, number,
    seq, records, position, fates, completed_at, answered, code, reason, faults)
SELECT :vpd, t.name, md5(t.name) || md5(t.name), 'esr', 200 * t.records, t.number,
    now() - (:files - t.number) * interval '12 h', t.status, 'feed', 'CSC', 'changes', t.number, t.number, t.records,
    t.records, CAST(t.fates AS jsonb), now(), true, CASE WHEN t.status = 'quarantined' THEN 'F005' ELSE '' END, '',
    CASE WHEN t.status = 'quarantined' THEN CAST(:faults AS jsonb) ELSE '[]' END
FROM unnest(CAST(:name AS text[]), CAST(:number AS bigint[]), CAST(:records AS bigint[]), CAST(:status AS text[]),
    CAST(:fates AS text[])) AS t(name, number, records, status, fates)
"""

_BLOCKS: Final = """
INSERT INTO ingest.line_fates (vpd, file, block, cells)
SELECT f.vpd, f.name, b, t.cells FROM ingest.files f CROSS JOIN LATERAL generate_series(0, f.records / 512 - 1) AS b
JOIN templates t ON t.number = 2 * (b % :whole) + CASE WHEN f.status = 'split' THEN 1 ELSE 0 END
WHERE f.vpd = :vpd AND f.status <> 'quarantined'
"""

_CODES: Final = """
INSERT INTO ingest.line_codes (vpd, file, line, code)
SELECT f.vpd, f.name, b * 512 + CAST(d AS int), 'R103'
FROM ingest.files f CROSS JOIN LATERAL generate_series(0, f.records / 512 - 1) AS b
JOIN templates t ON t.number = 2 * (b % :whole) + CASE WHEN f.status = 'split' THEN 1 ELSE 0 END
CROSS JOIN LATERAL unnest(string_to_array(t.dead, ',')) AS d WHERE f.vpd = :vpd AND f.status <> 'quarantined'
"""

_SMALL: Final = """
INSERT INTO ingest.files (vpd, name, sha256, origin, size, mtime_ns, received_at, status, stream, kind, number, seq,
    records, position, fates, completed_at, answered)
SELECT :vpd, CAST(:begins AS text) || lpad(CAST(n AS text), 8, '0'), md5(CAST(n AS text)), 'lms', 200, n,
    now() - n * interval '1 minute', 'complete', 'lms', 'completions', n, n, 1, 1, '{"16": 1}', now(), true
FROM generate_series(1, CAST(:small AS int)) AS n
"""

_ANSWERS: Final = """
INSERT INTO ingest.answers (vpd, number, name, file, sha256, status, current_run, delivered_at)
SELECT vpd, number, 'CS_' || number, name, sha256, 'SUCCESS', now(), now() FROM ingest.files
WHERE vpd = :vpd AND stream = 'feed'
"""

_ROSTER: Final = """
INSERT INTO ingest.roster (vpd, person_id, file, file_no, absent_from)
SELECT :vpd, CAST(1000000 + n AS text), 'last', 1, CASE WHEN n % 100 = 0 THEN 'full' ELSE '' END
FROM generate_series(1, CAST(:people AS int)) AS n
"""

_ALARMS: Final = """
INSERT INTO ingest.alarms (vpd, kind, subject, raised_at)
SELECT :vpd, 'late', CAST(CAST(now() AS date) - CAST(n AS int) AS text), now() - n * interval '1 day'
FROM generate_series(10, 200) AS n
"""

_REQUESTS: Final = """
INSERT INTO ingest.requests (vpd, as_at, name, asked_at, who, why)
SELECT :vpd, now() - n * interval '1 day', 'request-' || n, now(), 'person-1', 'gap' FROM generate_series(1, 50) AS n
"""


@dataclass(frozen=True, slots=True)
class Template:
    """A block of fates, and where in it dead letters are (the first line is 1)."""

    cells: bytes
    fates: Counter[Fate]
    dead: list[int]


async def fill(admin: AsyncEngine, lines: int) -> None:
    """Write a trust's files, and a twentieth of them for each of two others."""
    made = templates()
    async with admin.begin() as connection:
        cells = {"number": list(range(TEMPLATES)), "cells": [one.cells for one in made]}
        dead = [",".join(map(str, one.dead)) for one in made]
        await connection.execute(text(_TEMPLATES), cells | {"dead": dead})
        await _fill(connection, VPD, lines, FILES, made)
        for other in OTHERS:
            await _fill(connection, other, lines // 20, FILES // 10, made)


def templates() -> list[Template]:
    """Return the kinds of blocks, the same in every run."""
    return [_template(random.Random(number), half=bool(number % 2)) for number in range(TEMPLATES)]


def name_of(number: int, vpd: str = VPD) -> str:
    """Return the name of a trust's file; the first is the large one."""
    return f"CS_{vpd}_CST_CSC_{20200101 + number}_{number:08}.DAT"


def _template(dice: random.Random, *, half: bool) -> Template:
    fates = dice.choices(list(_SHARES), list(_SHARES.values()), k=BLOCK)
    if half:
        fates[BLOCK // 2 :] = [Fate.PENDING] * (BLOCK // 2)
    fates[3] = Fate.DEAD_LETTERED
    cells = bytes(value for fate in fates for value in (fate, 1 if fate else 0))
    dead = [place for place, fate in enumerate(fates, 1) if fate is Fate.DEAD_LETTERED]
    return Template(cells, Counter(fates), dead)


async def _fill(connection: AsyncConnection, vpd: str, lines: int, files: int, made: list[Template]) -> None:
    blocks = lines // BLOCK
    large = blocks // 5
    sizes = [large] + [(blocks - large) // (files - 1) + (one % 3 - 1) for one in range(1, files)]
    states = ["split" if one % 25 == 24 else "quarantined" if one % 50 == 7 else "complete" for one in range(files)]
    said: dict[str, Any] = {
        "vpd": vpd,
        "files": files,
        "name": [name_of(one, vpd) for one in range(files)],
        "number": list(range(1, files + 1)),
        "records": [size * BLOCK for size in sizes],
        "status": states,
        "fates": [_account(size, state, made) for size, state in zip(sizes, states, strict=True)],
        "faults": json.dumps([{"code": "F005", "line": n, "column": "", "text": "no trailer"} for n in range(20)]),
    }
    await connection.execute(text(_FILES), said)
    for statement in (_BLOCKS, _CODES):
        await connection.execute(text(statement), {"vpd": vpd, "whole": TEMPLATES // 2})
    await connection.execute(text(_SMALL), {"vpd": vpd, "begins": BY_REQUEST, "small": SMALL})
    await connection.execute(text(_ROSTER), {"vpd": vpd, "people": PEOPLE})
    for statement in (_ANSWERS, _ALARMS, _REQUESTS):
        await connection.execute(text(statement), {"vpd": vpd})


def _account(size: int, state: str, made: list[Template]) -> str:
    """Return a file's account as the sum over its blocks; a file that was refused has none."""
    counted: Counter[Fate] = Counter()
    for block in range(size if state != "quarantined" else 0):
        counted += made[2 * (block % (TEMPLATES // 2)) + (state == "split")].fates
    return json.dumps({str(int(fate)): number for fate, number in counted.items() if fate})
