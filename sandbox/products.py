"""The sandbox's Moodle and Totara at the command line: ``python -m sandbox moodle|totara``."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn

from sandbox import moodle_http, totara_http
from sandbox.moodle import SandboxMoodle
from sandbox.totara import SandboxTotara

KNOWN: Final = "known-account"
"""Idnumber of the account that is there from the beginning, for ``lms.moodle.known_user``."""

MENU: Final = ("TEMP", "PERM")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands of either product."""
    moodle = commands.add_parser("moodle", help="serve a Moodle site over HTTP")
    moodle.set_defaults(run=_moodle)
    totara = commands.add_parser("totara", help="serve a Totara site's GraphQL API over HTTP")
    totara.set_defaults(run=_totara)
    importing = commands.add_parser("hr-import", help="let a Totara site import the files of csv/ready")
    importing.set_defaults(run=_import)
    importing.add_argument("--files", type=Path, required=True, help="folder with csv/ready")
    importing.add_argument("--log", type=Path, required=True, help="log report to write")
    for command in (moodle, totara, importing):
        command.add_argument("--state", type=Path, required=True, help="sqlite file")
    for command in (moodle, totara):
        command.add_argument("--port", type=int, required=True)
        command.add_argument("--host", default="127.0.0.1")


def furnished_moodle(state: Path) -> SandboxMoodle:
    """Return a site with a known account and the profile fields ``accounttype``, ``dob`` and ``nino``."""
    moodle = SandboxMoodle(state)
    if not any(account["idnumber"] == KNOWN for account in moodle.accounts()):
        moodle.add_account(
            username="known", firstname="Known", lastname="Account", email="known@lms.example", idnumber=KNOWN
        )
        moodle.add_field("accounttype", "menu", options=MENU)
        moodle.add_field("dob", "datetime")
        moodle.add_field("nino")
    return moodle


def furnished_totara(state: Path) -> SandboxTotara:
    """Return a site with the same profile fields, and the frameworks ``ORGS`` and ``POSTS``."""
    fresh = not state.exists()
    totara = SandboxTotara(state, clock=time.time)
    if fresh:
        totara.define_field("accounttype", "menu", MENU)
        totara.define_field("dob", "date")
        totara.define_field("nino", "text")
        totara.add_framework("organisation", "ORGS")
        totara.add_framework("position", "POSTS")
    return totara


def _moodle(given: argparse.Namespace) -> list[str]:
    uvicorn.run(
        moodle_http.create_app(furnished_moodle(given.state)), host=given.host, port=given.port, log_level="warning"
    )
    return []


def _totara(given: argparse.Namespace) -> list[str]:
    uvicorn.run(
        totara_http.create_app(furnished_totara(given.state)), host=given.host, port=given.port, log_level="warning"
    )
    return []


def _import(given: argparse.Namespace) -> Iterator[str]:
    totara = furnished_totara(given.state)
    totara.run_hr_import(given.files)
    totara.write_log_report(given.log)
    yield f"{len(totara.users())} accounts"
