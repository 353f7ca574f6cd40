"""Completions by HTTP: taken whole or not at all, never lost, never twice, and each accounted for by its receipt."""

import asyncio
import hashlib
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from esrbridge.embedded import as_role
from services.competency import store as competency
from services.ingest.batch import MOST
from services.ingest.completions_api import LONGEST_BODY
from services.ingest.schema import FILES, LINE_CODES
from shared.accounting import Fate
from shared.config import BridgeConfig
from shared.db.engine import make_engine
from shared.db.ledger import Ledger
from tests.integration.faulty_network import Network
from tests.service.conftest import Serve
from tests.service.harness import TIMEOUT, Running, running

CONFIG = BridgeConfig.model_validate(
    {
        "trusts": [
            {"vpd": vpd, "mappings": [{"competence_id": "3100001", "certification": "FIRE"}]}
            for vpd in ("991", "992", *(str(number) for number in range(910, 930)))
        ]
    }
)
FIRE = {"competence_id": "3100001", "competence_name": "NHS|CSTF|Fire Safety - 2 Years|", "date_from": "2020-01-01"}


def item(vpd: str, number: int, **more: object) -> dict[str, Any]:
    return {
        "reference": f"r{number}",
        "user_idnumber": f"{vpd}-{9000000 + number}",
        "certification_idnumber": "FIRE",
        "completed_at": "2026-03-03T14:22:10+00:00",
        "expires_on": "2028-03-03",
        **more,
    }


async def post(running: Running, vpd: str, *items: object, status: int = 202) -> dict[str, Any]:
    answer = await running.client.post(f"/v1/trusts/{vpd}/completions", json={"completions": items})
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def get(running: Running, path: str, status: int = 200) -> Any:
    answer = await running.client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


async def adding_up(running: Running, url: str) -> dict[str, Any]:
    """Ask for a receipt until every completion of it has its fate."""
    said: dict[str, Any] = await until(running, url, lambda said: bool(said["adds_up"]))
    return said


async def until(running: Running, path: str, holds: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as it should be."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            answer = await running.client.get(path)
            if answer.status_code == 200 and holds(answer.json()):
                return answer.json()
            await asyncio.sleep(0.05)


def archived(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "archive").glob("*/*"))


@pytest.fixture
def serve(database: str, passwords: Mapping[str, str], rabbitmq_url: str, tmp_path: Path) -> Serve:
    """As for the other tests, but on a database of each test's own: an archive and the files it keeps go together."""

    def start(
        service: str, *, database: str = database, broker: str = rabbitmq_url
    ) -> AbstractAsyncContextManager[Running]:
        password = passwords[service]
        return running(service, database=database, password=password, broker=broker, files=tmp_path, config=CONFIG)

    return start


@pytest.fixture
def rows(database: str, passwords: Mapping[str, str]) -> Any:
    """``async with rows("ingest") as connection``: a transaction with the service's own login."""

    @asynccontextmanager
    async def begin(service: str) -> AsyncIterator[AsyncConnection]:
        engine = make_engine(as_role(database, service, passwords[service]), name="test")
        try:
            async with engine.begin() as connection:
                yield connection
        finally:
            await engine.dispose()

    return begin


@asynccontextmanager
async def bridge(serve: Serve, rows: Any, vpd: str, people: int) -> AsyncIterator[Running]:
    """Run ingest and competency, with fire safety defined and people 9000001 ... known in the trust."""
    async with rows("competency") as connection:
        definition = {"entity": "competence", "key": "3100001", "slice": "", "owner": "", "data": FIRE}
        place = {"file": "CS.DAT", "file_no": 1, "line": 2}
        await connection.execute(insert(competency.FACTS).values(vpd=vpd, **definition, **place))
        known = [
            {"vpd": vpd, "person_id": str(9000000 + number), "state": "employee", "revision": 1}
            for number in range(1, people + 1)
        ]
        await connection.execute(insert(competency.PEOPLE), known)
    async with serve("competency"), serve("ingest") as running:
        yield running


# --- taken ------------------------------------------------------------------------------------------------------


async def test_a_batch_is_taken_with_a_receipt_and_goes_the_way_of_every_file(serve: Serve, rows: Any) -> None:
    async with bridge(serve, rows, "910", people=2) as running:
        answer = await running.client.post(
            "/v1/trusts/910/completions", json={"event": "done", "completions": [item("910", 1), item("910", 2)]}
        )
        assert answer.status_code == 202
        said = answer.json()
        assert said == {
            "receipt": said["receipt"],
            "records": 2,
            "status_url": f"/v1/trusts/910/receipts/{said['receipt']}",
        }
        assert answer.headers["location"] == said["status_url"]
        found = await adding_up(running, said["status_url"])
        [file] = await get(running, "/v1/trusts/910/files")
    assert (file["name"], file["status"], file["records"]) == (f"api-{said['receipt']}.csv", "complete", 2)
    assert (found["status"], found["records"], found["accounted"]) == ("complete", 2, file["accounted"])
    assert found["accounted"]["applied"] == 2
    assert [(one["reference"], one["line"], one["fate"], one["rule"]) for one in found["completions"]] == [
        ("r1", 2, "applied", "applied"),
        ("r2", 3, "applied", "applied"),
    ]


async def test_a_receipt_tells_reference_by_reference_what_was_applied_parked_ignored_or_given_up(
    serve: Serve, rows: Any
) -> None:
    async with bridge(serve, rows, "911", people=1) as running:
        said = await post(
            running,
            "911",
            item("911", 1),
            item("911", 2),  # a person nobody has told of
            item("911", 1, reference="r3", certification_idnumber="KNITTING"),
            item("911", 1, reference="r4", course_idnumber="C1"),
        )
        found = await adding_up(running, said["status_url"])
    fates = {one["reference"]: (one["fate"], one["rule"]) for one in found["completions"]}
    # The fourth tells of the same completion, and later. The first is superseded, or was applied before that came.
    assert fates.pop("r1") in {("superseded", "superseded"), ("applied", "applied")}
    assert fates == {
        "r2": ("parked", "parked_person_unknown"),
        "r3": ("ignored", "ignored_unmapped_certification"),
        "r4": ("applied", "applied"),
    }
    assert all(one["reason"] for one in found["completions"])
    assert sum(found["accounted"].values()) == found["records"] == 4
    assert sum(found["reasons"].values()) == 2


async def test_the_same_batch_again_gives_the_same_receipt_and_no_second_file(serve: Serve, rows: Any) -> None:
    async with bridge(serve, rows, "912", people=1) as running:
        first = await post(running, "912", item("912", 1))
        await adding_up(running, first["status_url"])
        assert await post(running, "912", item("912", 1), item("912", 1)) == first
        [file] = await get(running, "/v1/trusts/912/files")
        assert (file["repeats"], file["accounted"]["applied"]) == (0, 1)


async def test_a_completion_that_comes_again_in_another_batch_is_unchanged_and_a_new_expiry_is_applied(
    serve: Serve, rows: Any
) -> None:
    async with bridge(serve, rows, "913", people=3) as running:
        await adding_up(running, (await post(running, "913", item("913", 1), item("913", 2)))["status_url"])
        other = await post(running, "913", item("913", 1), item("913", 2, expires_on="2027-03-03"), item("913", 3))
        found = await adding_up(running, other["status_url"])
        assert [one["fate"] for one in found["completions"]] == ["unchanged", "applied", "applied"]
        later = item("913", 1, completed_at="2026-03-04T09:00:00+00:00")  # another completion, whatever its reference
        found = await adding_up(running, (await post(running, "913", later))["status_url"])
        assert [one["fate"] for one in found["completions"]] == ["applied"]
    async with rows("competency") as connection:
        keys = (await connection.execute(competency.FACTS.select().where(competency.FACTS.c.owner == "9000001"))).all()
    assert len([one for one in keys if one.vpd == "913"]) == 2


async def test_two_who_send_the_same_at_once_get_the_same_receipt_for_one_file(serve: Serve, tmp_path: Path) -> None:
    async with serve("ingest") as running:
        items = [item("914", number) for number in range(300)]
        said = await asyncio.gather(*(post(running, "914", *items) for _ in range(6)))
        assert [one == said[0] for one in said] == [True] * 6
        [file] = await get(running, "/v1/trusts/914/files")
    assert file["sha256"].startswith(said[0]["receipt"])
    [name] = archived(tmp_path)
    assert hashlib.sha256((tmp_path / "archive" / "914" / name).read_bytes()).hexdigest() == file["sha256"]


async def test_a_receipt_is_told_in_pages(serve: Serve) -> None:
    async with serve("ingest") as running:
        said = await post(running, "915", *(item("915", number) for number in range(250)))
        references: list[str] = []
        offset: int | None = 0
        sizes = []
        while offset is not None:
            page = await get(running, f"{said['status_url']}?offset={offset}")
            sizes.append(len(page["completions"]))
            references += [one["reference"] for one in page["completions"]]
            offset = page["next_offset"]
        assert page["records"] == 250
        assert sizes == [100, 100, 50]
        assert references == [f"r{number}" for number in range(250)]
        page = await get(running, f"{said['status_url']}?offset=240&limit=5")
        assert (page["completions"][0]["reference"], page["next_offset"]) == ("r240", 245)
        assert (await get(running, f"{said['status_url']}?offset=240&limit=10"))["next_offset"] is None
        for wrong in ("offset=-1", "limit=0", "limit=1001", "offset=x"):
            await get(running, f"{said['status_url']}?{wrong}", 422)


async def test_a_completion_without_fate_yet_is_pending_and_one_given_up_tells_its_code(
    serve: Serve, rows: Any
) -> None:
    async with serve("ingest") as running:
        said = await post(running, "916", item("916", 1), item("916", 2))
        [first, _] = (await get(running, said["status_url"]))["completions"]
        assert (first["fate"], first["rule"], first["reason"]) == ("pending", "pending", "not handled yet")
        name = f"api-{said['receipt']}.csv"
        async with rows("ingest") as connection:
            await Ledger("ingest").decide(connection, [(("916", name), 3, Fate.DEAD_LETTERED)])
            await connection.execute(insert(LINE_CODES).values(vpd="916", file=name, line=3, code="R902"))
        [_, second] = (await get(running, said["status_url"]))["completions"]
    assert (second["fate"], second["code"]) == ("dead_lettered", "R902")


async def test_a_receipt_whose_file_was_purged_still_tells_the_sums(serve: Serve, rows: Any) -> None:
    async with bridge(serve, rows, "917", people=1) as running:
        said = await post(running, "917", item("917", 1))
        await adding_up(running, said["status_url"])
        async with rows("ingest") as connection:
            await connection.execute(
                update(FILES).where(FILES.c.vpd == "917").values(purged_at=datetime(2027, 3, 3, tzinfo=UTC))
            )
        found = await get(running, said["status_url"])
    assert (found["purged"], found["completions"], found["next_offset"]) == (True, [], None)
    assert (found["records"], found["accounted"]["applied"]) == (1, 1)


async def test_a_receipt_belongs_to_its_trust(serve: Serve) -> None:
    async with serve("ingest") as running:
        said = await post(running, "918", item("918", 1))
        await get(running, said["status_url"])
        await get(running, said["status_url"].replace("918", "919"), 404)
        await get(running, f"/v1/trusts/918/receipts/{'0' * 32}", 404)
        await get(running, "/v1/trusts/918/receipts/..%2Ffiles", 404)
        await get(running, f"/v1/trusts/918/receipts/{'_' * 32}", 422)


async def test_the_most_a_batch_may_have_is_taken(serve: Serve) -> None:
    async with serve("ingest") as running:
        said = await post(running, "920", *(item("920", number) for number in range(MOST)))
    assert said["records"] == MOST


# --- refused ----------------------------------------------------------------------------------------------------


async def nothing_taken(running: Running, vpd: str, folder: Path) -> None:
    assert await get(running, f"/v1/trusts/{vpd}/files") == []
    assert archived(folder) == []


async def test_a_batch_with_faults_is_refused_whole_and_every_fault_is_listed_without_values(
    serve: Serve, tmp_path: Path
) -> None:
    async with serve("ingest") as running:
        said = await post(
            running,
            "921",
            item("921", 1),
            item("921", 2, completed_at="Canary", reference="Canary"),
            item("922", 3, colour="Canary"),
            item("921", 4, method=None),
            item("921", 4, method="Canary"),
            status=422,
        )
        await nothing_taken(running, "921", tmp_path)
    assert [(one["index"], one["field"], one["code"]) for one in said["faults"]] == [
        (1, "completed_at", "L103"),
        (2, "colour", "L105"),
        (2, "user_idnumber", "L102"),
        (4, "reference", "L106"),
    ]
    assert all(one["text"] for one in said["faults"])
    assert "Canary" not in str(said)


@pytest.mark.parametrize("body", [b"", b"{", b'{"completions": []}', b"[" * 100_000, b"\xff\xfe{"])
async def test_what_is_no_batch_at_all_is_l005(serve: Serve, body: bytes, tmp_path: Path) -> None:
    async with serve("ingest") as running:
        answer = await running.client.post("/v1/trusts/921/completions", content=body)
        assert (answer.status_code, [one["code"] for one in answer.json()["faults"]]) == (422, ["L005"])
        await nothing_taken(running, "921", tmp_path)


async def test_a_trust_that_is_not_served_is_404_and_a_stranger_is_401(serve: Serve, tmp_path: Path) -> None:
    async with serve("ingest") as running:
        assert "trust" in (await post(running, "935", item("935", 1), status=404))["detail"]
        path = "/v1/trusts/921/completions"
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = await running.stranger.post(path, json={"completions": [item("921", 1)]}, headers=headers)
            assert answer.status_code == 401
        await nothing_taken(running, "921", tmp_path)


async def endless(read: list[int]) -> AsyncIterator[bytes]:
    """A body ten times as long as any may be, that says nothing of its length."""
    for _ in range(10 * LONGEST_BODY // 65536):
        read.append(65536)
        yield b" " * 65536


async def test_too_large_a_request_is_413_before_it_is_read_to_its_end(serve: Serve, tmp_path: Path) -> None:
    async with serve("ingest") as running:
        items = [item("921", number) for number in range(MOST + 1)]
        assert str(MOST) in (await post(running, "921", *items, status=413))["detail"]
        path = "/v1/trusts/921/completions"
        whole = await running.client.post(path, content=b" " * (LONGEST_BODY + 1))
        assert whole.status_code == 413
        padded = msgspec.json.encode({"completions": [item("921", 1)]}).ljust(LONGEST_BODY)
        await nothing_taken(running, "921", tmp_path)
        assert (await running.client.post(path, content=padded)).status_code == 202
        read: list[int] = []
        answer = await running.client.post(path, content=endless(read))
        assert answer.status_code == 413
        assert sum(read) < 2 * LONGEST_BODY


# --- when something dies or is away -----------------------------------------------------------------------------


async def test_while_the_database_is_away_nothing_is_taken_and_the_sender_is_told_to_try_again(
    serve: Serve, database: str, tmp_path: Path
) -> None:
    async with Network(database) as network, serve("ingest", database=network.url) as running:
        await network.cut()
        said = await post(running, "923", item("923", 1), status=503)
        assert "try again" in said["detail"]
        assert archived(tmp_path) == []
        assert (await running.client.get(f"/v1/trusts/923/receipts/{'0' * 32}")).status_code == 503
        network.mend()
        await until(running, "/health/ready", lambda said: not said["waiting"])
        said = await post(running, "923", item("923", 1))
        assert (await get(running, said["status_url"]))["records"] == 1


async def test_while_the_broker_is_away_a_batch_is_taken_all_the_same(
    serve: Serve, rabbitmq_url: str, tmp_path: Path
) -> None:
    async with Network(rabbitmq_url) as network, serve("ingest", broker=network.url) as running:
        await network.cut()
        async with asyncio.timeout(TIMEOUT):
            said = await post(running, "924", item("924", 1))
        assert len(archived(tmp_path)) == 1
        network.mend()
        await until(running, said["status_url"], lambda said: said["status"] == "split")


async def test_a_batch_that_cannot_be_archived_is_not_taken(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "925").write_text("a file where a folder should be")
    async with serve("ingest") as running:
        await post(running, "925", item("925", 1), status=503)
        assert await get(running, "/v1/trusts/925/files") == []
        (tmp_path / "archive" / "925").unlink()
        await post(running, "925", item("925", 1))
        assert len(await get(running, "/v1/trusts/925/files")) == 1


DYING = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from services.ingest import keeping
    from shared.config import BridgeConfig
    from tests.service.harness import running

    moment, database, password, broker, files = sys.argv[1:]
    put_file = keeping.put_file

    def last_act(path, content):
        if moment == "after the archive":
            put_file(path, content)
        os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        config = BridgeConfig.model_validate({"trusts": [{"vpd": "926"}, {"vpd": "927"}]})
        service = running(
            "ingest", database=database, password=password, broker=broker, files=Path(files), config=config
        )
        async with service as one:
            keeping.put_file = last_act
            vpd = "926" if moment == "after the archive" else "927"
            item = {"reference": "r1", "person_id": "9000001", "certification_idnumber": "FIRE"}
            item["completed_at"] = "2026-03-03T14:22:10+00:00"
            await one.client.post(f"/v1/trusts/{vpd}/completions", json={"completions": [item]})

    asyncio.run(main())
"""


@pytest.mark.parametrize(("moment", "vpd"), [("after the archive", "926"), ("before the archive", "927")])
async def test_a_service_killed_before_its_commit_has_taken_nothing_and_takes_it_when_it_is_sent_again(
    serve: Serve,
    rows: Any,
    database: str,
    passwords: Mapping[str, str],
    rabbitmq_url: str,
    tmp_path: Path,
    moment: str,
    vpd: str,
) -> None:
    arguments = (moment, database, passwords["ingest"], rabbitmq_url, str(tmp_path))
    command = [sys.executable, "-c", textwrap.dedent(DYING), *arguments]
    died = await asyncio.to_thread(subprocess.run, command, timeout=60, check=False, capture_output=True)
    assert died.returncode == -9, died.stderr.decode()
    assert len(archived(tmp_path)) == (moment == "after the archive")
    async with bridge(serve, rows, vpd, people=1) as running:
        assert await get(running, f"/v1/trusts/{vpd}/files") == []
        one = item(vpd, 1, expires_on=None)
        said = await post(running, vpd, one)
        assert (await adding_up(running, said["status_url"]))["accounted"]["applied"] == 1
    [name] = archived(tmp_path)
    assert name.startswith(said["receipt"])


async def test_a_service_killed_after_its_answer_goes_on_with_what_it_took(
    serve: Serve, rows: Any, tmp_path: Path
) -> None:
    async with serve("ingest") as running:
        said = await post(running, "928", item("928", 1))  # and this service ends at once
    async with bridge(serve, rows, "928", people=1) as running:
        assert (await adding_up(running, said["status_url"]))["accounted"]["applied"] == 1


async def test_the_door_and_the_folder_do_not_take_each_others_files_for_their_own(
    serve: Serve, rows: Any, tmp_path: Path
) -> None:
    """A file dropped under the name of a receipt is read in our own form, and refused when the receipt came first."""
    async with bridge(serve, rows, "929", people=1) as running:
        said = await post(running, "929", item("929", 1))
        await adding_up(running, said["status_url"])
        folder = tmp_path / "929" / "from-lms"
        folder.mkdir(parents=True)
        (folder / f"api-{said['receipt']}.csv").write_bytes(b"not,ours\n1,2\n")
        path = "/v1/trusts/929/files"
        files = await until(running, path, lambda said: len(said) == 2 and said[0]["status"] != "received")
        assert [(one["status"], one["code"]) for one in files] == [("quarantined", "L002"), ("complete", "")]
        assert (await get(running, said["status_url"]))["status"] == "complete"
