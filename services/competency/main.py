"""Wiring of ``competency``: run with ``python -m services.competency.main``."""

from services.competency import handlers
from services.competency.api import make_router
from services.competency.compliance.api import add_compliance_routes
from services.competency.handlers import CompetencyHandlers
from shared.component import Component, Context, Job
from shared.messaging.consumer import Consumer
from shared.runtime import serve

NAME = "competency"


def build(context: Context) -> Component:
    """Put the service together."""
    competency = CompetencyHandlers(context.work, context.config)
    router = make_router(context.reader, competency.desk)
    add_compliance_routes(router, context.reader, context.config, context.clock)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(
            Consumer(context.broker, handlers.RECORDS_QUEUE, competency.on_records, context.work.give_up),
            Consumer(context.broker, handlers.EVENTS_QUEUE, competency.on_events, context.work.give_up),
        ),
        jobs=(Job("tick", competency.tick),),
        router=router,
    )


if __name__ == "__main__":
    serve(NAME, build)
