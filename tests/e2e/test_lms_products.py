"""The whole loop with each product: from ESR's file to the account, over the product's own channel."""

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from esrbridge.local.processes import wait_until
from esrbridge.once import log_file
from sandbox import moodle_http, totara_http
from sandbox.moodle_schema import TOKEN
from sandbox.products import KNOWN, furnished_moodle, furnished_totara
from tests.e2e import feed
from tests.e2e.trusts import Trust, later, open_trust

VPD = "999"
FERN, ROWAN = 9_000_001, 9_000_002
FIRST, SECOND, THIRD = date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5)
FIELDS = [
    {"from": "account_type", "to": "accounttype", "kind": "menu", "options": ["TEMP", "PERM"]},
    {"from": "employee_number", "to": "nino", "applicants": False},
]
Account = Callable[[int], dict[str, Any] | None]


@asynccontextmanager
async def opened(folder: Path, lms: dict[str, Any]) -> AsyncIterator[Trust]:
    """Open a bridge whose log is kept, so that it can be searched for what must not be in it."""
    with log_file(folder):
        async with open_trust(folder, VPD, lms=lms, accounts={"fields": FIELDS}) as trust:
            yield trust


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a port of this machine, in a thread of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: server.started, 10)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def applicant(person_id: int) -> list[tuple[str, dict[str, str]]]:
    said = {"system_person_type": "APL", "user_person_type": "Applicant", "hire_date": "", "employee_number": ""}
    offered = {
        "assignment_type": "A",
        "system_assignment_status": "OFFER",
        "user_assignment_status": "Offered Post Conditional",
        "assignment_number": "",
    }
    details = {"applicant_number": "77", "contact_email": f"p{person_id}@mail.example", "last_name": "Sampleton"}
    return [
        _without_blanks(feed.person(person_id, **(said | details))),
        _without_blanks(feed.assignment(person_id, **offered)),
    ]


def employee(person_id: int, **details: str) -> list[tuple[str, dict[str, str]]]:
    mail = {"office_email": f"p{person_id}@trust.example", "last_name": "Sampleton"}
    return [feed.person(person_id, **(mail | details)), feed.assignment(person_id)]


def _without_blanks(record: tuple[str, dict[str, str]]) -> tuple[str, dict[str, str]]:
    return record[0], {name: value for name, value in record[1].items() if value}


async def live(trust: Trust, account: Account, import_: Callable[[], None]) -> None:
    """An offer on the first day, hired on the second, gone on the third; Rowan is staff throughout."""

    async def night(day: date, seq: int, records: Any, *, full: bool = False) -> None:
        trust.put(feed.name(VPD, day, seq, full=full), feed.feed(VPD, day, seq, records, full=full))
        report = await trust.night()
        assert report["exit"] == 0
        import_()

    await night(FIRST, 1, [*applicant(FERN), *employee(ROWAN)], full=True)
    offered, staff = account(FERN), account(ROWAN)
    assert offered is not None
    assert staff is not None
    assert (offered["username"], offered["fields"]["accounttype"], offered["suspended"]) == (
        f"{VPD}-{FERN}",
        "TEMP",
        False,
    )
    assert (staff["username"], staff["fields"]["accounttype"]) == (str(ROWAN + 20_000_000), "PERM")

    later(trust, days=1)
    await night(SECOND, 2, employee(FERN))
    hired = account(FERN)
    assert hired is not None
    assert (hired["id"], hired["username"]) == (offered["id"], str(FERN + 20_000_000))
    assert (hired["fields"]["accounttype"], hired["fields"]["nino"]) == ("PERM", str(FERN + 20_000_000))

    later(trust, days=1)
    await night(THIRD, 3, employee(FERN, system_person_type="EX_EMP", actual_termination_date="2026-03-04"))
    gone, staff = account(FERN), account(ROWAN)
    assert gone is not None
    assert staff is not None
    assert (bool(gone["suspended"]), bool(staff["suspended"])) == (True, False)
    assert gone["lastname"] == "Sampleton"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


async def test_a_starter_and_leaver_in_moodle(tmp_path: Path, token: Path) -> None:
    site = furnished_moodle(tmp_path / "moodle.sqlite")

    def account(person_id: int) -> dict[str, Any] | None:
        return next((one for one in site.accounts() if one["idnumber"] == f"{VPD}-{person_id}"), None)

    with served(moodle_http.create_app(site)) as url:
        lms = {"driver": "moodle-rest", "url": url, "token_file": token, "moodle": {"known_user": KNOWN}}
        async with opened(tmp_path / "bridge", lms) as trust:
            await live(trust, account, lambda: None)


async def test_a_starter_and_leaver_in_totara_by_graphql(tmp_path: Path) -> None:
    site = furnished_totara(tmp_path / "totara.sqlite")
    secret = tmp_path / "secret"
    secret.write_text(site.settings.client_secret)
    with served(totara_http.create_app(site)) as url:
        client = {"client_id": site.settings.client_id, "client_secret_file": secret}
        lms = {"driver": "totara-graphql", "url": url, "graphql": client}
        async with opened(tmp_path / "bridge", lms) as trust:
            await live(trust, lambda person_id: site.user(f"{VPD}-{person_id}"), lambda: None)


async def test_a_starter_and_leaver_in_totara_by_hr_import(tmp_path: Path) -> None:
    site = furnished_totara(tmp_path / "totara.sqlite")
    ready, reports = tmp_path / "site" / "csv" / "ready", tmp_path / "site" / "reports"
    for folder in (ready, reports):
        folder.mkdir(parents=True)

    def import_() -> None:
        site.run_hr_import(tmp_path / "site")
        site.write_log_report(reports / "hr-import-log.csv")

    connection = {"path": tmp_path / "site", "deliver_to": "csv/ready", "collect_from": "reports"}
    lms = {
        "driver": "totara-hr-import",
        "hr_import": {
            "connection": connection,
            "organisation_framework": "ORGS",
            "position_framework": "POSTS",
            "log": "hr-import-log*.csv",
        },
    }
    async with opened(tmp_path / "bridge", lms) as trust:
        await live(trust, lambda person_id: site.user(f"{VPD}-{person_id}"), import_)
