"""The loops of a service: begun and ended together."""

import gc
import warnings
from types import SimpleNamespace
from typing import Any

from shared.component import Component, Job
from shared.loops import Loops


async def test_loops_that_are_ended_before_their_first_step_leave_nothing_behind() -> None:
    async def nothing() -> int:
        return 0

    work: Any = SimpleNamespace(outbox=SimpleNamespace(sweep=nothing))
    loops = Loops(Component("some", work, jobs=(Job("one", nothing),)), every=1.0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async with loops.running():
            pass
        gc.collect()
    assert [str(one.message) for one in told] == []
