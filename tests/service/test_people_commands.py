"""``esrbridge people`` on a folder, as an operator uses it; and the same by HTTP."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from esrbridge.cli import app
from esrbridge.embedded import as_role
from services.people import schema
from shared.db.engine import make_engine
from tests.service.conftest import Serve
from tests.service.harness import Running

VPD = "999"
WHO = {"who": "sam", "why": "checked"}
LIST = (
    "reference,kind,first_name,last_name,birth_date,start\n"
    "V1,volunteer,Orla,Mockford,1990-01-15,2026-01-01\nV2,bank,Orla,Mockford,1990-01-15,2026-02-01\n"
)


def run(*arguments: str | Path, code: int | None = 0) -> Any:
    done = CliRunner().invoke(app, ["people", *map(str, arguments)])
    assert done.exit_code == (code or 0), done.output
    return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    (folder / "bridge.yaml").write_text(f'trusts: [{{vpd: "{VPD}"}}]\n')
    (folder / VPD / "from-trust").mkdir(parents=True)
    (folder / VPD / "from-trust" / "list.csv").write_text(LIST)
    done = CliRunner().invoke(app, ["once", str(folder), "--now", "2026-03-03T06:00", "--json"])
    assert json.loads(done.stdout)["trusts"][VPD]["people"] == {"non_staff": 2}
    return folder


def test_a_list_of_the_trust_is_taken_and_accounted_for_and_its_people_are_shown(folder: Path) -> None:
    (shown,) = run("show", folder, "N-V1")
    assert (shown["state"], shown["kind"], shown["birth_date"]) == ("non_staff", "volunteer", "***")
    assert shown["facts"][0]["file"] == "list.csv"
    assert shown["facts"][0]["columns"]["last_name"] == "***"
    (revealed,) = run("show", folder, "N-V1", "--reveal")
    assert (revealed["birth_date"], revealed["facts"][0]["columns"]["last_name"]) == ("1990-01-15", "Mockford")
    assert "nobody of this trust" in run("show", folder, "7", code=2)


def test_suspected_duplicates_are_listed_masked_decided_and_taken_back(folder: Path) -> None:
    (pair,) = run("duplicates", folder)
    assert (pair["agree"], pair["people"][0]) == (
        ["birth_date", "last_name"], {"person_id": "N-V1", "state": "non_staff"},
    )  # fmt: skip
    (revealed,) = run("duplicates", folder, "--reveal")
    assert revealed["people"][1]["first_name"] == "Orla"
    assert run("same", folder, "N-V1", "N-V2", "--why", "asked her")["state"] == "same"
    assert run("show", folder, "N-V1")[0]["same_human"] == ["N-V2"]
    assert run("duplicates", folder, "--state", "same")[0]["why"] == "asked her"
    assert run("undo", folder, "N-V1", "N-V2", "--why", "twins after all")["state"] == "open"
    assert run("different", folder, "N-V1", "N-V2", "--why", "twins")["state"] == "different"
    assert "DECISION" in run("same", folder, "N-V1", "nobody", "--why", "x", code=2)


def test_a_restriction_is_shown_and_applied(folder: Path) -> None:
    assert run("restriction", "show", folder)["waiting"] is None
    assert run("due", folder) == []
    assert "no changed restriction" in run("restriction", "apply", folder, "--why", "x", code=2)
    (folder / "bridge.yaml").write_text(f'trusts: [{{vpd: "{VPD}", people: {{exclude: {{payrolls: [Bank]}}}}}}]\n')
    assert run("restriction", "show", folder)["waiting"] == {"exclude": {"payrolls": ["Bank"]}}
    assert run("restriction", "apply", folder, "--why", "bank staff learn elsewhere")["people"] == 2
    assert run("restriction", "show", folder)["waiting"] is None


async def get(service: Running, path: str, status: int = 200) -> Any:
    answer = await service.client.get(f"/v1/trusts/991{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_same_by_http_and_only_with_a_token(
    serve: Serve, module_database: str, passwords: Mapping[str, str]
) -> None:
    engine = make_engine(as_role(module_database, "people", passwords["people"]), name="test")
    rows = [
        {"vpd": "991", "person_id": one, "state": "employee", "revision": 1, "file_no": 1, "employee_number": "20001",
         "person": {"person_id": one, "state": "employee", "employee_number": "20001", "ni_number": "QQ123456C"}}
        for one in ("1", "2")
    ]  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(insert(schema.PEOPLE), rows)
    await engine.dispose()
    async with serve("people") as service:
        assert [one["person_id"] for one in await get(service, "/people?q=20001")] == ["1", "2"]
        assert (await get(service, "/people/1"))["ni_number"] == "***"
        assert (await get(service, "/people/1?reveal=true"))["ni_number"] == "QQ123456C"
        assert await get(service, "/people/due") == []
        assert await get(service, "/duplicates") == []
        assert (await get(service, "/restriction"))["waiting"] is None
        post = service.client.post
        assert (await post("/v1/trusts/991/restriction", json=WHO)).status_code == 409
        assert (await post("/v1/trusts/991/duplicates/1/2", json=WHO | {"decision": "merge"})).status_code == 422
        decided = await post("/v1/trusts/991/duplicates/1/2", json=WHO | {"decision": "same"})
        assert (decided.status_code, decided.json()["state"]) == (200, "same")
        assert (await get(service, "/duplicates?state=same"))[0]["who"] == "sam"
        for path in ("/duplicates", "/restriction", "/people/due"):
            assert (await service.stranger.get(f"/v1/trusts/991{path}")).status_code == 401


async def test_people_by_http_are_taken_once_and_the_receipt_tells_their_fate(serve: Serve) -> None:
    someone = {
        "reference": "V9",
        "kind": "student",
        "first_name": "Orla",
        "last_name": "Specimen",
        "start": "2026-01-01",
    }
    async with serve("ingest") as service:
        post = service.client.post
        first = await post("/v1/trusts/991/non-staff", json={"people": [someone]})
        again = await post("/v1/trusts/991/non-staff", json={"people": [someone]})
        assert (first.status_code, first.json()) == (202, again.json())
        told = (await service.client.get(first.json()["status_url"])).json()
        assert (told["records"], [one["reference"] for one in told["people"]]) == (1, ["V9"])
        refused = await post("/v1/trusts/991/non-staff", json={"people": [someone | {"kind": "ghost"}]})
        assert (refused.status_code, refused.json()["faults"][0]["field"]) == (422, "kind")
        assert (await post("/v1/trusts/909/non-staff", json={"people": [someone]})).status_code == 404


def test_everything_held_of_one_person_is_handed_out_with_a_reason(folder: Path, tmp_path: Path) -> None:
    said = run("file", folder, "N-V1", "--why", "request 12")
    assert said["person_id"] == "N-V1"
    parts = {one["service"]: {part["name"] for part in one["sections"]} for one in said["services"]}
    assert {"facts", "people", "duplicates"} <= parts["people"]
    assert "Mockford" in json.dumps(said)
    assert "N-V2" not in json.dumps([part for part in said["services"][0]["sections"] if part["name"] == "people"])
    run("file", folder, "N-V1", "--why", "request 12", "--format", "csv", "--output", tmp_path / "file.csv", code=None)
    assert "people,facts,1,data.last_name,Mockford" in (tmp_path / "file.csv").read_text(encoding="utf-8")
    assert "nothing is held" in run("file", folder, "N-V9", "--why", "request 12", code=2)
    assert "--why" in run("file", folder, "N-V1", "--why", " ", code=2)
    done = CliRunner().invoke(app, ["status", str(folder), "--now", "2026-03-03T06:00", "--json"])
    assert done.exit_code == 0
