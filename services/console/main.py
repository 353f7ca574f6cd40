"""Wiring of ``console``: run with ``python -m services.console.main``."""

from fastapi import APIRouter

from services.console import handlers
from services.console.age import Watch
from services.console.api import make_router
from services.console.checking import Schemas
from services.console.handlers import ConsoleHandlers
from services.console.limits import Limits
from services.console.person_api import make_person_router
from services.console.planning import Planner
from services.console.run import Runner
from services.console.runs_api import make_runs_router
from services.console.web.reads import over_http
from services.console.web.wiring import guard_of, pages_of
from shared.component import Component, Context, Job
from shared.messaging.consumer import Consumer
from shared.messaging.topology import QUEUES
from shared.runtime import serve

NAME = "console"


def build(context: Context) -> Component:
    """Put the service together: one consumer for the dead letters of every queue."""
    schemas, limits = Schemas(context.config), Limits()
    console = ConsoleHandlers(context.work, schemas)
    planner = Planner(context.work, schemas, limits)
    watch = Watch(context.work, [trust.vpd for trust in context.config.trusts], limits)
    letters = [Consumer(context.broker, queue.dead, console.on_dead_letters, console.give_up) for queue in QUEUES]
    closing = Consumer(context.broker, handlers.OUTCOMES_QUEUE, console.on_outcomes, console.give_up)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(*letters, closing),
        jobs=(
            Job("replays", Runner(context.work, planner).run, prompt=True),
            Job("dead-letter-age", watch.run),
            Job("describe", console.describe),
        ),
        router=_routes(context, schemas, planner, watch),
        guard=guard_of(context),
        pages=pages_of(context),
    )


def _routes(context: Context, schemas: Schemas, planner: Planner, watch: Watch) -> APIRouter:
    router = APIRouter()
    router.include_router(make_router(context.reader, context.work, schemas, watch))
    router.include_router(make_runs_router(context.reader, planner))
    reads = over_http(context.config.console.services, context.api_token)
    router.include_router(make_person_router(context.reader, context.work, reads))
    return router


if __name__ == "__main__":
    serve(NAME, build)
