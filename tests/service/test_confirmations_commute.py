"""Any interleaving, repetition and batching of what is heard, by two replicas, ends the same and adds up on the way."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.confirmations.domain import Detail
from shared import events
from shared.messaging.message import Message
from tests.service.confirmations_rig import OTHER, SENT, Rig, answer, complete, head, rigged, sent

EXAMPLES = max(10, settings.default.max_examples // 10)  # type: ignore[union-attr]

details = st.sampled_from(["every_record", "exceptions_only", "file_only"])
statuses = st.sampled_from(["SUCCESS", "SUCCESS", "PARTIAL", "FAIL", "DUPLICATE"])
references = st.sampled_from(["R1", "R2", "R3", "R9"])
answers: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    reference=references,
    position=st.integers(1, 4),
    status=st.sampled_from(["SUCCESS", "FAIL"]),
    message_code=st.sampled_from(["", "B204", "B208"]),
    confirmed_record_type=st.sampled_from(["TCA", "TCA", "TCD"]),
)
heads: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    file=st.sampled_from([SENT, OTHER, "CS_991_CST_CMP_20260309_00000009.DAT"]),
    status=statuses,
    records_success=st.sampled_from(["0", "1"]),
    records_failed=st.sampled_from(["0", "1"]),
)
confirmations = st.lists(
    st.tuples(heads, st.lists(answers, max_size=4), st.none() | st.tuples(heads, st.lists(answers, max_size=2))),
    min_size=1,
    max_size=3,
)


def of_files(said: Sequence[Any]) -> list[list[Message]]:
    """Make the messages of each confirmation file, its completion last."""
    files = []
    for number, (first, below, again) in enumerate(said, start=1):
        messages = [head(2, number, **first)]
        messages += [answer(line=line, number=number, **one) for line, one in enumerate(below, start=3)]
        if again is not None:
            line = len(messages) + 2
            messages.append(head(line, number, **again[0]))
            messages += [answer(line=line + 1 + at, number=number, **one) for at, one in enumerate(again[1])]
        files.append([*messages, complete(number, len(messages))])
    return files


SENDINGS = [
    sent("R1", 1), sent("R2", 2), sent("R3", 3, change="withdrawal"),
    sent("R1", 1, file=OTHER, change="resend"), sent("R4", 2, file=OTHER, change="correction", replaces="R2"),
]  # fmt: skip


def shuffled(files: Sequence[Sequence[Message]], dice: random.Random) -> list[Message]:
    """Mix everything, some of it twice. Only a file that speaks of two files is complete when all of it was heard."""
    said = [*SENDINGS, *(message for file in files for message in file)]
    said += dice.sample(said, len(said) // 3)
    dice.shuffle(said)
    for file in files:
        if sum(one.type == "confirmation_file.upsert" for one in file) > 1:
            *_, last = file
            said = [one for one in said if one != last]
            after = max(said.index(one) for one in file[:-1])
            after = max([after, *(index for index, one in enumerate(said) if one in file[:-1])])
            said.insert(dice.randint(after + 1, len(said)), last)
    return said


async def played(
    database: str, passwords: Mapping[str, str], detail: Detail, said: Sequence[Message], dice: random.Random | None
) -> dict[str, Any]:
    async with rigged(database, passwords, detail=detail, replicas=2) as rigs:
        first = rigs[0]
        if dice is None:
            await first.hear(*said)
        else:
            await _in_batches(rigs, list(said), dice)
        first.clock.set(datetime.fromisoformat("2026-04-01T12:00"))
        await first.look()
        await first.adds_up()
        return await final(first)


async def _in_batches(rigs: Sequence[Rig], said: list[Message], dice: random.Random) -> None:
    while said:
        sizes = [dice.randint(1, 5) for _ in rigs]
        batches = [said[: sizes[0]], said[sizes[0] : sum(sizes)]]
        del said[: sum(sizes)]
        await asyncio.gather(*(rig.together(batch) for rig, batch in zip(rigs, batches, strict=True)))
        if dice.random() < 0.3:
            rigs[0].clock.set(rigs[0].clock.now() + timedelta(hours=dice.randint(-6, 30)))
            await asyncio.gather(*(rig.look() for rig in rigs))
        await rigs[0].adds_up()


async def final(rig: Rig) -> dict[str, Any]:
    """Items, the last event of each, what stands as odd; and check that each overdue item was told once."""
    last: dict[tuple[str, int], Any] = {}
    for one in sorted((e for e in rig.told if isinstance(e, events.CompletionAnswer)), key=lambda e: e.revision):
        last[one.sent_file, one.position] = (type(one).__name__, one.code, one.warning)
    overdue = Counter((e.sent_file, e.position) for e in rig.told if isinstance(e, events.ConfirmationOverdue))
    odd = Counter((e.cause.file, e.line, e.reason) for e in rig.told if isinstance(e, events.ConfirmationUnmatched))
    answered = Counter((e.cause.file, e.sent_file) for e in rig.told if isinstance(e, events.CompletionFileAnswered))
    items = await rig.rows(
        "SELECT sent_file, position, reference, state, code, warning, own, answer_file, answer_line "
        "FROM confirmations.items ORDER BY 1, 2"
    )
    assert set(overdue.values()) | set(odd.values()) <= {1}
    assert {(file, position) for file, position, _, state, *_ in items if state == "open"} <= set(overdue)
    stands = {((row[3], row[4], row[5]) if row[3] != "open" else None) for row in items}
    assert {("confirmed" if name == "CompletionConfirmed" else "rejected", *rest) for name, *rest in last.values()} == (
        stands - {None}
    )
    return {"items": items, "last": last, "odd": await rig.odd(), "answered": answered}


@given(details, confirmations, st.integers(0, 2**32))
@settings(max_examples=EXAMPLES)
def test_what_is_heard_in_any_order_and_number_ends_the_same(
    module_database: str, passwords: Mapping[str, str], detail: Detail, said: Sequence[Any], seed: int
) -> None:
    files, dice = of_files(said), random.Random(seed)
    in_order = [*SENDINGS, *(message for file in files for message in file)]

    async def both() -> tuple[dict[str, Any], dict[str, Any]]:
        expected = await played(module_database, passwords, detail, in_order, None)
        return await played(module_database, passwords, detail, shuffled(files, dice), dice), expected

    found, expected = asyncio.run(both())
    assert found == expected
