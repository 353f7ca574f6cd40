"""What is next for a completion: each rule by itself, then all of them against a small ESR that forgets and refuses."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.towards_esr.content import Content
from services.outbound.towards_esr.held import Item, loaded, unanswered
from services.outbound.towards_esr.rules import decide
from services.outbound.towards_esr.terms import Next, Wanted, Whose
from shared.config import CompletionPolicy

DAY = date(2026, 3, 10)
FIRE = Content("5001", "Fire", "2026-03-03", "2027-03-03", method="e-Learning")
LATER = Content("5001", "Fire", "2026-03-03", "2028-03-03", method="e-Learning")
WANTED = Wanted(FIRE)
FERN = Whose("employee", 1, {"last_name": "Placeholder"})


def item(**said: Any) -> Item:
    told: dict[str, Any] = {"reference": "R1", "change": "new", "content": FIRE, "state": "confirmed"}
    told |= {"written_on": DAY, "person_revision": 1, "person": FERN.columns}
    return Item(**(told | said))


def refused(code: str, **said: Any) -> Item:
    return item(state="rejected", code=code, **said)


def overdue(days_ago: int, **said: Any) -> Item:
    return item(state="sent", overdue_since=DAY - timedelta(days=days_ago), **said)


def told(
    items: Sequence[Item] = (), wanted: Wanted = WANTED, person: Whose | None = FERN, day: date = DAY, **policy: Any
) -> Next:
    return decide(wanted, items, person, CompletionPolicy.model_validate(policy), day)


# What has not been tried


def test_what_was_never_sent_is_new() -> None:
    assert told() == Next("waiting", "new", content=FIRE)


def test_what_esr_loaded_is_done() -> None:
    assert told([item()]) == Next("confirmed")


def test_the_warning_of_what_esr_loaded_is_kept() -> None:
    assert told([item(code="B211")]) == Next("confirmed", code="B211")


def test_other_content_of_what_esr_loaded_is_a_correction_that_names_what_it_replaces() -> None:
    assert told([item()], Wanted(LATER)) == Next("waiting", "correction", content=LATER, replaces="R1")


def test_another_method_or_name_of_what_esr_loaded_changes_nothing() -> None:
    renamed = Content("5001", "Fire Safety", "2026-03-03", "2027-03-03", method="Course")
    assert told([item()], Wanted(renamed)).state == "confirmed"


def test_a_correction_that_esr_loaded_is_done_and_the_next_replaces_it() -> None:
    corrected = [item(), item(reference="R2", change="correction", replaces="R1", content=LATER)]
    assert told(corrected, Wanted(LATER)) == Next("confirmed")
    assert told(corrected).replaces == "R2"


def test_what_was_taken_back_by_the_lms_is_withdrawn_by_its_reference() -> None:
    assert told([item()], Wanted(FIRE, stands=False)) == Next("waiting", "withdrawal", content=FIRE, reference="R1")


def test_what_was_taken_back_before_it_was_sent_is_never_sent() -> None:
    assert told([], Wanted(FIRE, stands=False)) == Next("withdrawn")


def test_what_was_taken_back_is_withdrawn_from_leavers_and_non_staff_too() -> None:
    gone = Whose("non_staff", 9)
    assert told([item()], Wanted(FIRE, stands=False), gone, leavers="withhold").change == "withdrawal"


def test_what_is_wanted_again_after_a_withdrawal_is_new() -> None:
    assert told([item(), item(change="withdrawal")]) == Next("waiting", "new", content=FIRE)


def test_a_withdrawal_of_what_esr_does_not_hold_is_settled() -> None:
    items = [item(), refused("B213", change="withdrawal")]
    assert told(items, Wanted(FIRE, stands=False)) == Next("withdrawn")
    assert told(items).change == "new"


# People


def test_applicants_are_told_of() -> None:
    assert told(person=Whose("applicant", 1)).change == "new"


def test_people_who_are_no_staff_are_never_told_of() -> None:
    assert told(person=Whose("non_staff", 1)) == Next("withheld", code="O101", waits_for="person")


@pytest.mark.parametrize("state", ["leaver", "out_of_scope"])
def test_leavers_are_told_of_unless_the_trust_withholds_them(state: Any) -> None:
    assert told(person=Whose(state, 1)).change == "new"
    assert told(person=Whose(state, 1), leavers="withhold") == Next("withheld", code="O102", waits_for="person")


def test_a_person_of_whom_esr_told_nothing_is_waited_for() -> None:
    assert told(person=None) == Next("waiting", code="O104", waits_for="person")


def test_what_esr_came_to_hold_by_itself_is_not_sent() -> None:
    assert told(wanted=Wanted(FIRE, held_by_esr=True)) == Next("held_by_esr", code="O103")


def test_what_was_sent_is_not_held_by_esr_itself_although_its_mirror_came_back() -> None:
    assert told([item()], Wanted(LATER, held_by_esr=True)).change == "correction"


def test_a_completion_is_held_back_for_the_days_of_the_trust() -> None:
    days: dict[str, Any] = {"hold_days": 8}
    assert told(**days) == Next("waiting", waits_for="day", look_on=date(2026, 3, 11))
    assert told(day=date(2026, 3, 11), **days).change == "new"
    assert told([item()], Wanted(LATER), **days).change == "correction"


# Without an answer


@pytest.mark.parametrize("state", ["written", "sent"])
def test_what_esr_has_not_answered_is_waited_for_whatever_is_wanted_now(state: Any) -> None:
    for wanted in (WANTED, Wanted(LATER), Wanted(FIRE, stands=False)):
        assert told([item(state=state)], wanted) == Next(state, waits_for="answer")


def test_what_is_overdue_is_sent_again_after_some_days_with_its_reference_and_content() -> None:
    assert told([overdue(2)]) == Next("overdue", waits_for="answer", look_on=DAY + timedelta(days=1))
    assert told([overdue(3)], Wanted(LATER)) == Next("waiting", "resend", content=FIRE, reference="R1")


def test_what_was_sent_again_often_enough_is_a_case_for_an_operator() -> None:
    twice = [overdue(9), overdue(6, change="resend"), overdue(3, change="resend")]
    assert told(twice[:2]).change == "resend"
    assert told(twice) == Next("overdue", code="O201", waits_for="operator")
    assert told(twice[:1], resends=0).waits_for == "operator"
    assert told(twice[:1], resend_after_days=0).waits_for == "operator"


def test_an_operator_has_it_sent_again_at_once() -> None:
    asked = Wanted(FIRE, asked=True)
    assert told([item(state="sent")], asked).change == "resend"
    assert told([refused("F005")], asked).change == "resend"
    assert told([item(state="sent", change="withdrawal")], asked).change == "withdrawal"
    assert told([item()], asked) == Next("confirmed")


def test_a_late_answer_to_the_first_sending_settles_what_was_sent_again() -> None:
    items = [item(), item(change="resend", state="sent")]
    assert told(items) == Next("confirmed")
    assert told(items, Wanted(FIRE, stands=False)).change == "withdrawal"


def test_a_refusal_of_the_first_sending_waits_for_the_answer_to_the_second() -> None:
    assert told([refused("B202"), item(change="resend", state="sent")], person=Whose("employee", 5)) == Next(
        "sent", waits_for="answer"
    )


def test_what_was_given_up_stays_given_up_until_esr_loads_it_after_all() -> None:
    given = Wanted(FIRE, given_up=True)
    assert told([overdue(30)], given) == Next("settled", code="O202")
    assert told([refused("B202")], given, Whose("employee", 7)) == Next("settled", code="O202")
    assert told([refused("B204")], given) == Next("settled", code="O202")
    assert told([item()], given) == Next("confirmed")


# Refused


def test_a_refusal_for_the_person_is_sent_again_once_there_is_news_of_them() -> None:
    renamed = Whose("employee", 1, {"last_name": "Other"})
    for code in ("B201", "B202", "B203", "B211"):
        assert told([refused(code)]) == Next("rejected", code=code, waits_for="person")
        assert told([refused(code)], person=Whose("employee", 2, FERN.columns)).change == "resend"
        assert told([refused(code)], person=renamed) == Next("waiting", "resend", content=FIRE, reference="R1")


def test_a_refusal_for_the_content_waits_for_other_content_and_goes_under_a_new_reference() -> None:
    other = Content("5009", "Fire", "2026-03-03", "2027-03-03", method="e-Learning")
    assert told([refused("B204")], person=Whose("employee", 9)) == Next("rejected", code="B204", waits_for="content")
    assert told([refused("B204")], Wanted(other)) == Next("waiting", "new", content=other)
    renamed = Content("5001", "Fire Safety", "2026-03-03", "2027-03-03", method="e-Learning")
    assert told([refused("B205")], Wanted(renamed)) == Next("waiting", "new", content=renamed)


def test_a_refused_correction_with_other_content_is_a_correction_of_what_still_stands() -> None:
    items = [item(), refused("B204", reference="R2", change="correction", replaces="R1", content=LATER)]
    other = Content("5009", "Fire", "2026-03-03")
    assert told(items, Wanted(LATER)) == Next("rejected", code="B204", waits_for="content")
    assert told(items, Wanted(other)) == Next("waiting", "correction", content=other, replaces="R1")
    assert told(items) == Next("confirmed")


def test_a_day_that_is_yet_to_come_for_esr_is_waited_for_once() -> None:
    soon = Content("5001", "Fire", DAY.isoformat())
    early = refused("B206", content=soon)
    tomorrow = DAY + timedelta(days=1)
    assert told([early], Wanted(soon)) == Next("rejected", code="B206", waits_for="day", look_on=tomorrow)
    assert told([early], Wanted(soon), day=tomorrow).change == "resend"
    again = refused("B206", content=soon, change="resend", written_on=tomorrow)
    assert told([early, again], Wanted(soon), day=tomorrow).waits_for == "operator"


def test_a_refusal_that_settles_it_is_the_end() -> None:
    assert told([refused("B209")]) == Next("rejected", code="B209")


@pytest.mark.parametrize("code", ["F005", "F006", "B999"])
def test_a_refused_file_and_a_code_nobody_knows_are_cases_for_an_operator(code: str) -> None:
    assert told([refused(code)], person=Whose("employee", 9)) == Next("rejected", code=code, waits_for="operator")


def test_a_correction_of_what_esr_says_it_never_loaded_is_sent_as_new() -> None:
    items = [item(), refused("B213", reference="R2", change="correction", replaces="R1", content=LATER)]
    assert told(items, Wanted(LATER)) == Next("waiting", "new", content=LATER)


# What stands with ESR


def test_what_a_repeated_correction_replaces_is_taken_back_as_esr_may_have_read_it_as_new() -> None:
    items = [
        item(),
        overdue(4, reference="R2", change="correction", replaces="R1", content=LATER),
        item(reference="R2", change="resend", replaces="R1", content=LATER, code="B208", esr_record_id="E9"),
    ]
    assert told(items, Wanted(LATER)) == Next("waiting", "withdrawal", content=FIRE, reference="R1")
    assert told([*items, refused("B213", change="withdrawal")], Wanted(LATER)) == Next("confirmed", code="B208")


def test_the_same_held_in_the_record_of_an_earlier_reference_stands_under_that_one() -> None:
    blank = Content("5001", "Fire", "2026-03-03", "")
    items = [
        item(content=blank, esr_record_id="E1"),
        overdue(4, reference="R2", change="correction", replaces="R1"),
        item(reference="R2", change="resend", replaces="R1", code="B208", esr_record_id="E1"),
    ]
    assert loaded(items) == {"R1": FIRE}


def test_a_newer_one_held_is_nothing_loaded_and_yet_done() -> None:
    assert loaded([item(code="B209")]) == {}
    assert told([item(code="B209")]) == Next("confirmed", code="B209")
    assert told([item(code="B209")], Wanted(FIRE, stands=False)) == Next("withdrawn")


def test_how_often_something_was_sent_without_an_answer() -> None:
    sent = item(state="sent")
    assert unanswered([]) == 0
    assert unanswered([sent, replace(sent, change="resend")]) == 2
    assert unanswered([refused("B202"), replace(sent, change="resend")]) == 1
    assert unanswered([item(), sent]) == 0


# All of them against an ESR


CONTENTS = [
    Content(competence, "n", day, until)
    for competence in ("1", "2")
    for day in ("2026-03-01", "2026-03-05")
    for until in ("", "2027-03-03")
]


@dataclass
class Esr:
    """Loads, refuses, and keeps its element of each reference."""

    elements: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    refs: dict[str, str | None] = field(default_factory=dict)
    """Element of each reference it ever loaded; None: taken back."""
    said: dict[str, tuple[str, ...]] = field(default_factory=dict)
    knows_person: bool = True
    made: int = 0

    def judge(self, one: Item) -> tuple[str, str, str]:
        """Return state, code and record id."""
        held = self.refs.get(one.reference)
        if one.change == "withdrawal":
            return self._take_back(one.reference)
        claim = one.content.achievement
        assert self.said.setdefault(one.reference, claim) == claim, "a reference with two contents"
        assert (one.reference in self.refs) <= (one.change == "resend"), "a repeat without its mark"
        if one.reference in self.refs:
            return ("confirmed", "B208", held) if held is not None else ("rejected", "R104", "")
        if not self.knows_person:
            return "rejected", "B201", ""
        if one.change == "correction":
            if self._take_back(one.replaces)[0] == "rejected":
                return "rejected", "B213", ""
        elif known := self._known(claim):
            return known
        self.made += 1
        self.elements[f"E{self.made}"] = (claim[0], claim[1], claim[2])
        self.refs[one.reference] = f"E{self.made}"
        return "confirmed", "", f"E{self.made}"

    def _take_back(self, reference: str) -> tuple[str, str, str]:
        held = self.refs.get(reference)
        if held is None:
            return "rejected", "B213", ""
        del self.elements[held]
        self.refs[reference] = None
        return "confirmed", "", held

    def _known(self, claim: tuple[str, ...]) -> tuple[str, str, str] | None:
        mine = {key: said for key, said in self.elements.items() if said[0] == claim[0]}
        same = [key for key, said in mine.items() if said == claim]
        newer = [key for key, said in mine.items() if said[1] > claim[1]]
        if same:
            return "confirmed", "B208", same[0]
        return ("confirmed", "B209", newer[0]) if newer else None


@dataclass
class World:
    """One completion, an ESR, and what is on the way between them."""

    dice: Random
    esr: Esr = field(default_factory=Esr)
    items: list[Item] = field(default_factory=list)
    answers: list[tuple[int, tuple[str, str, str]]] = field(default_factory=list)
    wanted: Wanted = field(default_factory=lambda: Wanted(CONTENTS[0]))
    revision: int = 1
    day: date = DAY
    made: int = 0
    last: Next = field(default_factory=lambda: Next("waiting"))

    def night(self, *, faults: bool) -> None:
        self.day += timedelta(days=1)
        for place, one in enumerate(self.items):
            if one.open and one.overdue_since is None and self.day > one.written_on + timedelta(days=1):
                self.items[place] = replace(one, overdue_since=self.day)
        self.last = told(self.items, self.wanted, Whose("employee", self.revision), self.day)
        self.wanted = replace(self.wanted, asked=False)
        if self.last.change is None:
            return
        self.made += not self.last.reference
        sent = Item(
            self.last.reference or f"R{self.made}",
            self.last.change,
            self.last.content,
            "sent",
            replaces=self.last.replaces,
            written_on=self.day,
            person_revision=self.revision,
        )
        self.items.append(sent)
        fate = self.dice.choice(("answered", "answered", "silent", "lost", "refused")) if faults else "answered"
        if fate == "refused":
            self.answers.append((len(self.items) - 1, ("rejected", "F006", "")))
        elif fate != "lost":
            said = self.esr.judge(sent)
            if fate == "answered" or self.dice.random() < 0.5:
                self.answers.append((len(self.items) - 1, said))

    def answer(self) -> None:
        if self.answers:
            chosen = self.dice.choice(self.answers)
            if self.dice.random() < 0.8:
                self.answers.remove(chosen)
            place, (state, code, record) = chosen
            self.items[place] = replace(self.items[place], state=state, code=code, esr_record_id=record)  # type: ignore[arg-type]

    def happen(self) -> None:
        what = self.dice.randrange(10)
        if what < 4:
            self.night(faults=True)
        elif what < 7:
            self.answer()
        elif what == 7:
            self.wanted = replace(self.wanted, content=self.dice.choice(CONTENTS), stands=self.dice.random() < 0.7)
        elif what == 8:
            self.esr.knows_person = self.dice.random() < 0.7
            self.revision += 1
        else:
            self.wanted = replace(self.wanted, asked=True)

    def quiet(self) -> None:
        """Nothing goes wrong any more, and an operator looks at every case."""
        self.esr.knows_person = True
        self.revision += 1
        for _ in range(60):
            while self.answers:
                self.answer()
            self.night(faults=False)
            if self.last.waits_for == "operator":
                self.wanted = replace(self.wanted, asked=True)


@given(st.integers(0, 10**9), st.integers(1, 60))
def test_whatever_is_lost_late_doubled_or_refused_every_completion_ends_as_it_should_stand(
    seed: int, steps: int
) -> None:
    world = World(Random(seed))
    for _ in range(steps):
        world.happen()
    world.quiet()
    mine = [world.esr.elements[key] for key in world.esr.refs.values() if key is not None]
    if world.wanted.stands:
        assert (world.last.state, world.last.change, mine) == ("confirmed", None, [world.wanted.content.achievement])
    else:
        assert (world.last.state, mine) == ("withdrawn", [])


@given(st.integers(0, 10**9), st.integers(1, 60))
def test_a_decision_is_the_same_whenever_it_is_taken_again(seed: int, steps: int) -> None:
    world = World(Random(seed))
    for _ in range(steps):
        world.happen()
    person = Whose("employee", world.revision)
    first = told(world.items, world.wanted, person, world.day)
    assert told(world.items, world.wanted, person, world.day) == first
    assert (first.change is None) or (first.content in CONTENTS)
