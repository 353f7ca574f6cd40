"""Wiring of ``confirmations``: run with ``python -m services.confirmations.main``."""

from services.confirmations import handlers
from services.confirmations.api import make_router
from services.confirmations.handlers import ConfirmationHandlers
from shared.component import Component, Context
from shared.messaging.consumer import Consumer
from shared.runtime import serve

NAME = "confirmations"


def build(context: Context) -> Component:
    """Put the service together."""
    confirmations = ConfirmationHandlers(context.work)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(
            Consumer(context.broker, handlers.RECORDS_QUEUE, confirmations.on_records, context.work.give_up),
            Consumer(context.broker, handlers.EVENTS_QUEUE, confirmations.on_events, context.work.give_up),
        ),
        router=make_router(context.reader),
    )


if __name__ == "__main__":
    serve(NAME, build)
