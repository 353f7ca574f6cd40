"""What is next for a completion: the one decision that everything towards ESR follows. No I/O here."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from services.outbound.towards_esr.content import Content
from services.outbound.towards_esr.held import Item, doubtful, is_its_own, loaded, perhaps_gone, unanswered
from services.outbound.towards_esr.terms import Next, Wanted, Whose
from shared.config import CompletionPolicy
from shared.esr_answers import remedy
from shared.events import Change

LEFT: Final = ("leaver", "out_of_scope")


def decide(wanted: Wanted, items: Sequence[Item], person: Whose | None, policy: CompletionPolicy, day: date) -> Next:
    """Decide what is next. ``items``: all of this completion, in the order in which they left.

    ``person`` is None while ESR has told us nothing of them. There is never more than one question open: what ESR has
    not answered is waited for, or sent again, before anything else is said.
    """
    if times := unanswered(items):
        found = _unanswered(wanted, items[-1], times, policy, day)
    else:
        found = _towards(wanted, items)
        if found.change and items and items[-1].state == "rejected" and _is_same(found, items[-1]):
            found = _refused(wanted, items[-1], person, day)
        if wanted.given_up and (found.change or found.waits_for):
            return Next("settled", code="O202")
    return _admitted(found, wanted, items, person, policy, day) if found.change else found


def _unanswered(wanted: Wanted, last: Item, times: int, policy: CompletionPolicy, day: date) -> Next:
    if wanted.asked:
        return _again(last)
    if wanted.given_up:
        return Next("settled", code="O202")
    if last.overdue_since is None:
        return Next("written" if last.state == "written" else "sent", waits_for="answer")
    if not policy.resend_after_days or times > policy.resends:
        return Next("overdue", code="O201", waits_for="operator")
    again_on = last.overdue_since + timedelta(days=policy.resend_after_days)
    return _again(last) if day >= again_on else Next("overdue", waits_for="answer", look_on=again_on)


def _towards(wanted: Wanted, items: Sequence[Item]) -> Next:
    """Return the step that brings ESR to where it should be, whether or not it has been tried."""
    held, maybe = loaded(items), doubtful(items)
    stand = {one: item.content for one, item in maybe.items() if one not in held} | held
    if not wanted.stands:
        return _back(next(iter(stand)), stand) if stand else Next("withdrawn")
    unsure = perhaps_gone(items)
    same = [one for one in stand if one not in unsure and stand[one].achievement == wanted.content.achievement]
    others = [one for one in stand if one not in same[-1:]]
    if same and same[-1] in held:
        twice = [one for one in others if stand[one].achievement != wanted.content.achievement]
        if is_its_own(same[-1], items):
            twice = others
        return _back(twice[0], stand) if twice else Next("confirmed", code=_warning(items))
    if same:
        return _again(maybe[same[-1]])
    if others:
        return Next("waiting", "correction", content=wanted.content, replaces=_newest(others, items))
    answered = [one for one in items if not one.open]
    if answered and _says_enough(answered[-1], wanted.content):
        return Next("confirmed", code=answered[-1].code)
    return Next("waiting", "new", content=wanted.content)


def _newest(references: Sequence[str], items: Sequence[Item]) -> str:
    return next(one.reference for one in reversed(items) if one.reference in references)


def _back(reference: str, stand: Mapping[str, Content]) -> Next:
    return Next("waiting", "withdrawal", content=stand[reference], reference=reference)


def _again(last: Item) -> Next:
    """Repeat an item: a withdrawal has no mark for it, a completion is marked as a resend."""
    change: Change = "resend" if last.loads else "withdrawal"
    return Next("waiting", change, content=last.content, reference=last.reference, replaces=last.replaces)


def _warning(items: Sequence[Item]) -> str:
    return next((one.code for one in reversed(items) if one.loads and one.state == "confirmed"), "")


def _says_enough(last: Item, content: Content) -> bool:
    """Whether ESR said that it holds as much already, in a record that is none of ours."""
    return last.loads and last.state == "confirmed" and last.content.achievement == content.achievement


def _is_same(found: Next, last: Item) -> bool:
    """Whether the step is what ESR refused: there has to be a reason to try it again."""
    if found.change == "withdrawal":
        return not last.loads and last.reference == found.reference
    if found.change == "resend":
        return last.loads and last.reference == found.reference
    return last.loads and (last.content.said, last.replaces) == (found.content.said, found.replaces)


def _refused(wanted: Wanted, last: Item, person: Whose | None, day: date) -> Next:
    """Decide on what ESR refused and is still wanted as it was said: ``shared.esr_answers`` tells what can mend it."""
    mends = remedy(last.code)
    if wanted.asked:
        return _again(last)
    if mends == "settled":
        return Next("rejected" if wanted.stands else "withdrawn", code=last.code)
    if mends == "content":
        return Next("rejected", code=last.code, waits_for="content")
    if mends == "person":
        news = person is not None and _is_news(person, last)
        return _again(last) if news else Next("rejected", code=last.code, waits_for="person")
    if mends == "day":
        return _on_its_day(last, day)
    return Next("rejected", code=last.code, waits_for="operator")


def _is_news(person: Whose, last: Item) -> bool:
    return person.revision > last.person_revision or bool(last.person and dict(last.person) != dict(person.columns))


def _on_its_day(last: Item, day: date) -> Next:
    """B206: ESR holds the day for one that is to come. Once it has passed, and not twice."""
    achieved = date.fromisoformat(last.content.achieved_on)
    if last.written_on > achieved:
        return Next("rejected", code=last.code, waits_for="operator")
    if day > achieved:
        return _again(last)
    return Next("rejected", code=last.code, waits_for="day", look_on=achieved + timedelta(days=1))


def _admitted(
    found: Next, wanted: Wanted, items: Sequence[Item], person: Whose | None, policy: CompletionPolicy, day: date
) -> Next:
    """Let a step be taken, or say why not: whom ESR is told of, and when it is told for the first time."""
    if found.change == "withdrawal":
        return found
    if wanted.held_by_esr and not items:
        return Next("held_by_esr", code="O103")
    if person is None:
        return Next("waiting", code="O104", waits_for="person")
    if code := _withheld(person, policy):
        return Next("withheld", code=code, waits_for="person")
    opens = date.fromisoformat(found.content.achieved_on) + timedelta(days=policy.hold_days)
    if not items and day < opens and policy.hold_days:
        return Next("waiting", waits_for="day", look_on=opens)
    return found


def _withheld(person: Whose, policy: CompletionPolicy) -> str:
    """Return why ESR is not told of this person: non-staff never, who has left by the trust's policy."""
    if person.state == "non_staff":
        return "O101"
    return "O102" if person.state in LEFT and policy.leavers == "withhold" else ""
