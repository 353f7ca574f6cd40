"""What a sandbox Totara site holds, and what its administrator does there by hand."""

import csv
import io
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sandbox import database
from sandbox import totara_state as state
from sandbox.totara_engine import Json
from sandbox.totara_state import FieldType, TotaraSettings
from shared.files import put_file

#: Accounts the site has by itself.
OWN: Final = ("guest", "admin", "apiservice")


class TotaraSite:
    """One site, with its state in the sqlite file ``path``. ``clock`` tells seconds since 1970."""

    def __init__(
        self, path: Path, settings: TotaraSettings | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings or TotaraSettings()
        self._path = path
        self._clock = clock
        database.create(path, state.SCHEMA, {"product": "Totara 17.3"})
        with database.transaction(path) as db:
            for number, username in enumerate(OWN, start=1):
                db.execute(
                    "insert or ignore into user (id, username, firstname, lastname) values (?, ?, ?, ?)",
                    (number, username, username.capitalize(), "Account"),
                )

    def define_field(self, name: str, kind: FieldType, options: tuple[str, ...] = (), *, unique: bool = False) -> None:
        """Add a profile field, or change what it may hold."""
        with database.transaction(self._path) as db:
            state.define_field(db, name, kind, options, unique=unique)

    def add_framework(self, kind: str, idnumber: str) -> None:
        """Add a framework for organisations (``organisation``) or positions (``position``)."""
        with database.transaction(self._path) as db:
            db.execute("insert or ignore into framework values (?, ?)", (kind, idnumber))

    def add_item(self, kind: str, idnumber: str, framework: str = "") -> None:
        """Add an organisation or a position by hand."""
        with database.transaction(self._path) as db:
            item = {"kind": kind, "idnumber": idnumber, "fullname": idnumber, "framework": framework}
            state.insert(db, "item", item | {"timemodified": self._now()})

    def add_user(self, **values: Any) -> int:  # noqa: ANN401
        """Add a user by hand; such a user is not HR Import's. Return the id."""
        with database.transaction(self._path) as db:
            return state.insert(db, "user", {"timemodified": self._now()} | values)

    def edit_user(self, username: str, /, **values: Any) -> None:  # noqa: ANN401
        """Change a user by hand, which changes ``timemodified`` as well unless that is given."""
        with database.transaction(self._path) as db:
            row = state.find(db, "user", username=username)[0]
            state.update(db, "user", row["id"], {"timemodified": self._now()} | values)

    def put_field(self, username: str, shortname: str, data: str) -> None:
        """Set a profile field by hand, as it is stored."""
        with database.transaction(self._path) as db:
            state.put_field(db, state.find(db, "user", username=username)[0]["id"], shortname, data)

    def users(self) -> list[Json]:
        """Return all users but the site's own, with their profile fields under ``fields``."""
        with database.transaction(self._path) as db:
            rows = [row for row in state.find(db, "user") if row["id"] > len(OWN)]
            return [dict(row) | {"fields": state.fields_of(db, row["id"])} for row in rows]

    def user(self, idnumber: str) -> Json | None:
        """Return the user with this idnumber, None where there is none."""
        return next((user for user in self.users() if user["idnumber"] == idnumber and not user["deleted"]), None)

    def jobs(self, idnumber: str | None = None) -> list[Json]:
        """Return job assignments, of one user or of all, with keys in place of ids."""
        found = self._rows(
            "select job.*, user.idnumber as account, o.idnumber as organisation_key, p.idnumber as position_key, "
            "m.idnumber as manager_job, mu.idnumber as manager from job join user on user.id = job.userid "
            "left join item o on o.id = job.organisation left join item p on p.id = job.position "
            "left join job m on m.id = job.managerjaid left join user mu on mu.id = m.userid order by job.id"
        )
        return [job for job in found if idnumber in (None, job["account"])]

    def items(self, kind: str) -> list[Json]:
        """Return organisations or positions."""
        return [one for one in self._rows("select * from item order by id") if one["kind"] == kind]

    def write_log_report(self, path: Path) -> None:
        """Write the HR Import log as Report Builder exports it to the file system."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["ID", "Time", "Element", "Log type", "Action", "Info", "Run ID"])
        for line in self.log():
            moment = datetime.fromtimestamp(line["time"], ZoneInfo(self.settings.zone))
            writer.writerow([line["id"], moment.strftime("%d %b %Y %H:%M:%S"), *list(line.values())[2:]])
        put_file(path, text.getvalue().encode())

    def _rows(self, query: str) -> list[Json]:
        with database.transaction(self._path) as db:
            return [dict(row) for row in db.execute(query)]

    def log(self) -> list[Json]:
        """Return the HR Import log."""
        return self._rows("select * from log order by id")

    def _now(self) -> int:
        return int(self._clock())
