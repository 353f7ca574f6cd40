"""The Moodle face of the sandbox with the driver before it, for the suite that every driver of accounts passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from sandbox.moodle import TOKEN, SandboxMoodle
from sandbox.moodle_http import create_app
from services.outbound.lms.moodle_rest import MoodleRest
from services.outbound.lms.port import Candidate
from shared.account_settings import FieldMapping
from shared.lms_settings import LmsSettings
from shared.moodle.settings import MoodleSettings
from tests.unit.services.rigs import Rig

KNOWN = "known-account"
LONDON = ZoneInfo("Europe/London")
OPTIONS = ("TEMP", "PERM")
FIELDS = [
    FieldMapping.model_validate({"from": "account_type", "to": "accounttype", "kind": "menu", "options": OPTIONS})
]


class Seconds:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def furnished(folder: Path, **options: Any) -> SandboxMoodle:
    """Return a site with a known account and profile fields of each kind."""
    moodle = SandboxMoodle(folder / "moodle.sqlite", **options)
    moodle.add_account(username="known", firstname="Known", lastname="Account", email="k@trust.example", idnumber=KNOWN)
    moodle.add_field("accounttype", "menu", options=OPTIONS)
    moodle.add_field("dob", "datetime")
    moodle.add_field("volunteer", "checkbox")
    for name in ("esrnumber", "ninumber"):
        moodle.add_field(name)
    return moodle


def settings(url: str = "https://moodle.example", **moodle: Any) -> LmsSettings:
    """Return how the site is reached."""
    given = MoodleSettings(**{"known_user": KNOWN, **moodle})
    return LmsSettings(driver="moodle-rest", url=url, token_file=Path("token"), timeout_seconds=1.0, moodle=given)


@dataclass(frozen=True, slots=True)
class Moodle:
    """A driver with its clock, and the site behind it."""

    driver: MoodleRest
    site: SandboxMoodle
    clock: Seconds

    def account(self, idnumber: str) -> dict[str, Any]:
        """Return the only account with this idnumber as it is stored."""
        (found,) = [one for one in self.site.accounts() if one["idnumber"] == idnumber]
        return found

    def writes(self) -> int:
        """Return how many writing calls the site has had."""
        return sum(name in ("core_user_create_users", "core_user_update_users") for name, _ in self.site.calls)


@asynccontextmanager
async def moodle(site: SandboxMoodle, given: LmsSettings | None = None, *, token: str = TOKEN) -> AsyncIterator[Moodle]:
    """A driver that speaks to a site without a socket."""
    clock = Seconds()
    transport = httpx.ASGITransport(create_app(site))
    driver = MoodleRest(given or settings(), FIELDS, lambda: token, transport=transport, clock=clock)
    try:
        yield Moodle(driver, site, clock)
    finally:
        await driver.close()


@asynccontextmanager
async def moodle_rig(folder: Path) -> AsyncIterator[Rig]:
    """The rig of the suite for all drivers. Profile fields: accounttype, dob, volunteer, esrnumber, ninumber."""
    async with moodle(furnished(folder)) as made:

        async def settle() -> None:
            made.clock.now += made.driver.settling + 1

        def outage(on: bool) -> None:
            made.site.faults.state = "maintenance-page" if on else ""

        def lose() -> None:
            made.site.faults.lose_replies = 1

        yield Rig(
            accounts=made.driver,
            jobs=None,
            settle=settle,
            seen=lambda idnumber: seen(made.site, idnumber),
            seen_jobs=lambda _: [],
            number_of_accounts=lambda: len(made.site.accounts()) - 4,
            outage=outage,
            lose_next_reply=lose,
        )


def seen(site: SandboxMoodle, idnumber: str) -> Candidate | None:
    """Return an account as the site holds it; of several with this idnumber there is none to be returned."""
    found = [one for one in site.accounts() if one["idnumber"] == idnumber]
    if not found:
        return None
    (row,) = found
    fields = {name: _day(value) if name == "dob" else value for name, value in row["fields"].items()}
    return Candidate(
        lms_id=str(row["id"]),
        idnumber=row["idnumber"],
        username=row["username"],
        first_name=row["firstname"],
        last_name=row["lastname"],
        email=row["email"],
        suspended=bool(row["suspended"]),
        fields=fields,
    )


def _day(epoch: str) -> str:
    return datetime.fromtimestamp(int(epoch), UTC).astimezone(LONDON).date().isoformat()
