"""Wiring of ``competency``: run with ``python -m services.competency.main``."""

from services.competency import handlers
from services.competency.api import make_router
from services.competency.compliance.api import add_compliance_routes
from services.competency.handlers import CompetencyHandlers
from services.competency.person_file import HELD
from services.competency.schema import METADATA
from shared.component import Component, Context, Job
from shared.messaging.consumer import Consumer
from shared.nights import runner
from shared.nights.duties import new_day
from shared.nights.runner import Nights
from shared.person_file import with_file
from shared.runtime import serve

NAME = "competency"


def build(context: Context) -> Component:
    """Put the service together."""
    competency = CompetencyHandlers(context.work, context.config)
    router = make_router(context.reader, competency.desk)
    add_compliance_routes(router, context.reader, context.config, context.clock)
    give_up, lanes = context.work.give_up, context.lanes
    nights = Nights(context.work, context.config.trusts, [new_day(competency.tick)], METADATA)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(
            Consumer(context.broker, handlers.RECORDS_QUEUE, competency.on_records, give_up, lanes=lanes),
            Consumer(context.broker, handlers.EVENTS_QUEUE, competency.on_events, give_up, lanes=lanes),
        ),
        jobs=(
            Job("tick", competency.tick),
            Job("compare", competency.comparing.run),
            Job(runner.JOB, nights.run, lambda: nights.waiting),
        ),
        nights=nights,
        router=with_file(router, NAME, context.reader, HELD),
    )


if __name__ == "__main__":
    serve(NAME, build)
