"""Wiring of ``people``: run with ``python -m services.people.main``."""

from services.people import handlers
from services.people.api import make_router
from services.people.handlers import PeopleHandlers
from services.people.person_file import HELD
from services.people.schema import METADATA
from shared.component import Component, Context, Job
from shared.messaging.consumer import Consumer
from shared.nights import runner
from shared.nights.duties import new_day
from shared.nights.runner import Nights
from shared.person_file import with_file
from shared.runtime import serve

NAME = "people"


def build(context: Context) -> Component:
    """Put the service together."""
    people = PeopleHandlers(context.work, context.config)
    nights = Nights(context.work, context.config.trusts, [new_day(people.tick)], METADATA)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(
            Consumer(context.broker, handlers.QUEUE, people.on_records, context.work.give_up, lanes=context.lanes),
        ),
        jobs=(Job("tick", people.tick), Job(runner.JOB, nights.run, lambda: nights.waiting)),
        nights=nights,
        router=with_file(make_router(context.reader, people.desk), NAME, context.reader, HELD),
    )


if __name__ == "__main__":
    serve(NAME, build)
