"""What operators decided about a completion, and what can be decided about it now."""

from typing import Any, Final

from services.console.web.doing import ask_if
from services.console.web.site import Visit

Json = dict[str, Any]
MOST_REFERENCES: Final = 5

WORDS: Final = {
    "resend": "Send it again, marked as a resend",
    "withdraw": "Withdraw it: ESR is to give it back, or is never sent it",
    "restore": "Take the withdrawal back: it is to count again",
    "settle": "Give it up: nothing more is sent of it",
    "reopen": "Take it up again",
}
_TAKEN_BACK: Final = {"withdraw": "restore", "settle": "reopen"}


async def decided_about(visit: Visit, one: Json) -> list[Json] | None:
    """Return what operators decided about a completion, newest first; None when nobody can tell.

    A decision is kept under the reference or, where it was named by its key, under the person.
    """
    references = list(dict.fromkeys(item["sent"]["reference"] for item in one["items"]))[-MOST_REFERENCES:]
    found: list[Json] = []
    for subject in (*references, one["person_id"]):
        made = await ask_if(visit, "outbound", "decisions", subject=subject)
        if made is None:
            return None
        mine = [each for each in made if each["decision"] in (*WORDS, "resend")]
        found += [each for each in mine if subject in references or each["details"].get("key") == one["key"]]
    return sorted(found, key=lambda each: str(each["at"]), reverse=True)


def offers(one: Json, decisions: list[Json] | None) -> list[tuple[str, str]]:
    """Return what can be decided about a completion as it stands, and in which words.

    Where nobody knows what was decided before, both ways are offered: the service refuses what is not so.
    """
    state = one["now"]["state"]
    newest = {pair: _newest(decisions, pair) for pair in _TAKEN_BACK.items()}
    possible = ["resend"] if one["items"] and state in ("open", "overdue", "refused") else []
    for (verdict, back), last in newest.items():
        if last != verdict and not (verdict == "settle" and state in ("confirmed", "withdrawn")):
            possible.append(verdict)
        if last == verdict or decisions is None:
            possible.append(back)
    return [(name, WORDS[name]) for name in possible]


def _newest(decisions: list[Json] | None, among: tuple[str, str]) -> str:
    return next((str(each["decision"]) for each in decisions or () if each["decision"] in among), "")
