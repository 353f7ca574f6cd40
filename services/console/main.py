"""Wiring of ``console``: run with ``python -m services.console.main``."""

from services.console import handlers
from services.console.api import make_router
from services.console.handlers import ConsoleHandlers
from shared.component import Component, Context
from shared.messaging.consumer import Consumer
from shared.messaging.topology import QUEUES
from shared.runtime import serve

NAME = "console"


def build(context: Context) -> Component:
    """Put the service together: one consumer for the dead letters of every queue."""
    console = ConsoleHandlers(context.work)
    letters = [Consumer(context.broker, queue.dead, console.on_dead_letters, console.give_up) for queue in QUEUES]
    closing = Consumer(context.broker, handlers.OUTCOMES_QUEUE, console.on_outcomes, console.give_up)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(*letters, closing),
        router=make_router(context.reader, context.work),
    )


if __name__ == "__main__":
    serve(NAME, build)
