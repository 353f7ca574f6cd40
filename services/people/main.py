"""Wiring of ``people``: run with ``python -m services.people.main``."""

from services.people import handlers
from services.people.api import make_router
from services.people.handlers import PeopleHandlers
from shared.component import Component, Context, Job
from shared.messaging.consumer import Consumer
from shared.runtime import serve

NAME = "people"


def build(context: Context) -> Component:
    """Put the service together."""
    people = PeopleHandlers(context.work, context.config)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(Consumer(context.broker, handlers.QUEUE, people.on_records, context.work.give_up),),
        jobs=(Job("tick", people.tick),),
        router=make_router(context.reader, people.desk),
    )


if __name__ == "__main__":
    serve(NAME, build)
