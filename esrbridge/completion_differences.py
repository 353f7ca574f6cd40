"""``esrbridge completions differences``: what ESR confirmed, against what its last full file shows."""

import asyncio
from functools import partial
from typing import Annotated

import typer

from esrbridge.completion_actions import app
from esrbridge.options import failing, out
from esrbridge.targets import Target
from services.competency.comparison import store

__all__ = ["app"]


@app.command()
def differences(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Folder of a one-shot bridge, or the URL of competency.")
    ],
    trust: Annotated[str, typer.Option("--trust", help="VPD; needed where the bridge serves several trusts.")] = "",
    limit: Annotated[int, typer.Option(min=0, max=1000, help="Differences listed; all are counted.")] = 100,
) -> None:
    """Tell what ESR's last full file shows otherwise than ESR had confirmed it."""
    with failing():
        read = partial(store.listing, limit=limit)
        out(asyncio.run(Target("competency", target, trust).get("/comparison", read, limit=limit)))
