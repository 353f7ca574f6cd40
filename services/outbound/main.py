"""Wiring of ``outbound``: run with ``python -m services.outbound.main``."""

from collections.abc import Sequence

from fastapi import APIRouter

from services.outbound import due, handlers, reconcile
from services.outbound.api import make_router
from services.outbound.completions import CompletionFiles
from services.outbound.deliver import JOB, Deliverer
from services.outbound.directory import Directory
from services.outbound.handlers import OutboundHandlers
from services.outbound.lms.port import Account
from services.outbound.nightly import completion_file
from services.outbound.people_api import make_people_router
from services.outbound.person_file import HELD
from services.outbound.reconcile import Reconciler
from services.outbound.site import MakeSite, make_site
from services.outbound.tables import METADATA
from shared.component import Component, Context, Job
from shared.config import TrustConfig
from shared.messaging.consumer import Consumer
from shared.nights import runner
from shared.nights.runner import Nights
from shared.person_file import with_file
from shared.profiles import load_profiles
from shared.runtime import serve
from shared.secret_file import secret

NAME = "outbound"


def make_directories(trusts: Sequence[TrustConfig]) -> dict[str, Directory]:
    """Return the directories of trusts that look user names up. Raises ConfigurationError."""
    made = {}
    for trust in trusts:
        settings = trust.accounts.directory
        if settings.url:
            password = secret(trust.vpd, settings.password_file)
            password()
            made[trust.vpd] = Directory(settings, password)
    return made


def build(context: Context, site: MakeSite = make_site) -> Component:
    """Put the service together. ``site`` lets the embedded mode reach an LMS without a socket."""
    trusts = context.config.trusts

    async def held(vpd: str, key: str) -> Account | None:
        async with context.work.engine.connect() as connection:
            return await due.last_seen(connection, vpd, key)

    policies = {trust.vpd: trust.accounts for trust in trusts}
    outbound = OutboundHandlers(context.work, policies)
    sites = {trust.vpd: site(trust, context.files, context.clock, held) for trust in trusts}
    reconciler = Reconciler(context.work, trusts, sites, make_directories(trusts))
    profiles = load_profiles(trusts)
    completions = CompletionFiles(context.work, trusts, profiles, context.files, context.clock)
    deliverer = Deliverer(context.work, context.config, context.files)
    nights = Nights(context.work, trusts, [completion_file(completions, profiles)], METADATA)

    router = APIRouter()
    router.include_router(make_router(context.reader, context.config, completions, context.work))
    router.include_router(make_people_router(context.work, context.reader, reconciler, policies))

    async def write_now() -> int:
        written = sum([await completions.write(trust.vpd) for trust in trusts])
        return written + await completions.deliver()

    return Component(
        name=NAME,
        work=context.work,
        # One lane: a gate opens when a file is complete, so what the queue brings before that has to be handled before.
        consumers=(Consumer(context.broker, handlers.QUEUE, outbound.on_events, context.work.give_up),),
        jobs=(
            Job(reconcile.JOB, reconciler.run, lambda: reconciler.waiting, prompt=True),
            Job("completion-files", completions.deliver, lambda: completions.waiting),
            Job(JOB, deliverer.run, lambda: deliverer.waiting),
            Job(runner.JOB, nights.run, lambda: nights.waiting),
        ),
        nights=nights,
        on_demand=(Job("write-completion-files", write_now),),
        router=with_file(router, NAME, context.reader, HELD),
    )


if __name__ == "__main__":
    serve(NAME, build)
