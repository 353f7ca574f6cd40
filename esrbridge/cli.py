"""The command ``esrbridge``. Each command is described in ``docs/cli.md``."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

COMMANDS: Final = {
    "once": "folders",
    "status": "folders",
    "validate": "folders",
    "simulate": "folders",
    "demo": "folders",
    "migrate": "running",
    "asyncapi": "documents",
    "file-formats": "documents",
    "events": "documents",
    "codes": "documents",
    "serve": "running",
    "compliance": "compliance",
}
"""In which module each command is."""

GROUPS: Final = {
    "dead": "letters",
    "files": "files",
    "people": "people",
    "accounts": "accounts",
    "mappings": "mappings",
    "nights": "nights",
    "completions": "completion_differences",
}
"""In which module each group of commands is."""


class Lazy(Mapping[str, Any]):
    """The commands by name, each read when it is used: a service's process is not to hold the code of all others."""

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a command of the library within the library
        if name not in self._read:
            self._read[name] = _group(name) if name in GROUPS else _command(name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*COMMANDS, *GROUPS))

    def __len__(self) -> int:
        return len(COMMANDS) + len(GROUPS)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **said: Any) -> None:  # noqa: ANN401 - whatever the library says
        super().__init__(**said)
        self.commands = Lazy()  # type: ignore[assignment]


def _command(name: str) -> object:
    function = getattr(importlib.import_module(f"esrbridge.{COMMANDS[name]}"), name.replace("-", "_"))
    alone = typer.Typer(add_completion=False)
    alone.command(name)(function)
    return get_command(alone)


def _group(name: str) -> object:
    group = get_group(importlib.import_module(f"esrbridge.{GROUPS[name]}").app)
    group.name = name
    return group


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Carries people and training records between ESR and a learning management system."""


if __name__ == "__main__":
    app()
