"""A trust's LMS as outbound sees it: a driver for each part of the work, made from ``bridge.yaml``."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from services.outbound.lms.files import FilesDriver
from services.outbound.lms.hr_import import HrImport
from services.outbound.lms.hr_import_slot import make_slot
from services.outbound.lms.moodle_rest import MoodleRest
from services.outbound.lms.port import Account, Accounts, Channel, Jobs, Learning
from services.outbound.lms.sandbox import SandboxDriver
from services.outbound.lms.totara_graphql import TotaraGraphql
from services.outbound.lms.totara_upload import CompletionUpload
from shared.clock import Clock
from shared.config import TrustConfig
from shared.lms_settings import Driver
from shared.secret_file import secret
from shared.throttle import Throttled


@dataclass(frozen=True, slots=True)
class Site:
    """The drivers of one trust's LMS. One that does several parts stands in each of them."""

    accounts: Accounts
    jobs: Jobs | None
    learning: Learning | None

    @property
    def channels(self) -> Sequence[Channel]:
        """Every driver once."""
        parts: list[Channel] = [part for part in (self.accounts, self.jobs, self.learning) if part is not None]
        return list({id(part): part for part in parts}.values())

    async def close(self) -> None:
        """Let go of connections."""
        for channel in self.channels:
            await channel.close()


Held = Callable[[str, str], Awaitable[Account | None]]
"""Returns the account with an idnumber as the LMS of a trust (VPD) last accepted it, or None."""

MakeSite = Callable[[TrustConfig, Path, Clock, Held], Site]


def make_site(trust: TrustConfig, files: Path, clock: Clock, held: Held) -> Site:
    """Return the drivers a trust has chosen. Raises ConfigurationError when a secret cannot be read."""
    lms = trust.lms
    makers: dict[Driver, Callable[[], Any]] = {
        "files": lambda: FilesDriver(files / trust.vpd / "to-lms", trust.vpd, clock),
        "sandbox": lambda: SandboxDriver(lms.url, _known(trust, lms.token_file)(), transport=_limited(trust)),
        "moodle-rest": lambda: MoodleRest(
            lms, trust.accounts.fields, _known(trust, lms.token_file), transport=_limited(trust)
        ),
        "totara-graphql": lambda: TotaraGraphql(
            lms, _known(trust, lms.graphql.client_secret_file), transport=_limited(trust)
        ),
        "totara-hr-import": lambda: _hr_import(trust, files / trust.vpd / "hr-import", clock, held),
        "totara-completion-upload": lambda: _upload(trust, files / trust.vpd / "completion-upload", clock, held),
    }
    made = {name: makers[name]() for name in sorted(lms.drivers)}
    jobs = made[lms.jobs_driver] if lms.jobs_driver is not None else None
    return Site(made[lms.accounts_driver], jobs, made[lms.learning_driver])


def _limited(trust: TrustConfig) -> Throttled:
    return Throttled(httpx.AsyncHTTPTransport(), trust.lms.calls_per_minute)


def _known(trust: TrustConfig, path: Path | None) -> Callable[[], str]:
    """Return a secret that could be read just now."""
    read = secret(trust.vpd, path)
    read()
    return read


def _hr_import(trust: TrustConfig, folder: Path, clock: Clock, held: Held) -> HrImport:
    for name in ("ready", "reports"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    slot = make_slot(trust.lms.hr_import.connection, folder / "ready", folder / "reports")
    memory = folder / "memory.json"
    return HrImport(trust.lms, slot, clock, memory=memory, held=partial(held, trust.vpd))


def _upload(trust: TrustConfig, folder: Path, clock: Clock, held: Held) -> CompletionUpload:
    (folder / "ready").mkdir(parents=True, exist_ok=True)
    settings, memory = trust.lms.completion_upload, folder / "memory.json"
    slot = make_slot(settings.connection, folder / "ready", folder / "ready")
    return CompletionUpload(settings, trust.vpd, slot, clock, partial(held, trust.vpd), memory=memory)
