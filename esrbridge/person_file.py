"""``esrbridge people file``: all that is held of one person, of a one-shot folder or by a running ``console``."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from esrbridge.embedded import Bridge
from esrbridge.options import failing
from esrbridge.targets import Target
from services.competency import person_file as competency
from services.confirmations import person_file as confirmations
from services.console.person_file import handed_out, rows_of
from services.console.web.sheets import lines
from services.ingest import person_file as ingest
from services.outbound import person_file as outbound
from services.people import person_file as people
from shared.errors import ConfigurationError
from shared.person_file import sections

Format = Literal["json", "csv"]

HELD: Final = {
    "people": people.HELD,
    "competency": competency.HELD,
    "outbound": outbound.HELD,
    "confirmations": confirmations.HELD,
    "ingest": ingest.HELD,
}


def file(
    target: Annotated[str, typer.Argument(help="Folder of a one-shot bridge, or the URL of a running console.")],
    person: Annotated[str, typer.Argument(help="A person ID.")],
    why: Annotated[str, typer.Option("--why", help="Why; it is written down with your name.")],
    trust: Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How it is told.")] = "json",
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.", dir_okay=False)] = None,
) -> None:
    """Hand out everything that is held of one person, values included, for whoever asks what is held about them."""
    with failing():
        if not why.strip():
            raise ConfigurationError("--why needs a reason")
        said = asyncio.run(_file(Target("console", target, trust), person, why))
        if not said["services"]:
            raise ConfigurationError("nothing is held of a person with that ID")
        written = json.dumps(said, indent=2) if form == "json" else _table(said)
        if output:
            output.write_text(written, encoding="utf-8")
    if not output:
        typer.echo(written)


async def _file(target: Target, person_id: str, why: str) -> Any:  # noqa: ANN401 - JSON
    if target.remote:
        body = {"who": target.who, "why": why, "person_id": person_id}
        return await target.ask("POST", "/people/file", json=body)

    async def work(bridge: Bridge, vpd: str) -> dict[str, Any]:
        async def ask(service: str) -> list[dict[str, Any]]:
            async with bridge.readers[service].trust(vpd) as connection:
                return await sections(connection, vpd, person_id, HELD[service])

        console = bridge.components["console"].work
        return await handed_out(console, bridge.readers["console"], ask, vpd, person_id, target.who, why)

    return await target.on_folder(work)


def _table(said: dict[str, Any]) -> str:
    return lines([("service", "part", "row", "name", "value"), *rows_of(said)])
