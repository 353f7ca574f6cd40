"""The certifications of the sandbox's Totara: what its administrator, its learners, its clock and its upload form do.

There is no certification in the product's API: completions come in by the upload form and its task, and go out by a
report.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal

from sandbox import database, totara_cert_cron, totara_cert_report, totara_cert_upload
from sandbox import totara_cert_file as files
from sandbox import totara_cert_state as certs
from sandbox import totara_state as state
from sandbox.totara_cert_file import UploadSettings
from sandbox.totara_cert_rules import METHODS, recertified
from sandbox.totara_cert_state import Record
from sandbox.totara_engine import Json
from sandbox.totara_site import TotaraSite
from shared.files import put_file

_PERSON: Final = (
    "select t.*, u.username, u.idnumber as user_idnumber, c.idnumber as certification{} from {} t "
    "join user u on u.id = t.userid join certif c on c.id = t.certifid{} order by t.id"
)


class TotaraCertifications(TotaraSite):
    """A site with certifications. Moments are seconds since 1970, 0 where there is none."""

    upload_settings = UploadSettings()

    def prepare_certifications(self) -> None:
        """Make the tables that are missing."""
        database.create(self._path, certs.SCHEMA, {})

    # By hand

    def add_certification(
        self,
        idnumber: str,
        method: Literal["completion", "expiry", "fixed"] = "completion",
        active: str = "1 year",
        window: str = "1 month",
        minimum: str = "",
        shortname: str = "",
    ) -> None:
        """Add a certification with the periods of its renewal; nothing checks that they can be used."""
        values = {"idnumber": idnumber, "shortname": shortname or idnumber, "method": METHODS[method]}
        with database.transaction(self._path) as db:
            state.insert(db, "certif", values | {"active": active, "minimum": minimum, "window": window})

    def assign(self, username: str, certification: str, due: int = 0) -> None:
        """Assign a person, who gets an old record back."""
        with database.transaction(self._path) as db:
            certs.assign(db, *self._key(db, username, certification), self._now(), due)

    def unassign(self, username: str, certification: str) -> None:
        """Take a person off; the record goes to the history."""
        with database.transaction(self._path) as db:
            certs.unassign(db, *self._key(db, username, certification), self._now())

    def extend(self, username: str, certification: str, expires: int) -> None:
        """Move an expiry by hand; the baseline stays, the programme's due date goes along."""
        self._edit(username, certification, expires=expires, due=expires)

    def damage(self, username: str, certification: str, **values: Any) -> None:  # noqa: ANN401
        """Edit a record so that it is inconsistent (a fault)."""
        self._edit(username, certification, **values)

    def lose_record(self, username: str, certification: str) -> None:
        """Remove one half of a record (a fault); the hourly step makes a new one."""
        with database.transaction(self._path) as db:
            key = self._key(db, username, certification)
            db.execute("delete from certif_completion where userid = ? and certifid = ?", key)

    def _edit(self, username: str, certification: str, **values: Any) -> None:  # noqa: ANN401
        with database.transaction(self._path) as db:
            key = self._key(db, username, certification)
            certs.put_record(db, *key, replace(certs.record(db, *key), **values), self._now())

    # The learner

    def learner_completes(self, username: str, certification: str, at: int | None = None) -> bool:
        """Let a learner complete by themselves; false while they are certified and the window is not open.

        Counts from the expiry with any extension, and from the programme's due date.
        """
        now = self._now() if at is None else at
        with database.transaction(self._path) as db:
            key = self._key(db, username, certification)
            certs.assign(db, *key, now)
            held = certs.record(db, *key)
            if held.state == certs.CERTIFIED:
                return False
            terms = certs.terms(db, key[1], self.settings.zone)
            expires, opens = recertified(terms, now, held.expires, held.due)
            certs.put_record(db, *key, Record(certs.CERTIFIED, now, opens, expires, expires, expires), now)
            certs.event(db, now, "program_completed", *key)
        return True

    # The clock

    def cron(self, now: int | None = None) -> None:
        """Do the hourly step of certifications."""
        with database.transaction(self._path) as db:
            totara_cert_cron.run(db, self._now() if now is None else now)

    # The upload

    def upload_completions(
        self, content: bytes, kind: Literal["certification"] = "certification", settings: UploadSettings | None = None
    ) -> int:
        """Submit the upload form: the rows are stored and a task is queued; return how many rows.

        The settings stay those of the form until they are given anew. Raises RefusedFileError; ``kind`` is the upload
        form, of which this site has the one for certifications.
        """
        self.upload_settings = chosen = settings or self.upload_settings
        rows = files.read(content, chosen)
        now = self._now()
        with database.transaction(self._path) as db:
            for row in rows:
                stored, errors = files.shortened(row)
                state.insert(db, "cert_import", stored | {"timecreated": now, "importerrormsg": errors})
            task = {"timecreated": now, "runs_at": now, "settings": json.dumps(asdict(chosen) | {"kind": kind})}
            state.insert(db, "cert_task", task)
        return len(rows)

    def run_adhoc(self) -> int:
        """Run the tasks that are due; return how many ended. One that breaks off is tried again after a minute."""
        now, ended = self._now(), 0
        for task in self._rows(f"select * from cert_task where done = 0 and runs_at <= {now} order by id"):  # noqa: S608
            chosen = json.loads(task["settings"])
            del chosen["kind"]
            with database.transaction(self._path) as db:
                done = totara_cert_upload.run(
                    db, task["timecreated"], UploadSettings(**chosen), self.settings.zone, now
                )
                later = {"runs_at": now + totara_cert_upload.RETRY_SECONDS, "done": int(done)}
                state.update(db, "cert_task", task["id"], later)
            ended += done
        return ended

    # What can be read

    def imports(self) -> list[Json]:
        """Return the rows of all uploads as the report on them shows them."""
        return self._rows("select * from cert_import order by id")

    def completions(self, certification: str | None = None) -> list[Json]:
        """Return current records with the programme's due date, of one certification or of all."""
        joined = " left join prog_completion p on p.userid = t.userid and p.certifid = t.certifid"
        found = self._rows(_PERSON.format(", p.due", "certif_completion", joined))
        return [row for row in found if certification in (None, row["certification"])]

    def history(self, certification: str | None = None) -> list[Json]:
        """Return history rows, of one certification or of all."""
        found = self._rows(_PERSON.format("", "certif_history", ""))
        return [row for row in found if certification in (None, row["certification"])]

    def evidence(self) -> list[Json]:
        """Return the items of the evidence bank that uploads made."""
        return self._rows("select * from cert_evidence order by id")

    def events(self, name: str | None = None) -> list[Json]:
        """Return events, alerts and lines of the completion log."""
        return [row for row in self._rows("select * from cert_event order by id") if name in (None, row["name"])]

    def certification_report(self, *, history: bool = False) -> bytes:
        """Return a certification report as CSV: current records, or with ``history`` the earlier ones."""
        if history:
            return totara_cert_report.history(self.history(), self.settings.zone)
        return totara_cert_report.current(self.completions(), self.settings.zone)

    def write_certification_report(self, path: Path, *, history: bool = False) -> bool:
        """Write a report as its schedule exports it to the file system: not at all when it has no rows."""
        if not (self.history() if history else self.completions()):
            return False
        put_file(path, self.certification_report(history=history))
        return True

    @staticmethod
    def _key(db: Any, username: str, certification: str) -> tuple[int, int]:  # noqa: ANN401
        user = state.find(db, "user", username=username, deleted=0)[0]
        return user["id"], state.find(db, "certif", idnumber=certification)[0]["id"]
