"""An invented Totara 17.3 site: its GraphQL API, HR Import and certifications, as the product was observed to behave.

Everything the site knows lies in one sqlite file; ``settings`` holds what its administrator could change, and the
faults it can be given.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox import database, totara_import, totara_jobs, totara_users
from sandbox.totara_certifications import TotaraCertifications
from sandbox.totara_engine import Engine, Json, Meter, RefusedError
from sandbox.totara_state import TotaraSettings

BAD_TOKEN: Final = "Missing, expired or invalid access token."  # noqa: S105 - a text
NO_HEADER: Final = "The request did not contain the required Authorization header."


class SandboxTotara(TotaraCertifications):
    """One site with its faces. ``settings`` may be changed while it runs."""

    def __init__(
        self, path: Path, settings: TotaraSettings | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(path, settings, clock=clock)
        self.prepare_certifications()
        self._tokens: set[str] = set()
        self._spent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()
        self._engine = Engine(
            self.settings,
            {
                "totara_webapi_status": lambda: {"status": "ok", "timestamp": int(clock())},
                "core_user_users": self._listed,
                "core_user_create_user": self._created,
                "core_user_update_user": self._changed,
                "totara_job_create_job_assignment": self._job_created,
                "totara_job_update_job_assignment": self._job_changed,
                "totara_job_delete_job_assignment": self._job_removed,
            },
        )

    # The API

    def token(self, client_id: str, client_secret: str, grant: str) -> Json:
        """Return what the token page answers. A suspended service account gets a token all the same."""
        known = (client_id, client_secret) == (self.settings.client_id, self.settings.client_secret)
        if grant != "client_credentials":
            return {"error": "unsupported_grant_type", "error_description": "The grant type is not supported"}
        if not known or self.settings.client_disabled:
            return {"error": "invalid_client", "error_description": "Client authentication failed"}
        made = secrets.token_urlsafe(24)
        self._tokens.add(made)
        return {"token_type": "Bearer", "expires_in": 86400, "access_token": made}

    def revoke_tokens(self) -> None:
        """Make every token invalid that was given out so far."""
        self._tokens.clear()

    def admit(self) -> bool:
        """Whether the minute's points are not used up yet; a request may then go over them."""
        with self._lock:
            now = self._clock()
            while self._spent and now - self._spent[0][0] >= 60:
                self._spent.popleft()
            return sum(points for _, points in self._spent) < self.settings.points_per_minute

    def call(self, authorization: str, body: object) -> Json | list[Json]:
        """Answer one document, or each of a list by itself."""
        scheme, _, token = authorization.partition(" ")
        if not authorization:
            return self._engine.failure(NO_HEADER)
        if scheme != "Bearer" or token not in self._tokens or self.settings.client_disabled:
            return self._engine.failure(BAD_TOKEN)
        if self.settings.service_suspended:
            return self._engine.failure("API user is invalid.")
        if isinstance(body, list):
            return [self._metered(one) for one in body]
        return self._metered(body)

    def _metered(self, body: object) -> Json:
        meter = Meter(self.settings.points_per_request)
        answer = self._engine.run(body, meter)
        with self._lock:
            self._spent.append((self._clock(), meter.used))
        return answer

    def _listed(self, query: Json | None = None) -> Json:
        with database.transaction(self._path) as db:
            return totara_users.listed(db, self.settings, query)

    def _created(self, input: Json) -> Json:  # noqa: A002 - the name in Totara's schema
        with database.transaction(self._path) as db:
            row = totara_users.created(db, self.settings, input, self._now())
            shown = totara_users.shown(db, self.settings, row)
            if self.settings.write_errors and self.settings.write_errors % 2:
                db.execute("delete from user where id = ?", (row["id"],))
        if self.settings.write_errors:
            self.settings.write_errors -= 1
            raise RefusedError("Error writing to database")
        return {"user": shown}

    def _changed(self, target_user: Json, input: Json) -> Json:  # noqa: A002
        with database.transaction(self._path) as db:
            row = totara_users.changed(db, self.settings, target_user, input, self._now())
            return {"user": totara_users.shown(db, self.settings, row)}

    def _job_created(self, input: Json) -> Json:  # noqa: A002
        with database.transaction(self._path) as db:
            return totara_jobs.created(db, self.settings, input)

    def _job_changed(self, target_job: Json, input: Json) -> Json:  # noqa: A002
        with database.transaction(self._path) as db:
            return totara_jobs.changed(db, self.settings, target_job, input)

    def _job_removed(self, target_job: Json) -> Json:
        with database.transaction(self._path) as db:
            return totara_jobs.removed(db, self.settings, target_job)

    # HR Import

    def run_hr_import(self, files: Path) -> None:
        """Import what lies in ``<files>/csv/ready``, as the scheduled task does. Nothing is answered: read ``log``."""
        with database.transaction(self._path) as db:
            totara_import.run(db, self.settings, files, self._now())
