"""Wiring of ``ingest``: run with ``python -m services.ingest.main``."""

from services.ingest import accountant, moodle_completions, nightly, splitter
from services.ingest.accountant import Accountant
from services.ingest.answers import Answers
from services.ingest.api import make_router
from services.ingest.archive import Archive, Purge
from services.ingest.collect import JOB, Collector
from services.ingest.completions_api import add_completion_routes
from services.ingest.door import Door
from services.ingest.esr_files import EsrFiles
from services.ingest.judge import Judge, policy_of
from services.ingest.lms_files import LmsFiles, completions_profile
from services.ingest.moodle_completions import MoodleReader
from services.ingest.non_staff_api import add_non_staff_route
from services.ingest.non_staff_files import NonStaffFiles
from services.ingest.person_file import HELD
from services.ingest.requests import Requests
from services.ingest.schema import METADATA
from services.ingest.source import Source
from services.ingest.watch import Watch
from shared.component import Component, Context, Job
from shared.messaging.consumer import Consumer
from shared.nights import runner
from shared.nights.runner import Nights
from shared.person_file import with_file
from shared.profiles import load_profiles
from shared.runtime import serve

NAME = "ingest"


def build(context: Context) -> Component:
    """Put the service together."""
    work, trusts = context.work, context.config.trusts
    archive = Archive(context.archive)
    profiles = load_profiles(trusts)
    sources: dict[tuple[str, str], Source] = {}
    for trust in trusts:
        sources[trust.vpd, "esr"] = EsrFiles(profiles[trust.vpd])
        others = {name: completions_profile(profile) for name, profile in trust.lms.file_profiles.items()}
        sources[trust.vpd, "lms"] = LmsFiles(completions_profile(trust.lms.completions_profile), trust.vpd, others)
        sources[trust.vpd, "trust"] = NonStaffFiles()
    collector = Collector(work, context.config, context.files, context.settle_seconds)
    moodle = MoodleReader(work, trusts, archive.path)
    door = Door(work, sources, context.files, archive, context.settle_seconds)
    requests = Requests(work, profiles, context.files)
    policies = {trust.vpd: policy_of(trust.calendar, profiles[trust.vpd]) for trust in trusts}
    judge = Judge(work, sources, policies, archive.path, requests.on_break)
    split = splitter.Splitter(work, context.broker, sources, archive.path, context.claim_seconds)
    accounts = Accountant(work)
    answers = Answers(work, profiles, context.files, archive.path)
    watch = Watch(work, trusts, lambda: door.taken)
    nights = Nights(work, trusts, nightly.duties(watch, Purge(work, trusts, archive)), METADATA)
    router = make_router(context.reader, work, requests, archive.path)
    add_completion_routes(router, context, archive.path)
    add_non_staff_route(router, context, archive.path)

    async def start_over() -> int:
        await split.start_over()
        return 0

    return Component(
        name=NAME,
        work=work,
        consumers=(
            Consumer(context.broker, accountant.QUEUE, accounts.on_outcomes, work.give_up, lanes=context.lanes),
        ),
        jobs=(
            Job(JOB, collector.run, lambda: collector.waiting),
            Job(moodle_completions.JOB, moodle.run, lambda: moodle.waiting),
            Job("door", door.run),
            Job("judge", judge.run, prompt=True),
            Job("split", split.run, prompt=True),
            Job("answers", answers.run, prompt=True),
            Job("requests", requests.deliver),
            Job("calendar", watch.run),
            Job(runner.JOB, nights.run, lambda: nights.waiting),
        ),
        nights=nights,
        on_demand=(Job("start-over", start_over),),
        router=with_file(router, NAME, context.reader, HELD),
    )


if __name__ == "__main__":
    serve(NAME, build)
