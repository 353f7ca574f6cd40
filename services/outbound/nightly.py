"""What ``outbound`` does every night: the completion file of each trust's cut-off."""

import asyncio
from collections.abc import Mapping
from typing import Final

from services.outbound.completions import CompletionFiles
from services.outbound.towards_esr.gather import KIND
from shared.esr.profile import Profile
from shared.nights.duties import Duty, Night
from shared.schedule import Step

SECONDS: Final = 1.0
"""Between two looks while somebody else writes a file for the trust."""


def completion_file(completions: CompletionFiles, profiles: Mapping[str, Profile]) -> Duty:
    """Return the step: ESR is sent what waits, once for each cut-off. By hand it is sent what has come since, too.

    A trust whose profile knows no such file has no such step.
    """

    async def run(night: Night) -> dict[str, int]:
        day = int(night.day.strftime("%Y%m%d"))
        written = await completions.write(night.vpd, once_on=day)
        while not await completions.kept(night.vpd, day):  # somebody writes on demand; if that never ends, we are late
            await asyncio.sleep(SECONDS)
            written += await completions.write(night.vpd, once_on=day)
        if night.by_hand:
            written += await completions.write(night.vpd)
        await completions.deliver(night.vpd)
        return {"completions": written}

    return Duty(
        lambda trust: Step("completion-file", trust.completions.cut_off) if KIND in profiles[trust.vpd].kinds else None,
        run,
    )
