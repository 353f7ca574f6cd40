"""Compliance by HTTP and by command: JSON, CSV and XLSX, and the same answers either way."""

import asyncio
import csv
import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import uvicorn
import yaml
from sqlalchemy import text

from services.competency.compliance.sheets import MEDIA, as_csv, as_xlsx
from shared.db.engine import make_engine
from tests.e2e import story
from tests.service.conftest import Serve
from tests.service.harness import TOKEN

BASE = "/v1/trusts/991/compliance"
NAME = '=HYPERLINK("http://x.example")'


@pytest.fixture
async def told(module_database: str) -> None:
    """Two employees of trust 991, one of them of a ward with an odd name, and one of trust 992."""
    engine = make_engine(module_database, name="test")
    async with engine.begin() as connection:
        for vpd, person_id, ward in (("991", "1", NAME), ("991", "2", "Ward 2"), ("992", "3", "Ward 3")):
            await connection.execute(
                text(
                    "INSERT INTO competency.staff (vpd, person_id, revision, human, traits, name, organisation_id, "
                    "organisation_name) VALUES (:vpd, :one, 1, :one, ARRAY['everyone:'], '@Mockford', :one, :ward) "
                    "ON CONFLICT DO NOTHING"
                ),
                {"vpd": vpd, "one": person_id, "ward": ward},
            )
    await engine.dispose()


def cells(content: bytes) -> list[list[str]]:
    """Read the one sheet of a workbook: what each cell shows, and that no cell is a formula."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
        strings = book.read("xl/sharedStrings.xml") if "xl/sharedStrings.xml" in book.namelist() else b""
    assert strings == b""
    space = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    assert sheet.findall(".//x:f", space) == []
    rows = sheet.findall(".//x:row", space)
    return [[(cell.findtext("x:v", "", space) or cell.findtext(".//x:t", "", space)) for cell in row] for row in rows]


@pytest.mark.usefixtures("told")
async def test_figures_and_lists_are_told_as_json_csv_or_a_sheet_as_asked(serve: Serve) -> None:
    async with serve("competency") as service:

        async def ask(path: str, accept: str = "", status: int = 200) -> Any:
            answer = await service.client.get(BASE + path, headers={"Accept": accept} if accept else {})
            assert answer.status_code == status, answer.text
            return answer

        plain = (await ask("?by=organisation")).json()
        assert (plain["total"]["people"], plain["total"]["required"], plain["total"]["never"]) == (2, 22, 22)
        assert [row["name"] for row in plain["rows"]] == [NAME, "Ward 2"]
        for asked in (("?by=organisation&format=csv", ""), ("?by=organisation", f"image/png, {MEDIA['csv']};q=0.9")):
            answer = await ask(*asked)
            assert answer.headers["content-type"].startswith("text/csv")
            read = list(csv.DictReader(io.StringIO(answer.text)))
            assert [(row["name"], row["required"]) for row in read] == [
                (f"'{NAME}", "11"),
                ("Ward 2", "11"),
                ("total", "22"),
            ]
        for asked in (("?by=organisation&format=xlsx", "text/csv"), ("?by=organisation", MEDIA["xlsx"])):
            answer = await ask(*asked)
            assert answer.headers["content-type"] == MEDIA["xlsx"]
            assert answer.headers["content-disposition"].endswith('.xlsx"')
            assert cells(answer.content)[1][1] == NAME
        assert (await ask("", "*/*")).headers["content-type"] == "application/json"
        await ask("", "image/png", status=406)
        await ask("?by=colour", status=422)
        await ask("?format=pdf", status=422)
        await ask("?organisation=a%00b", status=422)
        await ask("/people?status=odd", status=422)


@pytest.mark.usefixtures("told")
async def test_the_people_behind_a_figure_are_listed_with_names_on_request_only(serve: Serve) -> None:
    async with serve("competency") as service:
        answer = await service.client.get(f"{BASE}/people?status=never&limit=3&organisation=1")
        assert (answer.json()["total"], len(answer.json()["rows"])) == (11, 3)
        assert "Mockford" not in answer.text
        shown = await service.client.get(f"{BASE}/people?status=never&reveal=true&format=csv&subject=fire_safety")
        assert [(row["person_id"], row["name"]) for row in csv.DictReader(io.StringIO(shown.text))] == [
            ("1", "'@Mockford"),
            ("2", "'@Mockford"),
        ]
        assert (await service.client.get(f"{BASE}/people?status=valid")).json()["rows"] == []
        empty = await service.client.get(f"{BASE}/people?status=valid&format=xlsx")
        assert cells(empty.content)[0][0] == "person_id"


LIST: Mapping[str, Any] = {
    "day": "2026-03-03", "status": "all", "total": 1,
    "rows": [{"person_id": "+1", "name": "-2+3", "employee_number": "", "organisation_id": "\tW1", "organisation": "@x",
              "staff_group": "a=b", "position": "'quoted", "subject": "\rx", "requirement": "=1+1", "status": "due_30",
              "expires_on": "2026-03-31"}],
}  # fmt: skip


def test_no_cell_of_a_csv_file_begins_as_a_formula_does() -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv(LIST), newline=""))
    assert [value[0] for value in row.values() if value and value[0] in "=+-@\t\r\n"] == []
    assert (row["name"], row["staff_group"], row["position"]) == ("'-2+3", "a=b", "'quoted")


def test_a_sheet_holds_texts_as_they_are_and_days_as_days() -> None:
    (heading, row) = cells(as_xlsx(LIST))
    assert heading[:2] == ["person_id", "name"]
    assert row[:2] == ["+1", "-2+3"]
    assert row[-1] == "46112"  # 31 March 2026 as Excel counts days


def run(*arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "esrbridge.cli", "compliance", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, encoding="utf-8")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the story's full file was taken; two subjects are required of everybody."""
    folder = tmp_path_factory.mktemp("compliance")
    trust = story.trust("999", {"driver": "files"})
    rules = [{"subject": "fire_safety"}, {"subject": "safeguarding_adults"}]
    trust["compliance"] = {"esr_requirements": "ignored", "rules": rules}
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [trust]}))
    story.put(folder, "999", story.FULL, story.sample("999", story.FULL))
    command = [sys.executable, "-m", "esrbridge.cli", "once", str(folder), "--now", "2026-03-02T06:00"]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    return folder


def test_the_command_prints_figures_with_bars_and_the_same_figures_as_json(folder: Path) -> None:
    at = (str(folder), "--now", "2026-03-02T06:00")
    told = json.loads(run(*at, "--by", "subject", "--format", "json"))
    assert told["day"] == "2026-03-02"
    assert [row["name"] for row in told["rows"]] == ["Fire safety", "Safeguarding adults"]
    assert told["total"]["valid"] > 0
    shown = run(*at, "--by", "subject")
    assert "in all" in shown
    assert f"{told['total']['percent']:.1f} %" in shown
    (line,) = [line for line in shown.splitlines() if "in all" in line]
    assert sum(line.count(sign) for sign in "█▒░") == 24
    later = json.loads(run(*at, "--day", "2040-01-01", "--format", "json"))
    assert (later["day"], later["total"]["valid"]) == ("2040-01-01", 0)


def test_the_command_lists_people_and_writes_files(folder: Path) -> None:
    at = (str(folder), "--now", "2026-03-02T06:00", "--list", "all")
    told = json.loads(run(*at, "--format", "json"))
    assert told["total"] == len(told["rows"]) > 0
    assert "Sampleton" not in json.dumps(told)
    assert "Sampleton" in run(*at, "--format", "csv", "--reveal")
    assert told["rows"][0]["person_id"] in run(*at, "--limit", "1")
    sheet = folder / "list.xlsx"
    assert run(*at, "--format", "xlsx", "--output", str(sheet)).startswith(f"{sheet}: {told['total']} rows")
    assert len(cells(sheet.read_bytes())) == told["total"] + 1
    for form in ("csv", "json", "text"):
        run(*at, "--format", form, "--output", str(folder / f"list.{form}"))
    assert json.loads((folder / "list.json").read_text("utf-8")) == told
    assert (folder / "list.text").read_text("utf-8").startswith("all on 2026-03-02")
    assert len((folder / "list.csv").read_text("utf-8").splitlines()) == told["total"] + 1
    assert list(folder.glob(".list*")) == []


def test_a_sheet_without_a_file_to_write_it_into_is_refused(folder: Path) -> None:
    assert "--output" in run(str(folder), "--format", "xlsx", code=2)


@pytest.mark.usefixtures("told")
async def test_the_command_asks_a_running_service_and_tells_the_same(serve: Serve) -> None:
    async with serve("competency") as service:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            server = uvicorn.Server(uvicorn.Config(service.app, lifespan="off", log_config=None))
            running = asyncio.create_task(server.serve([listening]))

            async def told(*options: str) -> Any:
                done = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "esrbridge.cli", "compliance", url, "--trust", "991", "--format", "json",
                    *options,
                    stdout=subprocess.PIPE, env={**os.environ, "ESRBRIDGE_API_TOKEN": TOKEN},
                )  # fmt: skip
                output, _ = await done.communicate()
                assert done.returncode == 0
                return json.loads(output)

            asked = "?by=organisation&organisation=2&day=2026-03-03"
            figures = ("--by", "organisation", "--organisation", "2", "--day", "2026-03-03")
            assert await told(*figures) == (await service.client.get(BASE + asked)).json()
            listed = await told("--list", "never", "--reveal", "--subject", "fire_safety")
            assert [row["name"] for row in listed["rows"]] == ["@Mockford", "@Mockford"]
            server.should_exit = True
            await running
