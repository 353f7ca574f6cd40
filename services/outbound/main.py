"""Wiring of ``outbound``: run with ``python -m services.outbound.main``."""

from collections.abc import Callable
from pathlib import Path

from services.outbound import handlers
from services.outbound.api import make_router
from services.outbound.completions import CompletionFiles
from services.outbound.deliver import JOB, Deliverer
from services.outbound.handlers import OutboundHandlers
from services.outbound.lms.files import FilesDriver
from services.outbound.lms.port import LmsPort
from services.outbound.lms.sandbox import SandboxDriver
from services.outbound.reconcile import Reconciler
from shared.clock import Clock
from shared.component import Component, Context, Job
from shared.config import TrustConfig
from shared.errors import ConfigurationError
from shared.messaging.consumer import Consumer
from shared.profiles import load_profiles
from shared.runtime import serve

NAME = "outbound"

MakeDriver = Callable[[TrustConfig, Path, Clock], LmsPort]


def make_driver(trust: TrustConfig, files: Path, clock: Clock) -> LmsPort:
    """Return the driver a trust has chosen. Raises ConfigurationError when its token cannot be read."""
    if trust.lms.driver == "files":
        return FilesDriver(files / trust.vpd / "to-lms", trust.vpd, clock)
    token = ""
    if trust.lms.token_file is not None:
        try:
            token = trust.lms.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"trust {trust.vpd}: {trust.lms.token_file}: {error.strerror}") from error
    return SandboxDriver(trust.lms.url, token)


def build(context: Context, driver: MakeDriver = make_driver) -> Component:
    """Put the service together. ``driver`` lets the embedded mode reach an LMS without a socket."""
    trusts = context.config.trusts
    outbound = OutboundHandlers(context.work)
    drivers = {trust.vpd: driver(trust, context.files, context.clock) for trust in trusts}
    reconciler = Reconciler(context.work, trusts, drivers)
    profiles = load_profiles(trusts)
    completions = CompletionFiles(context.work, trusts, profiles, context.files, context.clock)
    deliverer = Deliverer(context.work, context.config, context.files)

    async def write_now() -> int:
        written = sum([await completions.write(trust.vpd) for trust in trusts])
        return written + await completions.deliver()

    return Component(
        name=NAME,
        work=context.work,
        consumers=(Consumer(context.broker, handlers.QUEUE, outbound.on_events, context.work.give_up),),
        jobs=(
            Job("reconcile", reconciler.run),
            Job("completion-files", completions.at_cut_off),
            Job(JOB, deliverer.run, lambda: deliverer.waiting),
        ),
        on_demand=(Job("write-completion-files", write_now),),
        router=make_router(context.reader, context.config, completions),
    )


if __name__ == "__main__":
    serve(NAME, build)
