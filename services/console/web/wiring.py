"""Puts the console's web half together."""

from starlette.types import ASGIApp

from services.console.web.app import make_pages, provider_of
from services.console.web.demo import DemoAccounts
from services.console.web.guard import Guard, api_guard, machines
from services.console.web.reads import Reads, over_http
from services.console.web.sessions import Sessions
from services.console.web.site import Site
from shared.clock import Clock
from shared.component import Context
from shared.config import BridgeConfig
from shared.db.engine import Reader
from shared.db.unit import Work


def guard_of(context: Context) -> Guard:
    """Return the check of the API. Raises ConfigurationError when a machine's token cannot be read."""
    served = [trust.vpd for trust in context.config.trusts]
    return api_guard(context.api_token, machines(context.config.console, served))


def pages_of(context: Context) -> ASGIApp:
    """Return the pages as a service runs them. Raises ConfigurationError when the provider's secret cannot be read."""
    console = context.config.console
    sessions = Sessions(context.work.engine, console.session)
    reads = over_http(console.services, context.api_token)
    provider = provider_of(context.config)
    return make_pages(
        Site(context.config, context.work, context.reader, context.clock, reads, sessions, provider=provider)
    )


def demo_pages(
    config: BridgeConfig, work: Work, reader: Reader, clock: Clock, reads: Reads, accounts: DemoAccounts
) -> ASGIApp:
    """Return the pages of a demonstration, with local accounts."""
    sessions = Sessions(work.engine, config.console.session)
    return make_pages(Site(config, work, reader, clock, reads, sessions, demo=accounts))
