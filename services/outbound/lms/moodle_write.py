"""Writing calls: one account at a time for creations, as many as fit for changes.

A creating call is all or nothing and does not say which of its accounts was wrong. A changing call works account by
account and warns, but a value that does not fit its type refuses it whole: then it is halved until that one is alone.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from services.outbound.lms.moodle_form import Entry, Key, fits, packs, users_form
from shared.errors import LmsUnavailableError
from shared.moodle import errors as moodle_errors
from shared.moodle.call import MoodleCall, Verdict

_CREATE: Final = "core_user_create_users"
_UPDATE: Final = "core_user_update_users"

LOST: Final = "outcome-unknown"
"""The reply did not arrive; the call may still commit."""
NOT_TRIED: Final = "not-tried"
"""A reply before it was lost, so it was not sent."""
REFUSED: Final = "refused-by-moodle"
"""Moodle refused it and does not say why; all rules known to us were kept."""
UNSURE: Final = "unsure"
"""The call ended with an error that does not tell whether the account was changed: it must be read back."""
WRITE_FAILED: Final = "write-failed"
"""Its database refused the values."""

Code = str
"""Empty: done as far as the answer tells."""


class MoodleWriter:
    """Writes to one site. Methods raise LmsUnavailableError, LmsBusyError and LmsMisconfiguredError."""

    def __init__(self, call: MoodleCall) -> None:
        self._call = call

    def fits(self, entry: Entry) -> bool:
        """Whether one account can be sent at all."""
        return fits(entry, self._call.variables)

    async def create(self, entry: Entry) -> Verdict:
        """Create one account."""
        return (await self._call.call(_CREATE, users_form([entry]))).verdict

    async def update(self, entries: Mapping[Key, Entry]) -> dict[Key, Code]:
        """Change accounts, each of which fits; return a code for each, empty where Moodle had nothing to say."""
        codes: dict[Key, Code] = {}
        for pack in packs(list(entries.items()), self._call.variables):
            if LOST in codes.values():
                codes |= {key: NOT_TRIED for key, _ in pack}
            else:
                codes |= await self._pack(pack)
        return codes

    async def _pack(self, pack: Sequence[tuple[Key, Entry]]) -> dict[Key, Code]:
        reply = await self._call.call(_UPDATE, users_form([entry for _, entry in pack]))
        match reply.verdict:
            case "done":
                return {key: "" for key, _ in pack} | _warned(reply.value)
            case "lost":
                return {key: LOST for key, _ in pack}
            case "refused" if len(pack) > 1:
                return await self._halves(pack)
            case "refused":
                return {key: REFUSED for key, _ in pack}
            case _:
                return {key: UNSURE for key, _ in pack}

    async def _halves(self, pack: Sequence[tuple[Key, Entry]]) -> dict[Key, Code]:
        half = len(pack) // 2
        codes = await self._pack(pack[:half])
        if LOST in codes.values():
            return codes | {key: NOT_TRIED for key, _ in pack[half:]}
        return codes | await self._pack(pack[half:])


def _warned(value: object) -> dict[Key, Code]:
    """Return our codes for Moodle's warnings, by the id of the account they are about."""
    try:
        warnings = value["warnings"]  # type: ignore[index]
        return {int(one["itemid"]): _warning(one["warningcode"]) for one in warnings}
    except (KeyError, TypeError, ValueError) as error:
        raise LmsUnavailableError(f"what answered is not Moodle ({type(error).__name__})") from None


def _warning(code: str) -> Code:
    return WRITE_FAILED if code == moodle_errors.CONFLICT else moodle_errors.WARNINGS.get(code, REFUSED)
