"""Settings of one process, from the environment (``ESRBRIDGE_...``) and from secret files.

A secret file is a file in ``ESRBRIDGE_SECRETS_DIR`` (default ``/run/secrets``) named like the variable in lower
case, for example ``esrbridge_database_url``. Everything wrong is refused at start-up, all faults in one message.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.clock import Clock, FixedClock, SystemClock
from shared.config import explain
from shared.errors import ConfigurationError

Url = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Settings(BaseSettings):
    """What a service process needs to know."""

    model_config = SettingsConfigDict(env_prefix="ESRBRIDGE_", extra="ignore")

    database_url: Annotated[Url, StringConstraints(pattern=r"^postgresql://")]
    """This service's own login, for example ``postgresql://esrbridge_people:...@db/esrbridge``."""
    broker_url: Annotated[Url, StringConstraints(pattern=r"^amqps?://")]
    config: Path
    """The path of ``bridge.yaml``."""
    files: Path = Path("/var/lib/esrbridge/files")
    """Holds ``<vpd>/from-esr``, ``from-lms``, ``to-esr`` and ``to-lms``."""
    archive: Path = Path("/var/lib/esrbridge/archive")
    """Raw files as they were taken; ingest alone uses it."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    api_token: str = ""
    """Bearer token for the HTTP API; empty means the API answers health and metrics only."""
    log_level: Annotated[str, StringConstraints(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    scan_seconds: float = Field(default=2.0, gt=0)
    """How often folders are looked at and background jobs run."""
    settle_seconds: float = Field(default=2.0, ge=0)
    """How long a file must have stood unchanged before it is taken."""
    claim_seconds: float = Field(default=15.0, gt=0)
    """How long a replica keeps a file it is splitting without a sign of life."""
    now: datetime | None = None
    """Stops the business clock at this moment (UK local time): for tests and rehearsals only."""

    def clock(self) -> Clock:
        """Return the business clock."""
        return FixedClock(self.now) if self.now else SystemClock()


def load_settings() -> Settings:
    """Read settings from environment and secret files. Raises ConfigurationError naming every faulty setting."""
    secrets = Path(os.environ.get("ESRBRIDGE_SECRETS_DIR", "/run/secrets"))
    try:
        return Settings(_secrets_dir=secrets if secrets.is_dir() else None)  # type: ignore[call-arg]
    except ValidationError as error:
        raise ConfigurationError(f"settings (ESRBRIDGE_*): {explain(error)}") from None  # the cause repeats the values
