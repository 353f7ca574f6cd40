"""A file that was begun is delivered as it is, whenever the process dies; delivered means that ESR has it."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event, text

from services.outbound import delivered
from services.outbound.towards_esr import delivery
from shared import events
from shared.db.outbox import Outbox
from shared.files import put_file
from tests.service.completion_bench import VPD, CompletionBench, completion_bench

REMOTE: Final = {
    "esr": {"transport": "folder", "path": "away", "deliver_to": "In"},
    "completions": {"rows_per_file": 1},
}
NOW = datetime(2026, 3, 4, 18, 30, tzinfo=UTC)

Open = Callable[..., AbstractAsyncContextManager[CompletionBench]]


@pytest.fixture
def open_bench(database: str, passwords: Mapping[str, str], tmp_path: Path) -> Open:
    def open_(**settings: Any) -> AbstractAsyncContextManager[CompletionBench]:
        return completion_bench(database, passwords, tmp_path, **settings)

    return open_


@pytest.fixture
async def bench(open_bench: Open) -> AsyncIterator[CompletionBench]:
    async with open_bench() as bench:
        await bench.person()
        await bench.complete()
        yield bench


# Into the folder


async def test_a_file_that_vanished_before_it_was_noted_is_put_again_byte_for_byte(bench: CompletionBench) -> None:
    await bench.files.write(VPD)
    (row,) = await bench.ask("SELECT content FROM outbound.outfiles")
    bench.clock.set(NOW + timedelta(days=1))
    await bench.person(last_name="Other")
    await bench.files.deliver()
    (name,) = bench.names
    assert (bench.to_esr / name).read_bytes() == row["content"]


async def test_the_same_file_in_the_folder_is_left_as_it_is(bench: CompletionBench) -> None:
    await bench.files.write(VPD)
    (row,) = await bench.ask("SELECT name, content FROM outbound.outfiles")
    bench.to_esr.mkdir(parents=True)
    (bench.to_esr / row["name"]).write_bytes(row["content"])
    before = (bench.to_esr / row["name"]).stat().st_ino
    await bench.files.deliver()
    assert (bench.to_esr / row["name"]).stat().st_ino == before
    assert len(bench.of(events.CompletionSent)) == 1


async def test_another_file_of_the_name_is_never_written_over_and_keeps_later_ones_back(
    bench: CompletionBench,
) -> None:
    files = bench.files
    await files.write(VPD)
    await bench.complete(key="later", competence_id="5002")
    await files.write(VPD)
    (first, _) = await bench.ask("SELECT name FROM outbound.outfiles ORDER BY number")
    bench.to_esr.mkdir(parents=True)
    (bench.to_esr / first["name"]).write_bytes(b"other")
    assert await files.deliver() == 0
    assert files.waiting == {VPD: "TRANSPORT_CONFLICT"}
    assert bench.names == [first["name"]]
    assert (bench.to_esr / first["name"]).read_bytes() == b"other"
    assert bench.of(events.CompletionSent) == []
    (bench.to_esr / first["name"]).unlink()
    await files.deliver()
    assert files.waiting == {}
    assert len(bench.names) == len(bench.of(events.CompletionSent)) == 2


async def test_a_folder_that_cannot_be_written_keeps_files_back_until_it_can(bench: CompletionBench) -> None:
    files = bench.files
    await files.write(VPD)
    bench.to_esr.parent.mkdir(parents=True)
    bench.to_esr.write_text("no folder")
    assert await files.deliver() == 0
    assert files.waiting == {VPD: "STORAGE_UNAVAILABLE"}
    bench.to_esr.unlink()
    await files.deliver()
    assert len(bench.of(events.CompletionSent)) == 1


async def test_the_bytes_of_a_file_are_dropped_at_the_end_of_the_trusts_retention(open_bench: Open) -> None:
    async with open_bench(archive_days=10) as bench:
        await bench.person()
        await bench.complete()
        await bench.night()
        await bench.night(9)
        assert (await bench.ask("SELECT content FROM outbound.outfiles"))[0]["content"] is not None
        await bench.night(2)
        (row,) = await bench.ask("SELECT content, name, sha256 FROM outbound.outfiles")
        assert row["content"] is None
        assert row["sha256"] == hashlib.sha256((bench.to_esr / row["name"]).read_bytes()).hexdigest()


# Over a connection


async def test_where_a_connection_carries_files_on_they_are_sent_once_the_other_side_has_them(
    open_bench: Open,
) -> None:
    async with open_bench(**REMOTE) as bench:
        await bench.person()
        await bench.complete()
        await bench.complete(key="later", competence_id="5002")
        (first,) = await bench.night()
        assert bench.of(events.CompletionSent) == []
        assert await bench.stands() == ("written", "")
        assert await bench.files.deliver() == 0
        await arrived(bench, first)
        await bench.files.deliver()
        (sent,) = bench.of(events.CompletionSent)
        assert (sent.sent_file, sent.sent_at) == (first, NOW.isoformat())
        assert len(bench.names) == 2  # one at a time, as ESR counts them


async def test_other_bytes_under_the_name_do_not_count_as_delivered(open_bench: Open) -> None:
    async with open_bench(**REMOTE) as bench:
        await bench.person()
        await bench.complete()
        (name,) = await bench.night()
        async with bench.work.engine.begin() as connection:
            await delivered.note(connection, VPD, "esr:In", name, "0" * 64, 1, NOW)
        await bench.files.deliver()
        assert bench.of(events.CompletionSent) == []


async def arrived(bench: CompletionBench, name: str) -> None:
    """The deliverer noted that the other side holds a file."""
    content = (bench.to_esr / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    async with bench.work.engine.begin() as connection:
        await delivered.note(connection, VPD, "esr:In", name, digest, len(content), NOW)


# Whenever the process dies


class DeadError(BaseException):
    """The process ends here: nothing in it handles this."""


class Moments:
    """Counts the moments at which a process may die, and ends it at one of them."""

    def __init__(self) -> None:
        self.passed = 0
        self.last = 0

    def __call__(self, *_: Any) -> None:
        self.passed += 1
        if self.passed == self.last:
            raise DeadError


@contextmanager
def mortal(bench: CompletionBench, monkeypatch: pytest.MonkeyPatch, moments: Moments) -> Iterator[None]:
    """Let the process die before any statement, commit, publication and rename, and around putting a file."""
    engine = bench.work.engine.sync_engine
    put, replace, publish = put_file, Path.replace, Outbox.publish

    def dying_put(path: Path, content: bytes) -> None:
        moments()
        put(path, content)
        moments()

    def dying_replace(self: Path, target: Path) -> Path:
        moments()
        done = replace(self, target)
        moments()
        return done

    async def dying_publish(self: Outbox, *said: Any) -> None:
        moments()
        await publish(self, *said)
        moments()

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "put_file", dying_put)
        patched.setattr(Path, "replace", dying_replace)
        patched.setattr(Outbox, "publish", dying_publish)
        event.listen(engine, "before_cursor_execute", moments)
        event.listen(engine, "commit", moments)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", moments)
            event.remove(engine, "commit", moments)


async def one_night(bench: CompletionBench) -> None:
    await bench.cut_off()


async def test_whenever_the_process_dies_the_next_one_ends_with_the_same_files_told_of_once(
    open_bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(completions={"rows_per_file": 2}) as bench:
        await begin(bench)
        moments = Moments()
        with mortal(bench, monkeypatch, moments):
            await one_night(bench)
        expected, number = await outcome(bench), moments.passed
        assert len(expected["files"]) == 3
        assert number > 60
        for last in range(1, number + 1):
            await begin(bench)
            moments = Moments()
            moments.last = last
            with mortal(bench, monkeypatch, moments), pytest.raises(DeadError):
                await one_night(bench)
            await bench.work.engine.dispose()
            await one_night(bench)
            assert (last, await outcome(bench)) == (last, expected)
            await bench.cut_off()
            assert (last, await outcome(bench)) == (last, expected)


async def begin(bench: CompletionBench) -> None:
    """Empty everything, and have five completions wait."""
    async with bench.work.engine.begin() as connection:
        for table in ("completions", "items", "outfiles", "counters", "accounts", "gates", "outbox"):
            await connection.execute(text(f"DELETE FROM outbound.{table}"))
    for name in bench.names:
        (bench.to_esr / name).unlink()
    bench.said.clear()
    bench.revision = 0
    await bench.person()
    many = [bench.completed(key=f"k{number}", competence_id=str(number)) for number in range(5)]
    await bench.hear(*many)
    await bench.complete(key="k0", competence_id="0")


async def outcome(bench: CompletionBench) -> dict[str, Any]:
    """Return what there is in the end; an event that is published twice is the same event."""
    while await bench.work.outbox.sweep(age=0):
        pass
    files = await bench.ask("SELECT number, name, content, records, announced FROM outbound.outfiles ORDER BY number")
    assert all((bench.to_esr / one["name"]).read_bytes() == one["content"] for one in files)
    assert len(files) == len(bench.names)
    sent = {(one.sent_file, one.position, one.reference, one.key) for one in bench.of(events.CompletionSent)}
    return {
        "files": files,
        "items": await bench.ask(
            "SELECT sent_file, position, reference, key, state FROM outbound.items ORDER BY sent_file, position"
        ),
        "completions": await bench.ask("SELECT key, state FROM outbound.completions ORDER BY key"),
        "sent": sent,
        "counters": await bench.ask("SELECT name, value FROM outbound.counters ORDER BY name"),
    }
