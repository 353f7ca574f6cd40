"""Brings each trust's LMS to the desired state, trust by trust, and leaves alone those that are away."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

import structlog

from services.outbound import due, policies
from services.outbound.accounts_round import AccountsRound
from services.outbound.circuit import Circuit
from services.outbound.directory import Directory
from services.outbound.jobs_round import JobsRound
from services.outbound.learning_round import LearningRound
from services.outbound.lms.port import Finding
from services.outbound.locks import trust_lock
from services.outbound.news import NewsDesk
from services.outbound.site import Site
from shared.config import TrustConfig
from shared.db.unit import Work
from shared.errors import BridgeError, ConfigurationError, LmsBusyError, LmsMisconfiguredError, TransientError
from shared.transient import is_transient

JOB: Final = "reconcile"

NEWS_EVERY: Final = 60.0

log = structlog.get_logger(__name__)


class TrustReconciler:
    """Closes the difference between what one trust's LMS should hold and what it was last seen to accept."""

    def __init__(self, work: Work, trust: TrustConfig, site: Site, directory: Directory | None) -> None:
        self.trust = trust
        self.circuit = Circuit()
        self.findings: tuple[Finding, ...] = ()
        self._work = work
        self._site = site
        self._parts = [AccountsRound(work, trust, site.accounts, directory).run]
        if site.jobs is not None and trust.accounts.hierarchies:
            self._parts.insert(0, JobsRound(work, trust, site.jobs).run)
        self._learning = LearningRound(work, trust, site.learning) if site.learning is not None else None
        self._news = NewsDesk(work, trust.vpd, site.channels)
        self._applied = False
        self._next_news = 0.0

    def wants_a_look(self, now: float) -> bool:
        """Whether to visit the site although nothing is due: it was not looked at yet, or may have news."""
        return not self.circuit.checked or now >= self._next_news

    async def run(self) -> int:
        """Do one round; return how many operations were made. Raises what is neither away nor misconfigured."""
        now = monotonic()
        if not self.circuit.lets_through(now):
            return 0
        try:
            return await self._round()
        except (LmsMisconfiguredError, ConfigurationError) as error:
            self.findings = self.findings or (Finding("configuration", error.sentence),)
            self._open(self.circuit.barred(now, f"{error.code} {self.findings[0].code}"), error)
        except LmsBusyError as error:
            self._open(self.circuit.slowed(now, error.code), error)
        except Exception as error:
            if not is_transient(error):
                raise
            code = error.code if isinstance(error, BridgeError) else TransientError.code
            self._open(self.circuit.opened(now, code), error)
        return 0

    def _open(self, circuit: Circuit, error: Exception) -> None:
        self.circuit = circuit
        log.warning("the LMS waits", vpd=self.trust.vpd, code=circuit.code, error=type(error).__name__)

    async def _round(self) -> int:
        """Do each part in turn. One that has to wait (a file not collected yet) does not keep the others waiting."""
        await self._look_at_the_site()
        done = await self._news.run()
        self._next_news = monotonic() + NEWS_EVERY
        busy: LmsBusyError | None = None
        for part in self._parts:
            try:
                done += await part()
            except LmsBusyError as error:
                busy = error
        if not done and self._learning is not None:
            done = await self._learning.run()
        if busy is not None and not done:
            raise busy
        self.circuit = self.circuit.closed()
        return done

    async def _look_at_the_site(self) -> None:
        """Ask every driver whether the site would keep what it is sent. Raises LmsMisconfiguredError."""
        if not self._applied:
            await policies.apply_changes(self._work.engine, self.trust)
            self._applied = True
        if self.circuit.checked:
            return
        findings = [finding for channel in self._site.channels for finding in await channel.check()]
        self.findings = tuple(findings)
        if findings:
            raise LmsMisconfiguredError(f"{findings[0].code}: {findings[0].sentence}")


class Reconciler:
    """Goes round all trusts."""

    def __init__(
        self,
        work: Work,
        trusts: Sequence[TrustConfig],
        sites: Mapping[str, Site],
        directories: Mapping[str, Directory] | None = None,
    ) -> None:
        self._work = work
        named = directories or {}
        self.trusts = {
            trust.vpd: TrustReconciler(work, trust, sites[trust.vpd], named.get(trust.vpd)) for trust in trusts
        }

    @property
    def waiting(self) -> Mapping[str, str]:
        """The trusts whose LMS is left alone just now, and the code why."""
        now = monotonic()
        return {vpd: one.circuit.code for vpd, one in self.trusts.items() if not one.circuit.lets_through(now)}

    async def run(self) -> int:
        """Do one round for every trust with something to do; return how many operations were made."""
        done = 0
        failure: Exception | None = None
        day, now = self._work.clock.today(), self._work.clock.now()
        async with self._work.engine.connect() as connection:
            due_now = await due.trusts(connection, list(self.trusts), day, now)
        for vpd, trust in self.trusts.items():
            if vpd not in due_now and not trust.wants_a_look(monotonic()):
                continue
            try:
                async with trust_lock(self._work.engine, JOB, vpd) as free:
                    if free:
                        done += await trust.run()
            except Exception as error:  # noqa: BLE001 - raised below, once the other trusts had their turn
                failure = error
        if failure is not None and not done:
            raise failure
        return done
