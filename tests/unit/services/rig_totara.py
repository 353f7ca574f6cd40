"""The sandbox's Totara with either driver, for the conformance suite."""

from datetime import datetime, timedelta
from pathlib import Path

import httpx

from sandbox.totara import SandboxTotara
from sandbox.totara_http import create_app
from sandbox.totara_users import as_day
from services.outbound.lms.hr_import import HrImport
from services.outbound.lms.hr_import_slot import FolderSlot
from services.outbound.lms.port import Candidate, JobAssignment
from services.outbound.lms.totara_graphql import TotaraGraphql
from shared.clock import LONDON, FixedClock
from shared.errors import LmsUnavailableError
from shared.lms_settings import GraphqlSettings, HrImportSettings, LmsSettings
from tests.unit.services.rigs import Rig

GRAPHQL = LmsSettings(
    driver="totara-graphql",
    url="https://totara.example",
    graphql=GraphqlSettings(client_id="esr-bridge", client_secret_file=Path("secret")),
)
IMPORT = LmsSettings(
    driver="totara-hr-import",
    hr_import=HrImportSettings(organisation_framework="ORGS", position_framework="POSTS", log="hr-import-log*.csv"),
)


def new_site(folder: Path, clock: FixedClock | None = None) -> SandboxTotara:
    """A site with a profile field of each kind, frameworks, and an organisation and a position."""
    folder.mkdir(parents=True, exist_ok=True)
    time = clock or FixedClock(datetime(2026, 11, 22, 6, tzinfo=LONDON))
    site = SandboxTotara(folder / "totara.sqlite", clock=lambda: time.now().timestamp())
    site.define_field("accounttype", "menu", ("TEMP", "PERM"))
    site.define_field("esrnumber", "text", unique=True)
    site.define_field("dob", "date")
    site.define_field("ninumber", "text")
    site.define_field("volunteer", "checkbox")
    for kind, framework, item in (("organisation", "ORGS", "O1"), ("position", "POSTS", "P1")):
        site.add_framework(kind, framework)
        site.add_item(kind, item, framework)
    return site


def new_graphql(site: SandboxTotara, settings: LmsSettings = GRAPHQL) -> TotaraGraphql:
    """The driver at the site's HTTP face, without a socket."""
    return TotaraGraphql(settings, lambda: site.settings.client_secret, transport=httpx.ASGITransport(create_app(site)))


def seen(site: SandboxTotara, idnumber: str) -> Candidate | None:
    """An account as the site holds it, dates as days."""
    user = site.user(idnumber)
    if user is None:
        return None
    fields = {name: as_day(data) if name == "dob" else data for name, data in user["fields"].items()}
    return Candidate(
        lms_id=str(user["id"]),
        idnumber=user["idnumber"],
        username=user["username"],
        first_name=user["firstname"],
        last_name=user["lastname"],
        email=user["email"],
        suspended=bool(user["suspended"]),
        fields=fields,
    )


def seen_jobs(site: SandboxTotara, idnumber: str) -> list[JobAssignment]:
    """The job assignments of an account as the site holds them."""
    return [
        JobAssignment(
            idnumber=job["idnumber"],
            account=job["account"],
            full_name=job["fullname"],
            start=_day(job["startdate"]),
            end=_day(job["enddate"]),
            organisation=job["organisation_key"] or "",
            position=job["position_key"] or "",
            manager=job["manager"] or "",
            manager_job=job["manager_job"] or "",
        )
        for job in site.jobs(idnumber)
    ]


def graphql_rig(folder: Path) -> Rig:
    """Driver ``totara-graphql``."""
    site = new_site(folder)
    driver = new_graphql(site)

    async def settle() -> None:
        """Nothing: a reply that was lost was worked on before."""

    def outage(away: bool) -> None:
        site.settings.out = away

    def lose_next_reply() -> None:
        site.settings.lose_replies = 1

    return Rig(
        accounts=driver,
        jobs=driver,
        settle=settle,
        seen=lambda idnumber: seen(site, idnumber),
        seen_jobs=lambda idnumber: seen_jobs(site, idnumber),
        number_of_accounts=lambda: len(site.users()),
        outage=outage,
        lose_next_reply=lose_next_reply,
    )


class AwaySlot(FolderSlot):
    """A folder on a share that can be away."""

    away = False

    async def pending(self, name: str) -> bool:
        self._there()
        return await super().pending(name)

    async def place(self, name: str, content: bytes) -> None:
        self._there()
        await super().place(name, content)

    async def report(self, pattern: str) -> bytes | None:
        self._there()
        return await super().report(pattern)

    def _there(self) -> None:
        if self.away:
            raise LmsUnavailableError("the share is away")


class ImportSite:
    """A site and the folders of its HR Import, with time that passes between imports."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock(datetime(2026, 11, 22, 6, tzinfo=LONDON))
        self.site = new_site(folder, self.clock)
        self.files = folder / "hr-import"
        self.ready = self.files / "csv" / "ready"
        self.reports = folder / "from-lms"
        self.ready.mkdir(parents=True)
        self.reports.mkdir()
        self.slot = AwaySlot(self.ready, self.reports)

    def run(self) -> None:
        """Let the scheduled tasks import and export."""
        self.clock.set(self.clock.now() + timedelta(minutes=15))
        self.site.run_hr_import(self.files)
        self.site.write_log_report(self.reports / "hr-import-log_1.csv")


def hr_import_rig(folder: Path) -> Rig:
    """Driver ``totara-hr-import``."""
    place = ImportSite(folder)
    driver = HrImport(IMPORT, place.slot, place.clock, memory=folder / "hr-import.json")

    async def settle() -> None:
        place.run()

    def outage(away: bool) -> None:
        place.slot.away = away

    return Rig(
        accounts=driver,
        jobs=driver,
        settle=settle,
        seen=lambda idnumber: seen(place.site, idnumber),
        seen_jobs=lambda idnumber: seen_jobs(place.site, idnumber),
        number_of_accounts=lambda: len(place.site.users()),
        outage=outage,
        lose_next_reply=None,
        answers_at_once=False,
    )


def _day(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds, LONDON).date().isoformat() if seconds else ""
