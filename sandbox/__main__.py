"""The sandbox at the command line: ``python -m sandbox lms|learn|esr|moodle|totara|hr-import ...``."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import uvicorn

from sandbox import products
from sandbox.esr import SandboxEsr
from sandbox.esr_watch import watch
from sandbox.lms import SandboxLms
from sandbox.lms_http import create_app
from shared.errors import BridgeError, ConfigurationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns 0, or 2 when it could not run."""
    given = _parser().parse_args(arguments)
    try:
        for line in given.run(given):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except BridgeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="An invented ESR and an invented LMS.")
    commands = parser.add_subparsers(required=True)
    lms = _command(commands, "lms", _serve, "serve the LMS over HTTP")
    lms.add_argument("--token-file", type=Path, required=True, help="file holding the bearer token")
    lms.add_argument("--port", type=int, required=True)
    lms.add_argument("--host", default="127.0.0.1")
    learn = _command(commands, "learn", _learn, "let learners complete things on a day and export them")
    _folder_and_day(learn)
    learn.add_argument("--share", type=float, default=0.02, help="share of active accounts, 0 to 1")
    learn.add_argument("--now", type=datetime.fromisoformat, required=True, help="time of the export")
    _add_esr(commands)
    products.add_commands(commands)
    return parser


def _add_esr(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    esr = commands.add_parser("esr", help="act as ESR").add_subparsers(required=True)
    populate = _command(esr, "populate", _populate, "invent the trust")
    populate.add_argument("--people", type=int, required=True)
    populate.add_argument("--day", type=date.fromisoformat, required=True)
    _folder_and_day(_command(esr, "full", _full, "write the full file"))
    changes = _command(esr, "changes", _changes, "live a day and write the changes file")
    _folder_and_day(changes)
    changes.add_argument("--no-faults", action="store_true", help="leave out the record that can never be loaded")
    answer = _command(esr, "answer", _answer, "answer completion files")
    answer.add_argument("--to-esr", type=Path, required=True)
    answer.add_argument("--from-esr", type=Path, required=True)
    answer.add_argument("--now", type=datetime.fromisoformat, required=True)
    watching = _command(esr, "watch", _watch, "answer completion files as they come, until stopped")
    watching.add_argument("--folder", type=Path, required=True, help="the trust's folder, with to-esr and from-esr")
    watching.add_argument("--every", type=float, default=2.0, help="seconds between two looks")
    watching.add_argument("--rounds", type=int, default=0, help="looks to take; 0 goes on until stopped")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, run: object, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.set_defaults(run=run)
    command.add_argument("--state", type=Path, required=True, help="sqlite file")
    command.add_argument("--vpd", required=True, help="three-digit number of the trust")
    command.add_argument("--seed", type=int, default=1)
    return command


def _folder_and_day(command: argparse.ArgumentParser) -> None:
    command.add_argument("--folder", type=Path, required=True)
    command.add_argument("--day", type=date.fromisoformat, required=True)


def _esr(given: argparse.Namespace) -> SandboxEsr:
    return SandboxEsr(given.state, given.vpd, seed=given.seed)


def _lms(given: argparse.Namespace) -> SandboxLms:
    return SandboxLms(given.state, given.vpd, seed=given.seed)


def _serve(given: argparse.Namespace) -> list[str]:
    try:
        token = given.token_file.read_text(encoding="utf-8").strip()
    except OSError:
        token = ""
    if not token:
        raise ConfigurationError(f"{given.token_file} holds no token; write one into it first.")
    uvicorn.run(create_app(_lms(given), token=token), host=given.host, port=given.port, log_level="warning")
    return []


def _learn(given: argparse.Namespace) -> list[str]:
    lms = _lms(given)
    made = lms.live(given.day, given.share)
    path = lms.export_completions(given.folder, given.now)
    return [f"{made} completions", *([str(path)] if path else [])]


def _populate(given: argparse.Namespace) -> list[str]:
    esr = _esr(given)
    esr.populate(given.people, given.day)
    return [f"{len(esr.truth().people())} people"]


def _full(given: argparse.Namespace) -> list[str]:
    return [str(_esr(given).write_full(given.folder, given.day))]


def _changes(given: argparse.Namespace) -> list[str]:
    return [str(_esr(given).write_changes(given.folder, given.day, with_faults=not given.no_faults))]


def _answer(given: argparse.Namespace) -> list[str]:
    return [str(path) for path in _esr(given).answer(given.to_esr, given.from_esr, given.now)]


def _watch(given: argparse.Namespace) -> Iterator[str]:
    return watch(given.state, given.vpd, given.folder, seed=given.seed, every=given.every, rounds=given.rounds)


if __name__ == "__main__":
    raise SystemExit(main())
