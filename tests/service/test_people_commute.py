"""Any order, any number of times, any replicas: the same people, places and suspicions in the end."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.service.people_rig import (
    TODAY,
    Rig,
    Said,
    application,
    assignment,
    gone,
    in_batches,
    listed,
    organisation,
    person,
    position,
    rigged,
)

DAYS = [TODAY + timedelta(days=offset) for offset in range(-3, 4)]
LAST = DAYS[-1] + timedelta(days=1)


def history(draw: random.Random, length: int) -> list[Said]:
    """Invent what files say of a few people, posts and organisations, corrections and deletions among it."""

    def day() -> str:
        return draw.choice(DAYS).isoformat()

    def one() -> Said:
        who, post, days = draw.choice("1234"), draw.choice(["P1", "P2"]), {"effective_start": day()}
        same = {"date_of_birth": "1990-01-15", "ni_number": draw.choice(["", "QQ123456C"])}
        name, kind = draw.choice(["Mockford", "Rowan"]), draw.choice(["EMP", "APL", "EX_EMP", "EMP_APL"])
        return draw.choice(
            [
                person(who, kind, **same, **days, last_name=name),
                person(who, "EMP", **days, actual_termination_date=day()),
                assignment(who, draw.choice("89"), **days, position_id=post),
                assignment(who, "8", **days, effective_end=day(), organisation_id="O1"),
                application(who, **days),
                position(post, draw.choice(["Nurse", "Matron"]), effective_from=day()),
                position(post, "Guest", effective_from=day(), effective_to=day()),
                organisation("O1", draw.choice(["Ward 1", "Ward 2"]), effective_from=day()),
                listed(draw.choice(["V1", "V2"]), start=day(), end=day(), organisation_id="O1", **same),
                gone("person", "person_id", who),
                gone("assignment", "assignment_id", draw.choice("89")),
                gone("position", "position_id", post),
                gone("organisation", "organisation_id", "O1"),
                gone("non_staff", "reference", "V1"),
            ]
        )

    return [one() for _ in range(length)]


async def played(
    database: str, passwords: Mapping[str, str], said: Sequence[Said], draw: random.Random | None
) -> dict[str, list[tuple[object, ...]]]:
    """Play a history: in order and one by one, or shuffled, doubled, in batches, by two replicas at once."""
    async with rigged(database, passwords, replicas=2) as rigs:
        first = rigs[0]
        await emptied(first)
        messages = first.messages(*said)
        batches = in_batches(messages, 1)
        if draw is not None:
            doubled = [*messages, *draw.sample(messages, len(messages) // 3)]
            draw.shuffle(doubled)
            batches = in_batches(doubled, draw.randint(1, 9))
        for number, pair in enumerate(zip(batches[::2], [*batches[1::2], []], strict=False)):
            if draw is None:
                for batch in pair:
                    await first.people.on_records(batch)
            else:
                await asyncio.gather(*(rig.people.on_records(batch) for rig, batch in zip(rigs, pair, strict=True)))
                if number % 3 == 0:
                    await asyncio.gather(*(rig.people.tick() for rig in rigs))
        await first.on(LAST)
        return await first.final()


async def emptied(rig: Rig) -> None:
    async with rig.work.engine.begin() as connection:
        for table in ("people", "facts", "deletions", "hierarchy", "duplicates", "again", "line_fates"):
            await connection.execute(text(f"DELETE FROM people.{table}"))


@pytest.mark.parametrize("seed", range(12))
async def test_the_order_in_which_records_come_does_not_matter(
    module_database: str, passwords: Mapping[str, str], seed: int
) -> None:
    draw = random.Random(seed)
    said = history(draw, 40)
    in_order = await played(module_database, passwords, said, None)
    assert in_order["again"] == []
    assert await played(module_database, passwords, said, draw) == in_order


async def test_days_that_pass_one_by_one_or_all_at_once_end_the_same(
    module_database: str, passwords: Mapping[str, str]
) -> None:
    said = history(random.Random(99), 60)
    ends = []
    for days in ([LAST], [DAYS[0] + timedelta(days=offset) for offset in range(len(DAYS) + 1)]):
        async with rigged(module_database, passwords) as (rig,):
            await emptied(rig)
            rig.clock.set(rig.clock.moment.replace(day=1, month=1))
            await rig.take(*said)
            for day in days:
                await rig.on(day)
            ends.append(await rig.final())
    assert ends[0] == ends[1]
