"""Completions gather and leave for ESR as files of their trust: written whole in the database first, then delivered.

A file's bytes, its number and its records are committed together before anything is put into the folder, so numbers
have no gaps and a file that was begun is delivered byte for byte, whenever the process died.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from services.outbound.locks import trust_lock
from services.outbound.towards_esr import store
from services.outbound.towards_esr.delivery import Delivery
from services.outbound.towards_esr.gather import KIND, Gatherer
from shared.clock import Clock
from shared.config import TrustConfig
from shared.db.unit import Unit, Work
from shared.errors import DecisionError
from shared.esr.profile import Profile

_BY_POLICY: Final = ("waiting", "withheld", "overdue")
"""States that another policy of the trust may change."""


class CompletionFiles:
    """Writes and delivers the completion files of every trust."""

    def __init__(
        self, work: Work, trusts: Sequence[TrustConfig], profiles: Mapping[str, Profile], files: Path, clock: Clock
    ) -> None:
        self._work = work
        self._trusts = {trust.vpd: trust for trust in trusts}
        self._profiles = profiles
        self._delivery = Delivery(work, trusts, files)
        self._clock = clock

    @property
    def waiting(self) -> Mapping[str, str]:
        """Code of what keeps a trust's files back, by trust."""
        return self._delivery.waiting

    async def night(self, vpd: str, day: int) -> int:
        """Run the cut-off of a day (yyyymmdd) again: write what it missed, and nothing twice.

        Raises DecisionError for a cut-off that has not come.
        """
        now = self._clock.now()
        today = int(now.strftime("%Y%m%d"))
        if day > today or (day == today and now.strftime("%H:%M") < self._trusts[vpd].completions.cut_off):
            raise DecisionError("the cut-off of that day has not come; without a day a file is written now")
        return await self.write(vpd, once_on=day)

    async def write(self, vpd: str, *, once_on: int = 0) -> int:
        """Write what is to leave into files, as many as the limits make it; return how many records they hold.

        ``once_on``: do nothing if the cut-off of that day (yyyymmdd) has been kept already; it is kept when its last
        file is written. A profile that has no such file, as Generic Outbound, lets completions wait.
        """
        if KIND not in self._profiles[vpd].kinds:
            return 0
        gatherer = Gatherer(self._trusts[vpd], self._profiles[vpd])
        written = 0
        async with trust_lock(self._work.engine, "completions", vpd) as free:
            while free:
                async with self._work.unit() as unit:
                    if once_on and await store.counter(unit.connection, vpd, "cut_off") >= once_on:
                        return written
                    await self._heed_policy(unit, vpd)
                    file = await gatherer.file(unit, self._clock.now(), once_on)
                    if once_on and not file.left_over:
                        await store.set_counter(unit.connection, vpd, "cut_off", once_on)
                written += file.written
                if not file.left_over:
                    break
        return written

    async def deliver(self, vpd: str = "") -> int:
        """Put written files, of one trust or of all, where ESR collects, and tell that their records were sent.

        Return how much was done.
        """
        return await self._delivery.run(vpd)

    async def kept(self, vpd: str, day: int) -> bool:
        """Whether the cut-off of a day (yyyymmdd) was kept: its last file is written. Not while a replica is at it."""
        async with self._work.engine.connect() as connection:
            return await store.counter(connection, vpd, "cut_off") >= day

    async def _heed_policy(self, unit: Unit, vpd: str) -> None:
        """Have decided again what rests on the trust's policy, when that has changed."""
        said = zlib.crc32(self._trusts[vpd].completions.model_dump_json().encode())
        if await store.counter(unit.connection, vpd, "completion_policy") != said:
            await store.look_again(unit.connection, vpd, _BY_POLICY)
            await store.set_counter(unit.connection, vpd, "completion_policy", said)
