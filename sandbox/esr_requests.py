"""How the sandbox's ESR reads a request for a full file (CSR), and when it takes one."""

from datetime import date, datetime, time
from typing import Final

from sandbox.esr_confirmations import BrokenReturnError, check_name, strict_lines
from sandbox.esr_format import is_moment, split

#: Every request bears this number: it is told from others by its day.
NUMBER: Final = 1


def read_request(name: str, content: bytes, vpd: str, now: datetime, sent_up_to: date | None) -> date:
    """Return the day at whose midnight the full file shall be made.

    ``now`` is when the request was delivered, naive UK time; ``sent_up_to`` where the last window ended. A request
    lies before its moment, and the moment is the end of a window that is not closed yet: else records would be missing
    or come twice. Raises BrokenReturnError.
    """
    parts = check_name(name, "CSR", vpd)
    lines = [split(one) for one in strict_lines(content)]
    if len(lines) != 1 or len(lines[0]) != 3 or lines[0][:2] != ["HDR", name]:
        raise BrokenReturnError("a request is one line: HDR, its own name, a moment")
    if parts.sequence != NUMBER:
        raise BrokenReturnError(f"a request is numbered {NUMBER:08d}")
    text = lines[0][2]
    if not is_moment(text):
        raise BrokenReturnError("the moment is none")
    moment = datetime.strptime(text, "%Y%m%d %H%M%S")  # noqa: DTZ007 - UK local time, as the files have it
    if moment.time() != time.min:
        raise BrokenReturnError("the moment is no midnight, and windows end at midnight")
    if moment.date() != parts.day:
        raise BrokenReturnError("the name tells another day than the moment")
    if now >= moment or (sent_up_to is not None and moment.date() < sent_up_to):
        raise BrokenReturnError("the request came after its moment: that window is closed")
    return moment.date()
