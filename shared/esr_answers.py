"""What follows from ESR's answer to an item, by its code: who or what can mend the cause. No I/O here.

ESR's codes are those of the file format (``B...`` for its business rules, ``R...`` for its fields, ``F...`` for whole
files). ``outbound`` acts on these rules, ``confirmations`` shows them, and docs/confirmations.md explains them.
"""

from typing import Final, Literal

Remedy = Literal["person", "content", "day", "file", "settled", "operator"]
"""What has to change before the same item may succeed.

``person``: what ESR last told us of the person, as a new employment or another last name; the item is then sent again
by itself, marked as a resend.
``content``: what the item says, as another competence after a mapping was changed; a new item is then sent by itself.
``day``: the day on which it was achieved has to come, by ESR's calendar.
``file``: nothing of the file was loaded; its items go again in another file once an operator has looked.
``settled``: nothing; ESR holds as much as it should, or cannot hold it, and sending again would not help.
``operator``: a person has to look; what the bridge could do by itself would not help.
"""

_REMEDIES: Final[dict[str, Remedy]] = {
    "B201": "person",
    "B202": "person",
    "B203": "person",
    "B204": "content",
    "B205": "content",
    "B206": "day",
    "B207": "content",
    "B208": "settled",
    "B209": "settled",
    "B210": "content",
    "B211": "person",
    "B212": "content",
    "B213": "settled",
}


def remedy(code: str) -> Remedy:
    """Return what can mend a refusal. A code that ESR has not told us of before is for an operator."""
    if code.startswith("F"):
        return "file"
    if code.startswith("R"):
        return "content"
    return _REMEDIES.get(code, "operator")
