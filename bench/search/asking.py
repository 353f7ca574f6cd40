"""How long questions take, asked many times with other values."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

TIMES: Final = 40
GOAL: Final = 300.0
"""Milliseconds within which 95 of a hundred lists and searches are to be answered."""

Ask = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Each call of ``ask`` asks with other values, where there are any."""

    group: str
    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Asked:
    """How long a question took, in milliseconds."""

    group: str
    name: str
    p95: float
    slowest: float

    @property
    def met(self) -> bool:
        """Whether it is answered within the goal."""
        return self.p95 < GOAL


async def asked(question: Question, times: int = TIMES) -> Asked:
    """Ask a question many times."""
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        await question.ask()
        took.append(1000 * (time.perf_counter() - begin))
    return Asked(question.group, question.name, round(percentile(took), 1), round(max(took), 1))


def percentile(took: Sequence[float], share: float = 0.95) -> float:
    """Return the least of the values that so large a share of all does not exceed."""
    place = -(-round(share * len(took) * 1000) // 1000)
    return sorted(took)[max(0, min(len(took), place) - 1)]
