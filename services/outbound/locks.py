"""One at a time per trust: replicas that find a trust taken leave it to whoever has it."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


@asynccontextmanager
async def trust_lock(engine: AsyncEngine, purpose: str, vpd: str) -> AsyncIterator[bool]:
    """Hold the lock of one purpose for one trust; yield whether it was free. It ends with its transaction."""
    number = int.from_bytes(hashlib.blake2b(f"{purpose}/{vpd}".encode(), digest_size=8).digest(), signed=True)
    async with engine.begin() as connection:
        yield bool(await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number}))
