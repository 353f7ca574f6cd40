"""Commands that run the bridge as it is deployed: the database's tables, and each service as a process."""

import importlib
import os
from enum import StrEnum

import typer

from esrbridge.options import failing
from esrbridge.passwords import service_passwords
from shared.db.engine import make_engine
from shared.db.migrate import migrate_now
from shared.runtime import serve as serve_service


class ServiceName(StrEnum):
    """The services, as processes."""

    ingest = "ingest"
    people = "people"
    competency = "competency"
    outbound = "outbound"
    confirmations = "confirmations"
    console = "console"


def migrate() -> None:
    """Make or update the database: a schema, a role and the tables of every service.

    Reads ESRBRIDGE_ADMIN_DATABASE_URL and one password per service, ESRBRIDGE_PEOPLE_PASSWORD and so on, each from the
    environment or from a secret file of that name in lower case.
    """
    with failing():
        url, passwords = service_passwords(os.environ)
        migrate_now(make_engine(url, name="esrbridge-migrate", statement_seconds=None), passwords)
    typer.echo("the database is up to date")


def serve(service: ServiceName) -> None:
    """Run one service until it is told to stop. Settings: see docs/operating.md."""
    module = importlib.import_module(f"services.{service.value}.main")
    with failing():
        serve_service(service.value, module.build)
