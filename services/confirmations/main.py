"""Wiring of ``confirmations``: run with ``python -m services.confirmations.main``."""

from services.confirmations import handlers
from services.confirmations.api import make_router
from services.confirmations.domain import Detail
from services.confirmations.handlers import ConfirmationHandlers
from services.confirmations.nightly import answers_due
from services.confirmations.person_file import HELD
from services.confirmations.schema import METADATA
from services.confirmations.watch import Watch
from shared.component import Component, Context, Job
from shared.config import TrustConfig
from shared.esr.profile import Profile
from shared.messaging.consumer import Consumer
from shared.nights import runner
from shared.nights.runner import Nights
from shared.person_file import with_file
from shared.profiles import load_profiles
from shared.runtime import serve

NAME = "confirmations"


def build(context: Context) -> Component:
    """Put the service together."""
    trusts = context.config.trusts
    confirmations = ConfirmationHandlers(context.work, details_of(load_profiles(trusts)))
    watch = watch_of(context, trusts)
    nights = Nights(context.work, trusts, [answers_due(watch)], METADATA)
    return Component(
        name=NAME,
        work=context.work,
        consumers=(
            Consumer(context.broker, handlers.RECORDS_QUEUE, confirmations.on_records, context.work.give_up),
            Consumer(context.broker, handlers.EVENTS_QUEUE, confirmations.on_events, context.work.give_up),
        ),
        jobs=(Job("watch", watch.run), Job(runner.JOB, nights.run, lambda: nights.waiting)),
        nights=nights,
        router=with_file(make_router(context.reader, context.config), NAME, context.reader, HELD),
    )


def details_of(profiles: dict[str, Profile]) -> dict[str, Detail]:
    """Return which records the confirmations of completion files list, by trust."""
    return {vpd: profile.control.confirm_detail.get("CMC", "every_record") for vpd, profile in profiles.items()}


def watch_of(context: Context, trusts: tuple[TrustConfig, ...]) -> Watch:
    """Return what watches deadlines. An answer has as long to find what it fits as a file has to come to rest."""
    return Watch(context.work, trusts, context.settle_seconds)


if __name__ == "__main__":
    serve(NAME, build)
