"""Where a completion stands and what comes next, in words. No I/O here."""

from collections.abc import Sequence
from typing import Any

from shared.answer_words import REMEDIES
from shared.esr_answers import remedy


def stands(told: Any, items: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]) -> dict[str, str]:  # noqa: ANN401 - a row
    """Return state, code and what comes next, by the newest item and what the LMS last said.

    ``told``: the completion as last told, None when only items are known of it.
    """
    withdrawn = told is not None and told.withdrawn > told.revision
    if not items:
        return _before_sending(told, withdrawn=withdrawn)
    last = items[-1]
    if last["state"] == "open":
        return _open(last)
    if last["state"] == "rejected":
        return _said("refused", last["code"], REMEDIES[remedy(last["code"])])
    state = "withdrawn" if last["sent"]["change"] == "withdrawal" else "confirmed"
    return _said(state, last["code"], _after(state, withdrawn=withdrawn, differs=bool(differences)))


def _after(state: str, *, withdrawn: bool, differs: bool) -> str:
    if state == "withdrawn":
        return "nothing; ESR has given it back"
    if withdrawn:
        return "the LMS has taken it back; a withdrawal goes with the next file"
    return "a later full file of ESR shows something else; an operator compares" if differs else "nothing"


def _before_sending(told: Any, *, withdrawn: bool) -> dict[str, str]:  # noqa: ANN401 - a row
    if told is None or withdrawn:
        return _said("withdrawn", "", "nothing; ESR was never told")
    if told.withheld >= max(told.revision, 1):
        return _said("withheld", told.withheld_code, "sent once the cause has gone")
    return _said("waiting", "", "goes with the next completion file")


def _open(item: dict[str, Any]) -> dict[str, str]:
    if item["overdue"]:
        return _said("overdue", "", "a late answer still settles it; else it is sent again, or an operator decides")
    return _said("open", "", f"ESR answers by {item['due_at']}" if item.get("due_at") else "ESR answers")


def _said(state: str, code: str, following: str) -> dict[str, str]:
    return {"state": state, "code": code, "next": following}
