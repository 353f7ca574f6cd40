"""Looking accounts up. Without rights to see, Moodle says that nobody is there, so somebody known is looked up too."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal
from zoneinfo import ZoneInfo

from services.outbound.lms.moodle_form import slices
from services.outbound.lms.moodle_rows import Row, read_rows
from services.outbound.lms.moodle_rules import is_username, readable
from shared.errors import LmsMisconfiguredError, LmsUnavailableError
from shared.moodle.call import MoodleCall

_BY_FIELD: Final = "core_user_get_users_by_field"
_SEARCH: Final = "core_user_get_users"


class MoodleSearch:
    """Look-ups on one site. ``known_user``: idnumber of an account that is there and is not the token's own.

    All methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError.
    """

    def __init__(self, call: MoodleCall, known_user: str, zone: ZoneInfo) -> None:
        self._call = call
        self.known_user = known_user
        self.zone = zone
        self._own: int | None = None

    async def own_id(self) -> int:
        """Return the id of the service account, which must never change itself: it could lock itself out."""
        if self._own is None:
            self.know_own(await self._call.ask("core_webservice_get_site_info"))
        return self._own or 0

    def know_own(self, info: object) -> None:
        """Take the id of the service account from what the site says of itself."""
        own = info.get("userid") if isinstance(info, dict) else None
        if not isinstance(own, int):
            raise LmsUnavailableError("what answered is not Moodle: its site information has another shape")
        self._own = own

    async def by_idnumbers(self, idnumbers: Iterable[str]) -> dict[str, list[Row]]:
        """Return the accounts with each of these idnumbers; there may be several, as Moodle does not keep them unique.

        Raises LmsMisconfiguredError when the known account is not found along with them: then "nobody" means nothing.
        """
        if not self.known_user:
            raise LmsMisconfiguredError(
                "lms.moodle.known_user is not set: nobody could tell an empty answer from a blind one"
            )
        found: dict[str, list[Row]] = {}
        for some in slices(sorted(set(idnumbers) - {""}), self._call.variables, taken=2):
            rows = await self.by_field("idnumber", [*some, self.known_user])
            known = [row for row in rows if row.idnumber == self.known_user]
            if not known or known[0].missing:
                raise LmsMisconfiguredError("Moodle does not show the known account (lms.moodle.known_user) any more")
            for row in rows:
                found.setdefault(row.idnumber, []).append(row)
        return found

    async def by_usernames(self, usernames: Iterable[str]) -> dict[str, Row]:
        """Return the account of each of these usernames; what can be no username is not looked for."""
        wanted = sorted({name for name in usernames if is_username(name)})
        rows: list[Row] = []
        for some in slices(wanted, self._call.variables, taken=1):
            rows += await self.by_field("username", some)
        return {row.username: row for row in rows}

    async def by_field(self, name: str, values: Sequence[str]) -> list[Row]:
        """Return accounts whose field is exactly one of these values; they must fit into one form."""
        pairs = [("field", name), *((f"values[{index}]", value) for index, value in enumerate(values))]
        return read_rows(await self._call.ask(_BY_FIELD, pairs), self.zone)

    async def by_email(self, email: str) -> list[Row]:
        """Return accounts with this address in any letter case, as Moodle compares when it creates."""
        rows = await self._like("email", email)
        return [row for row in rows if row.email.casefold() == email.casefold()]

    async def by_name(self, key: Literal["firstname", "lastname"], name: str) -> list[Row]:
        """Return accounts with this first or last name in any letter case."""
        rows = await self._like(key, name)
        return [row for row in rows if row.core.get(key, "").casefold() == name.casefold()]

    async def _like(self, key: str, text: str) -> list[Row]:
        if not text or not readable(text):
            return []
        answer = await self._call.ask(_SEARCH, [("criteria[0][key]", key), ("criteria[0][value]", escaped(text))])
        if not isinstance(answer, dict) or answer.get("warnings"):
            # A key that is not known is passed over, and everybody is found.
            raise LmsMisconfiguredError(f"Moodle does not search accounts by {key}; its version may not be known.")
        return read_rows(answer.get("users"), self.zone)


def escaped(text: str) -> str:
    """Return a text in which the signs that stand for anything (``%`` and ``_``) stand for themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
