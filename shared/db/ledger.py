"""Line fates in the database: blocks of lines, locked in key order, changed in the transaction of the effect."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.accounting import Block, Fate, LineFate, block_of

FileKey = tuple[str, str]
"""(trust, file name)."""

LAST_BLOCK: Final = 2**31 - 1
"""What the column holds; far beyond any file."""


@dataclass(frozen=True, slots=True)
class Change:
    """A line whose fate changed."""

    file: FileKey
    before: Fate
    after: LineFate


class Ledger:
    """The ``line_fates`` table of one schema."""

    def __init__(self, schema: str) -> None:
        self._create = text(_CREATE.format(schema=schema))
        self._lock = text(_LOCK.format(schema=schema))
        self._write = text(_WRITE.format(schema=schema))
        self._read = text(_READ.format(schema=schema))
        self._read_one = text(_READ_ONE.format(schema=schema))

    async def decide(
        self, connection: AsyncConnection, fates: Iterable[tuple[FileKey, int, Fate]]
    ) -> dict[FileKey, list[LineFate]]:
        """Record fates as the owner of the lines; return per file what now stands for these lines."""
        wanted: dict[tuple[str, str, int], list[tuple[int, Fate]]] = defaultdict(list)
        for (vpd, file), line, fate in fates:
            wanted[vpd, file, block_of(line)].append((line, fate))
        blocks = await self._locked(connection, list(wanted))
        stands: dict[FileKey, list[LineFate]] = defaultdict(list)
        for (vpd, file, index), lines in wanted.items():
            block = blocks[vpd, file, index]
            stands[vpd, file] += [block.decide(line, fate) for line, fate in lines]
        await self._save(connection, blocks)
        return stands

    async def adopt(self, connection: AsyncConnection, said: Iterable[tuple[FileKey, LineFate]]) -> list[Change]:
        """Take over fates that the owners of the lines announced; return those that were news."""
        wanted: dict[tuple[str, str, int], list[LineFate]] = defaultdict(list)
        for (vpd, file), one in said:
            wanted[vpd, file, block_of(one.line)].append(one)
        blocks = await self._locked(connection, list(wanted))
        changes: list[Change] = []
        for (vpd, file, index), lines in wanted.items():
            for one in lines:
                before = blocks[vpd, file, index].adopt(one)
                if before is not None:
                    changes.append(Change((vpd, file), before.fate, one))
        await self._save(connection, blocks)
        return changes

    async def blocks(self, connection: AsyncConnection, file: FileKey) -> list[Block]:
        """Return every block of a file that has a fate in it."""
        rows = await connection.execute(self._read, {"vpd": file[0], "file": file[1]})
        return [Block(row.block, bytearray(row.cells)) for row in rows]

    async def block(self, connection: AsyncConnection, file: FileKey, line: int) -> Block | None:
        """Return the block that holds a line; None when none of its lines has a fate."""
        if block_of(line) > LAST_BLOCK:
            return None
        found = await connection.execute(self._read_one, {"vpd": file[0], "file": file[1], "block": block_of(line)})
        row = found.first()
        return Block(row.block, bytearray(row.cells)) if row else None

    async def count(self, connection: AsyncConnection, file: FileKey) -> Counter[Fate]:
        """Return how many lines of a file met which fate."""
        return Counter(one.fate for block in await self.blocks(connection, file) for one in block.lines())

    async def _locked(
        self, connection: AsyncConnection, keys: Sequence[tuple[str, str, int]]
    ) -> dict[tuple[str, str, int], Block]:
        if not keys:
            return {}
        keys = sorted(keys)
        columns = {"vpd": [k[0] for k in keys], "file": [k[1] for k in keys], "block": [k[2] for k in keys]}
        await connection.execute(self._create, columns | {"cells": bytes(Block.empty(0).cells)})
        rows = await connection.execute(self._lock, columns)
        return {(row.vpd, row.file, row.block): Block(row.block, bytearray(row.cells)) for row in rows}

    async def _save(self, connection: AsyncConnection, blocks: dict[tuple[str, str, int], Block]) -> None:
        if blocks:
            await connection.execute(
                self._write,
                {
                    "vpd": [vpd for vpd, _, _ in blocks],
                    "file": [file for _, file, _ in blocks],
                    "block": [index for _, _, index in blocks],
                    "cells": [bytes(block.cells) for block in blocks.values()],
                },
            )


_KEYS: Final = "unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), CAST(:block AS int[])) AS t(vpd, file, block)"

_CREATE: Final = (
    "INSERT INTO {schema}.line_fates (vpd, file, block, cells) SELECT t.vpd, t.file, t.block, CAST(:cells AS bytea) "
    f"FROM {_KEYS} ORDER BY 1, 2, 3 ON CONFLICT (vpd, file, block) DO NOTHING"
)

_LOCK: Final = (
    f"SELECT f.vpd, f.file, f.block, f.cells FROM {{schema}}.line_fates f JOIN {_KEYS} USING (vpd, file, block) "
    "ORDER BY f.vpd, f.file, f.block FOR UPDATE OF f"
)

_WRITE: Final = (
    "UPDATE {schema}.line_fates f SET cells = t.cells FROM unnest(CAST(:vpd AS text[]), CAST(:file AS text[]), "
    "CAST(:block AS int[]), CAST(:cells AS bytea[])) AS t(vpd, file, block, cells) "
    "WHERE (f.vpd, f.file, f.block) = (t.vpd, t.file, t.block) AND f.cells <> t.cells"
)

_READ: Final = "SELECT block, cells FROM {schema}.line_fates WHERE vpd = :vpd AND file = :file ORDER BY block"

_READ_ONE: Final = "SELECT block, cells FROM {schema}.line_fates WHERE vpd = :vpd AND file = :file AND block = :block"
