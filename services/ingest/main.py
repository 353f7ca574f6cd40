"""Wiring of ``ingest``: run with ``python -m services.ingest.main``."""

from services.ingest import accountant, splitter
from services.ingest.accountant import Accountant
from services.ingest.api import make_router
from services.ingest.door import Door
from services.ingest.esr_files import EsrFiles
from services.ingest.lms_files import LmsFiles
from services.ingest.source import Source
from shared.component import Component, Context, Job
from shared.esr.profile import load_profile
from shared.messaging.consumer import Consumer
from shared.runtime import serve

NAME = "ingest"


def build(context: Context) -> Component:
    """Put the service together."""
    sources: dict[tuple[str, str], Source] = {}
    for trust in context.config.trusts:
        sources[trust.vpd, "esr"] = EsrFiles(load_profile(trust.profile))
        sources[trust.vpd, "lms"] = LmsFiles()
    door = Door(context.work, sources, context.files, context.archive, context.settle_seconds)
    split = splitter.Splitter(context.work, context.broker, sources, door.archived, context.claim_seconds)
    accounts = Accountant(context.work)

    async def start_over() -> int:
        await split.start_over()
        return 0

    return Component(
        name=NAME,
        work=context.work,
        consumers=(Consumer(context.broker, accountant.QUEUE, accounts.on_outcomes, context.work.give_up),),
        jobs=(Job("door", door.run), Job("split", split.run)),
        on_demand=(Job("start-over", start_over),),
        router=make_router(context.reader, context.work.ledger),
    )


if __name__ == "__main__":
    serve(NAME, build)
