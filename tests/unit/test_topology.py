"""Who hears what: every line has one owner, and what nobody can hear does not exist."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.esr import load_profile
from shared.events import TYPES
from shared.messaging.topology import DEAD, EVENTS, EXCHANGES, LMS, OUTCOMES, QUEUES, RECORDS, Topology, topic_matches

TOPOLOGY = Topology()
SERVICES = {"ingest", "people", "competency", "outbound", "confirmations", "console"}
PROFILES = ("esr-cstf", "esr-go-gdw")


def incoming(profile_name: str) -> set[str]:
    """Return the routing keys of the records that ESR sends, by a built-in profile."""
    profile = load_profile(profile_name)
    records = {name for kind in profile.kinds.values() if kind.flow == "esr_to_lms" for name in kind.records}
    return {profile.routing[name] for name in records if name in profile.routing}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_record_of_esr_has_exactly_one_owner(profile: str) -> None:
    owners = {key: TOPOLOGY.routes(RECORDS, key) for key in incoming(profile)}
    assert len(owners) >= 6
    assert {key: queues for key, queues in owners.items() if len(queues) != 1} == {}


def test_a_completion_from_the_lms_has_exactly_one_owner() -> None:
    assert TOPOLOGY.routes(LMS, "completion.upsert") == ("competency.records",)


def test_confirmations_hears_what_was_sent() -> None:
    assert "confirmations.events" in TOPOLOGY.routes(EVENTS, "outbound.CompletionSent")


def test_whoever_acts_on_whole_files_hears_that_one_adds_up() -> None:
    heard = {"competency.events", "confirmations.events", "outbound.events"}
    assert set(TOPOLOGY.routes(EVENTS, "ingest.FileCompleted")) == heard


def test_those_who_count_hear_every_outcome() -> None:
    for service in ("people", "competency", "confirmations"):
        assert set(TOPOLOGY.routes(OUTCOMES, f"{service}.outcomes")) == {"ingest.outcomes", "console.outcomes"}


@pytest.mark.parametrize("name", sorted(TYPES))
def test_no_service_hears_its_own_events(name: str) -> None:
    speaker = name.partition(".")[0]
    assert speaker not in {TOPOLOGY.queue(queue).owner for queue in TOPOLOGY.routes(EVENTS, name)}


@pytest.mark.parametrize("name", sorted(name for name in TYPES if name.startswith(("people.", "competency."))))
def test_what_people_and_competency_say_reaches_outbound(name: str) -> None:
    assert "outbound.events" in TOPOLOGY.routes(EVENTS, name)


def test_every_queue_has_an_owner_that_exists_and_a_dead_letter_queue_of_its_own() -> None:
    assert {queue.owner for queue in QUEUES} <= SERVICES
    assert len({queue.dead for queue in QUEUES} | {queue.name for queue in QUEUES}) == 2 * len(QUEUES)


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_dead_letter_goes_to_the_dead_letter_queue_it_is_addressed_to(queue: object) -> None:
    dead = queue.dead  # type: ignore[attr-defined]
    assert TOPOLOGY.routes(DEAD, dead) == (dead,)


def test_every_binding_is_to_an_exchange_that_is_declared() -> None:
    assert {binding.exchange for queue in QUEUES for binding in queue.bindings} <= set(EXCHANGES)


def test_what_nothing_is_bound_to_goes_nowhere() -> None:
    assert TOPOLOGY.routes(RECORDS, "vacancy.upsert") == ()
    assert TOPOLOGY.routes(DEAD, "people.nothing.dead") == ()
    assert TOPOLOGY.routes("elsewhere", "person.upsert") == ()


@pytest.mark.parametrize("profile", ["esr-cstf", "esr-go-gdw"])
def test_every_record_that_a_profile_names_reaches_one_queue_and_is_bound_by_its_whole_key(profile: str) -> None:
    kinds = set(load_profile(profile).routing.values())
    assert kinds
    bound = {key for queue in QUEUES for binding in queue.bindings for key in TOPOLOGY.keys(binding)}
    assert kinds <= bound
    assert {len(TOPOLOGY.routes(RECORDS, kind)) + len(TOPOLOGY.routes(LMS, kind)) for kind in kinds} == {1}


def test_records_go_through_direct_exchanges_and_nothing_else_does() -> None:
    assert {name for name in EXCHANGES if TOPOLOGY.kind(name) == "direct"} == {RECORDS, LMS}
    assert TOPOLOGY.routes(RECORDS, "person.rename") == ()


def test_asking_twice_gives_the_same_answer() -> None:
    assert [TOPOLOGY.routes(EVENTS, "people.EmployeeHired") for _ in range(2)] == [
        ("competency.events", "outbound.events")
    ] * 2


def test_a_queue_of_another_release_is_not_known() -> None:
    with pytest.raises(KeyError):
        TOPOLOGY.queue("people.everything")


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("person.*", "person.upsert", True),
        ("person.*", "person", False),
        ("person.*", "person.upsert.v2", False),
        ("person.*", "personal.upsert", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#.z", "a.z", True),
        ("a.#.z", "a.b.c.z", True),
        ("a.#.z", "a.b.c", False),
        ("*", "", True),
        ("*.b", "a.b", True),
        ("a", "a.b", False),
    ],
)
def test_topics_match_as_in_amqp(pattern: str, key: str, matches: bool) -> None:
    assert topic_matches(pattern, key) is matches


def as_expression(pattern: list[str]) -> str:
    """Return the same pattern as a regular expression over words that each end in a full stop."""
    words = {"*": r"[^.]+\.", "#": r"(?:[^.]+\.)*"}
    return "".join(words.get(word, re.escape(word) + r"\.") for word in pattern)


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5),
)
def test_topics_match_as_the_same_regular_expression_does(pattern: list[str], words: list[str]) -> None:
    expected = re.fullmatch(as_expression(pattern), "".join(f"{word}." for word in words)) is not None
    assert topic_matches(".".join(pattern), ".".join(words)) is expected
