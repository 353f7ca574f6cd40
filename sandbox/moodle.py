"""An invented Moodle 4.3 site with its REST web service: the accounts of one trust, and the traps of the real one.

Everything it knows lies in one sqlite file, and each call is one transaction. The switches of ``faults`` are kept in
memory only. What is here was seen on a real site with debugging off. Competencies, courses and reports are set up
through ``competencies``, ``courses`` and ``reports``.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sandbox import database, moodle_accounts, moodle_fields, moodle_functions, moodle_params, moodle_schema
from sandbox.moodle_access import authenticate, zone_of
from sandbox.moodle_competencies import Competencies
from sandbox.moodle_courses import Courses
from sandbox.moodle_errors import MoodleError, database_away, maintenance, write_failed
from sandbox.moodle_params import Tree
from sandbox.moodle_ratings import GRADE
from sandbox.moodle_reports import Reports
from sandbox.moodle_schema import SERVICE_ACCOUNT, TOKEN

__all__ = ["SERVICE_ACCOUNT", "TOKEN", "Faults", "SandboxMoodle"]

Json = dict[str, Any]
State = Literal["", "sitemaintenance", "maintenance-page", "services-off", "dbconnectionfailed", "busy"]


@dataclass
class Faults:
    """Switches. The counted ones go down by one with each writing call they spoil."""

    state: State = ""
    """The whole site: the maintenance page by HTTP 200 or 503, services off (403), its database away, or 429."""
    lose_replies: int = 0
    """Replies of writing calls that break off after the call is done."""
    proxy_pages: int = 0
    """Replies of writing calls in whose place comes the page of a proxy that would not wait (504)."""
    invalid_responses: int = 0
    """Answers of writing calls that do not pass the site's own check after the call is done."""
    conflicts: int = 0
    """Ratings that the database refuses, as it does one of several that rate somebody for the first time at once."""
    late_commit: float = 0.0
    """Seconds each writing call takes before it is done, whether or not anybody still waits for it."""
    rivals: list[dict[str, str]] = field(default_factory=list)
    """Each spoils one creation: another call creates this account after the checks of ours and before its insert.
    What is not named is as in ours, so the same username loses us the race, and another one makes a second person."""


class SandboxMoodle:
    """A site in the sqlite file ``state``, in the time zone ``zone``, that reads ``variables`` of a form.

    ``clock`` tells its time. A new site has a guest, an administrator and the service account whose token is ``TOKEN``.
    """

    def __init__(
        self, state: Path, *, zone: str = "Europe/London", variables: int = 5000, clock: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._zone = zone
        self.variables = variables
        self.clock = clock
        self.competencies = Competencies(state)
        self.courses = Courses(state, clock)
        self.reports = Reports(state)
        self.faults = Faults()
        self.calls: list[tuple[str, int]] = []
        """Name and number of variables of each call, for tests."""
        database.create(state, moodle_schema.SCHEMA, {"zone": zone})
        with database.transaction(state) as db:
            moodle_schema.furnish(db)

    def call(self, token: str, given: Tree) -> Any:  # noqa: ANN401 - whatever a function returns
        """Do one call of the form ``given`` (``wsfunction`` and its parameters). Raises MoodleError."""
        if self.faults.state == "dbconnectionfailed":
            raise database_away()
        if self.faults.conflicts and given.get("wsfunction") == GRADE:
            self.faults.conflicts -= 1
            raise write_failed()
        raced = self._rival(given)
        with database.transaction(self._state) as db:
            caller = replace(authenticate(db, token, self._zone), now=int(self.clock()))
            if self.faults.state == "sitemaintenance" and not caller.admin:
                raise maintenance()
            result = moodle_functions.serve(db, caller, given, raced=raced)
        if isinstance(result, MoodleError):
            raise result
        return result

    def _rival(self, given: Tree) -> bool:
        """Let another call create an account while ours stands between its checks and its insert."""
        if given.get("wsfunction") != "core_user_create_users" or not self.faults.rivals:
            return False
        rival = self.faults.rivals.pop()
        ours = moodle_params.checked(moodle_params.CREATE, {"users": given.get("users")})["users"][0]
        self.add_account(**({name: ours[name] for name in moodle_accounts.LENGTHS if name in ours} | rival))
        return True

    # What an administrator does

    def add_account(self, **values: str | int) -> int:
        """Create an account as an administrator would, and return its id."""
        with database.transaction(self._state) as db:
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            made = db.execute(f'insert into "user" ({names}) values ({marks})', tuple(values.values()))  # noqa: S608
            return int(made.lastrowid or 0)

    def change(self, user: int, **values: str | int) -> None:
        """Change an account as an administrator would: any column."""
        with database.transaction(self._state) as db:
            assigned = ", ".join(f"{name} = ?" for name in values)
            db.execute(f'update "user" set {assigned} where id = ?', (*values.values(), user))  # noqa: S608

    def delete(self, user: int, second: int = 1795317979) -> None:
        """Delete an account as Moodle does: its row stays, under another name."""
        with database.transaction(self._state) as db:
            row = db.execute('select email from "user" where id = ?', (user,)).fetchone()
            db.execute(
                'update "user" set deleted = 1, idnumber = ?, username = ?, email = ? where id = ?',
                ("", f"{row['email']}.{second}", f"{user:032x}", user),
            )

    def add_field(
        self,
        shortname: str,
        datatype: Literal["text", "menu", "checkbox", "datetime"] = "text",
        *,
        options: Sequence[str] = (),
        years: tuple[int, int] = (1900, 2100),
        visible: bool = True,
    ) -> None:
        """Add a custom profile field; ``options`` are a menu's, ``years`` the range of a date."""
        with database.transaction(self._state) as db:
            place = db.execute("select count(*) from field").fetchone()[0]
            row = (shortname, shortname.title(), datatype, json.dumps(list(options)), *years, visible, place)
            db.execute("insert or replace into field values (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def allow(self, *capabilities: str) -> None:
        """Give the service account these capabilities and no other."""
        with database.transaction(self._state) as db:
            db.execute("delete from capability where user = ?", (SERVICE_ACCOUNT,))
            given = [(SERVICE_ACCOUNT, one) for one in set(capabilities)]
            db.executemany("insert into capability values (?, ?)", given)

    def offer(self, *functions: str) -> None:
        """Let the service offer these functions and no other."""
        with database.transaction(self._state) as db:
            db.execute("delete from service")
            db.executemany("insert into service values (?)", [(one,) for one in functions])

    def expire_token(self) -> None:
        """Let the token run out."""
        with database.transaction(self._state) as db:
            db.execute("update token set state = 'expired'")

    def sign_in(self, user: int) -> None:
        """Open a web session for an account."""
        with database.transaction(self._state) as db:
            db.execute("insert or ignore into session values (?)", (user,))

    # What can be seen of it from outside

    def signed_in(self, user: int) -> bool:
        """Whether the account has an open web session."""
        with database.transaction(self._state) as db:
            return db.execute("select 1 from session where user = ?", (user,)).fetchone() is not None

    def accounts(self) -> list[Json]:
        """Return all accounts that are not deleted, in order of id, each with ``fields`` as they are stored."""
        with database.transaction(self._state) as db:
            rows = db.execute('select * from "user" where not deleted order by id').fetchall()
            zone = zone_of("99", self._zone)
            return [
                {**dict(row), "fields": {one["shortname"]: one["value"] for one in shown}}
                for row in rows
                for shown in [moodle_fields.shown(db, row["id"], zone, everything=True)]
            ]
