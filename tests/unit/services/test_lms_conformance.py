"""What every driver that speaks to a real product promises, run against each on the site it was made for."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.outbound.lms.port import Account, Answer, JobAssignment, ProfileField, Sought
from shared.errors import LmsUnavailableError
from tests.unit.services.rig_moodle import moodle_rig
from tests.unit.services.rig_totara import graphql_rig, hr_import_rig
from tests.unit.services.rigs import Rig

FERN = Account(
    "999-9000001",
    "999-9000001",
    "Fern",
    "O'Placeholder",
    "fern@trust.example",
    "TEMP",
    middle_names="Ann",
    fields=(ProfileField("accounttype", "TEMP", "menu"), ProfileField("ninumber", "QQ123456A")),
)
ZOE = Account("999-9000002", "999-9000002", "Zo\u00eb", "Mockford", "zoe@trust.example", "PERM")
HIRED = replace(
    FERN,
    username="29000001",
    account_type="PERM",
    fields=(ProfileField("accounttype", "PERM", "menu"), ProfileField("ninumber", "QQ123456A")),
)
DRIVERS = ("moodle-rest", "totara-graphql", "totara-hr-import")


@pytest.fixture(params=DRIVERS)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "moodle-rest":
        async with moodle_rig(tmp_path) as made:
            assert await made.accounts.check() == []
            yield made
        return
    made = graphql_rig(tmp_path) if request.param == "totara-graphql" else hr_import_rig(tmp_path)
    assert await made.accounts.check() == []
    yield made
    await made.accounts.close()


async def outcome(rig: Rig, answers: list[Answer]) -> list[str]:
    """What became of each, in the end."""
    await rig.settle()
    if rig.answers_at_once:
        assert {answer.status for answer in answers} <= {"applied", "rejected"}
        return [answer.status for answer in answers]
    told = {one.answer.status for one in await rig.accounts.news()}
    await rig.accounts.noted()
    assert told <= {"applied", "rejected"}
    return ["applied" if answer.taken and "rejected" not in told else "rejected" for answer in answers]


async def test_a_site_that_is_set_up_as_described_has_no_findings(rig: Rig) -> None:
    assert await rig.accounts.check() == []


async def test_an_account_is_made_as_it_was_asked_for(rig: Rig) -> None:
    assert await outcome(rig, await rig.accounts.ensure_account([FERN])) == ["applied"]
    seen = rig.seen(FERN.idnumber)
    assert seen is not None
    assert (seen.username, seen.first_name, seen.last_name, seen.email) == (
        FERN.username,
        FERN.first_name,
        FERN.last_name,
        FERN.email,
    )
    assert (seen.fields["accounttype"], seen.fields["ninumber"], seen.suspended) == ("TEMP", "QQ123456A", False)


async def test_names_are_kept_letter_by_letter(rig: Rig) -> None:
    await outcome(rig, await rig.accounts.ensure_account([ZOE]))
    seen = rig.seen(ZOE.idnumber)
    assert seen is not None
    assert seen.first_name == "Zo\u00eb"


async def test_asked_again_nothing_is_made_twice(rig: Rig) -> None:
    before = rig.number_of_accounts()
    await outcome(rig, await rig.accounts.ensure_account([FERN]))
    await outcome(rig, await rig.accounts.ensure_account([FERN]))
    assert rig.number_of_accounts() == before + 1


async def test_hiring_changes_the_same_account(rig: Rig) -> None:
    before = rig.number_of_accounts()
    await outcome(rig, await rig.accounts.ensure_account([FERN]))
    assert await outcome(rig, await rig.accounts.update_account([HIRED])) == ["applied"]
    seen = rig.seen(FERN.idnumber)
    assert seen is not None
    assert (seen.username, seen.fields["accounttype"]) == ("29000001", "PERM")
    assert rig.number_of_accounts() == before + 1


async def test_suspending_and_reactivating_can_be_repeated_and_keep_everything(rig: Rig) -> None:
    await outcome(rig, await rig.accounts.ensure_account([FERN]))
    for _ in range(2):
        assert await outcome(rig, await rig.accounts.suspend([FERN.idnumber])) == ["applied"]
        closed = rig.seen(FERN.idnumber)
        assert closed is not None
        assert (closed.suspended, closed.last_name) == (True, FERN.last_name)
    for _ in range(2):
        assert await outcome(rig, await rig.accounts.reactivate([FERN.idnumber])) == ["applied"]
        opened = rig.seen(FERN.idnumber)
        assert opened is not None
        assert (opened.suspended, opened.email) == (False, FERN.email)


async def test_one_that_is_refused_does_not_stop_the_others(rig: Rig) -> None:
    impossible = replace(ZOE, email="no address at all")
    answers = await rig.accounts.ensure_account([impossible, FERN])
    await rig.settle()
    assert answers[0].status == "rejected"
    assert answers[0].code
    assert rig.seen(FERN.idnumber) is not None
    assert rig.seen(ZOE.idnumber) is None


@pytest.mark.parametrize(
    "wrong",
    [
        replace(ZOE, username=""),
        replace(ZOE, username="u" * 101),
        replace(ZOE, first_name=" "),
        replace(ZOE, last_name="n" * 101),
        replace(ZOE, email=""),
        replace(ZOE, idnumber="9" * 256),
        replace(ZOE, last_name="Nul\0l"),
    ],
    ids=["no user name", "long user name", "blank name", "long name", "no address", "long key", "NUL"],
)
async def test_what_a_site_would_spoil_is_refused_before_it_is_sent(rig: Rig, wrong: Account) -> None:
    before = rig.number_of_accounts()
    (answer,) = await rig.accounts.ensure_account([wrong])
    await rig.settle()
    assert (answer.status, answer.code != "") == ("rejected", True)
    assert rig.number_of_accounts() == before


async def test_an_empty_batch_has_no_answers(rig: Rig) -> None:
    assert await rig.accounts.ensure_account([]) == []
    assert await rig.accounts.update_account([]) == []
    assert await rig.accounts.suspend([]) == []
    assert await rig.accounts.reactivate([]) == []
    assert await rig.accounts.candidates([]) == []


async def test_while_the_site_is_away_nothing_is_lost_and_nothing_is_refused(rig: Rig) -> None:
    rig.outage(True)
    with pytest.raises(LmsUnavailableError):
        await rig.accounts.ensure_account([FERN])
    rig.outage(False)
    assert await outcome(rig, await rig.accounts.ensure_account([FERN])) == ["applied"]


async def test_a_reply_that_is_lost_leaves_the_outcome_unknown_and_makes_nobody_twice(rig: Rig) -> None:
    if rig.lose_next_reply is None:
        assert not rig.answers_at_once  # a channel of files has no replies that could be lost
        return
    before = rig.number_of_accounts()
    rig.lose_next_reply()
    (lost,) = await rig.accounts.ensure_account([FERN])
    assert lost.status == "unknown"
    await rig.settle()
    (found,) = await rig.accounts.ensure_account([FERN])
    assert found.status == "applied"
    assert rig.number_of_accounts() == before + 1


async def test_an_account_of_other_making_is_found_and_can_be_taken_over(rig: Rig) -> None:
    if not rig.answers_at_once:
        assert await rig.accounts.candidates([Sought("999-9000001", last_name="Mockford")]) == [[]]
        return
    await rig.accounts.ensure_account([replace(ZOE, idnumber="by-hand")])
    sought = Sought("999-9000002", username=ZOE.username, email=ZOE.email.upper(), last_name="Mockford")
    ((found,),) = await rig.accounts.candidates([sought])
    assert (found.idnumber, found.first_name) == ("by-hand", "Zo\u00eb")
    assert (await rig.accounts.adopt(found.lms_id, "999-9000002")).taken
    assert (await rig.accounts.adopt(found.lms_id, "999-9000002")).taken
    seen = rig.seen("999-9000002")
    assert seen is not None
    assert seen.lms_id == found.lms_id


async def test_an_account_that_was_taken_over_can_be_given_back(rig: Rig) -> None:
    if not rig.answers_at_once:
        return
    await rig.accounts.ensure_account([replace(ZOE, idnumber="by-hand")])
    made = rig.seen("by-hand")
    assert made is not None
    assert (await rig.accounts.adopt(made.lms_id, ZOE.idnumber)).taken
    assert (await rig.accounts.adopt(made.lms_id, "by-hand", instead_of=ZOE.idnumber)).taken
    assert (rig.seen("by-hand"), rig.seen(ZOE.idnumber)) == (made, None)


async def test_a_user_name_that_somebody_else_has_is_refused_by_that_name(rig: Rig) -> None:
    await outcome(rig, await rig.accounts.ensure_account([ZOE]))
    clash = replace(FERN, username=ZOE.username)
    (answer,) = await rig.accounts.ensure_account([clash])
    await rig.settle()
    if rig.answers_at_once:
        assert answer == Answer("rejected", "username-taken")
    else:
        refused = [one for one in await rig.accounts.news() if one.answer.status == "rejected"]
        assert [(one.key, one.answer.code) for one in refused] == [(FERN.idnumber, "username-taken")]
    assert rig.seen(FERN.idnumber) is None


# Job assignments

PORTER = JobAssignment("999-41", FERN.idnumber, "Porter", start="2026-01-05", organisation="O1", position="P1")


async def test_a_job_is_made_changed_and_taken_away(rig: Rig) -> None:
    if rig.jobs is None:
        return
    await outcome(rig, await rig.accounts.ensure_account([FERN]))
    assert (await rig.jobs.put_job_assignment([PORTER]))[0].taken
    await rig.settle()
    assert rig.seen_jobs(FERN.idnumber) == [PORTER]
    assert (await rig.jobs.put_job_assignment([replace(PORTER, full_name="Head Porter")]))[0].taken
    await rig.settle()
    assert [job.full_name for job in rig.seen_jobs(FERN.idnumber)] == ["Head Porter"]
    for _ in range(2):
        assert (await rig.jobs.remove_job_assignment([PORTER]))[0].taken
        await rig.settle()
    assert rig.seen_jobs(FERN.idnumber) == []


async def test_a_job_has_the_manager_it_names(rig: Rig) -> None:
    if rig.jobs is None:
        return
    await outcome(rig, await rig.accounts.ensure_account([FERN, ZOE]))
    head = JobAssignment("999-42", ZOE.idnumber, "Head Porter", start="2026-01-05")
    managed = replace(PORTER, manager=ZOE.idnumber, manager_job="999-42")
    assert (await rig.jobs.put_job_assignment([head]))[0].taken
    await rig.settle()
    assert (await rig.jobs.put_job_assignment([managed]))[0].taken
    await rig.settle()
    assert rig.seen_jobs(FERN.idnumber) == [managed]
