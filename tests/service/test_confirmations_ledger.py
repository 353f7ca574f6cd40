"""The ledger of completions: from the LMS's word to where each stands; sums by file and night; refusals in words."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from typing import Any

import pytest

from services.confirmations import figures, store
from services.confirmations.ledger import ledger
from shared import events
from shared.config import TrustConfig
from tests.service.confirmations_rig import (
    OTHER,
    SECOND,
    SENT,
    VPD,
    Rig,
    answer,
    cmc,
    complete,
    head,
    refusal,
    rigged,
    said_event,
    sent,
)

NONE = events.Cause("", "", 0)
LATER = "2026-03-04T18:00:00+00:00"


@pytest.fixture
async def rig(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[Rig]:
    async with rigged(module_database, passwords) as (one,):
        yield one


def completed(key: str = "K-R1", revision: int = 1, person: str = "7", **said: Any) -> Any:
    about = {"certification": "FIRE", "competence_id": "100", "competence_name": "NHS|CSTF|Fire|",
             "achieved_on": "2026-03-01", "expires_on": "2028-03-01", "reason": "the LMS says so"}  # fmt: skip
    cause = events.Cause("lms", "done.csv", 4)
    return said_event(
        events.CertificationCompleted(
            vpd=VPD, cause=cause, person_id=person, key=key, revision=revision, **(about | said)
        )
    )


def withheld(code: str = "LEFT", revision: int = 1) -> Any:
    return said_event(
        events.CompletionWithheld(vpd=VPD, cause=NONE, person_id="7", key="K-R1", revision=revision, code=code)
    )


def withdrawn(revision: int = 2) -> Any:
    return said_event(
        events.CertificationWithdrawn(vpd=VPD, cause=NONE, person_id="7", key="K-R1", revision=revision, reason="reset")
    )


async def page(rig: Rig, after: str = "", limit: int = 50, **asked: str) -> dict[str, Any]:
    trust = TrustConfig.model_validate({"vpd": VPD})
    found: dict[str, Any] = await rig.read(lambda one: ledger(one, VPD, asked, trust, after, limit))
    return found


async def only(rig: Rig, **asked: Any) -> dict[str, Any]:
    (found,) = (await page(rig, **asked))["completions"]
    return dict(found)


async def test_a_completion_is_told_from_the_lms_to_esrs_answer_and_what_was_found_later(rig: Rig) -> None:
    missing = events.AchievementMissing(
        vpd=VPD, cause=events.Cause("feed", "CSF.DAT", 9), person_id="7", key="K-R1", reference="R1",
        competence_id="100", achieved_on="2026-03-01", difference="missing", held="nothing",
    )  # fmt: skip
    await rig.hear(
        completed(), sent("R1"), head(), answer(message_type="WARNING", message_code="B208", esr_record_id="12"),
        said_event(missing),
    )  # fmt: skip
    found = await only(rig, person_id="7")
    assert (found["person_id"], found["key"]) == ("7", "K-R1")
    assert found["completed"] == {
        "stream": "lms", "file": "done.csv", "certification": "FIRE", "competence_id": "100",
        "competence_name": "NHS|CSTF|Fire|", "achieved_on": "2026-03-01", "expires_on": "2028-03-01",
        "reason": "the LMS says so", "revision": 1,
    }  # fmt: skip
    (item,) = found["items"]
    assert (item["sent"]["sent_file"], item["sent"]["position"], item["sent"]["change"]) == (SENT, 1, "new")
    assert (item["due_at"], item["state"], item["esr_record_id"]) == ("2026-03-04T10:00:00+00:00", "confirmed", "12")
    assert item["answer"] == {"file": cmc(1), "line": 3}
    assert [(one["file"], one["line"], one["code"], one["level"]) for one in item["answers"]] == [
        (cmc(1), 3, "B208", "WARNING")
    ]
    assert found["differences"] == [{"file": "CSF.DAT", "reference": "R1", "difference": "missing", "held": "nothing"}]
    assert found["now"]["state"] == "confirmed"
    assert "operator compares" in found["now"]["next"]


async def test_where_a_completion_stands_at_each_step_of_its_life(rig: Rig) -> None:
    async def now() -> tuple[str, str]:
        stands = (await only(rig, key="K-R1"))["now"]
        assert stands["next"]
        return stands["state"], stands["code"]

    await rig.hear(withheld())
    assert await now() == ("withheld", "LEFT")
    await rig.hear(completed(revision=2))
    assert await now() == ("waiting", "")
    await rig.hear(sent("R1"))
    assert await now() == ("open", "")
    rig.clock.set(datetime.fromisoformat("2026-03-04T10:00"))
    await rig.look()
    assert await now() == ("overdue", "")
    await rig.hear(head(), refusal(code="B201"))
    assert await now() == ("refused", "B201")
    assert "resend" in (await only(rig, key="K-R1"))["now"]["next"]
    await rig.hear(sent("R1", file=OTHER, change="resend", sent_at=LATER), head(file=OTHER, number=SECOND))
    await rig.hear(answer(number=SECOND))
    assert await now() == ("confirmed", "")
    await rig.hear(withdrawn(3))
    assert "withdrawal" in (await only(rig, key="K-R1"))["now"]["next"]
    assert (await only(rig, key="K-R1"))["withdrawn"] == {"reason": "reset"}
    third = "CS_991_CST_CMP_20260305_00000003.DAT"
    await rig.hear(sent("R1", file=third, change="withdrawal", sent_at="2026-03-05T18:00:00+00:00"))
    await rig.hear(head(file=third, number=3), answer(number=3, confirmed_record_type="TCD"))
    assert await now() == ("withdrawn", "")


async def test_older_news_of_a_completion_never_overwrites_newer(rig: Rig) -> None:
    await rig.hear(
        completed(revision=3, achieved_on="2026-03-03"), completed(revision=2), withdrawn(2), withheld("A", 2)
    )
    await rig.hear(withheld("B", 1))
    found = await only(rig, key="K-R1")
    assert (found["completed"]["achieved_on"], found["withdrawn"]) == ("2026-03-03", None)
    assert (found["withheld"], found["now"]["state"]) == ({"code": "A"}, "waiting")


async def test_it_is_asked_by_person_key_reference_and_file_and_in_pages(rig: Rig) -> None:
    await rig.together([sent(f"R{one}", one, person_id=str(one % 3)) for one in range(1, 8)])
    await rig.hear(completed("K-never-sent", person="2"), sent("R9", file=OTHER, person_id="9"))
    assert [one["key"] for one in (await page(rig, person_id="1"))["completions"]] == ["K-R1", "K-R4", "K-R7"]
    assert (await only(rig, reference="R5"))["person_id"] == "2"
    assert (await only(rig, sent_file=OTHER))["key"] == "K-R9"
    assert (await only(rig, key="K-never-sent"))["items"] == []
    keys: list[str] = []
    after = ""
    while True:
        found = await page(rig, after, limit=2)
        keys += [one["key"] for one in found["completions"]]
        after = found["next"]
        if not after:
            break
    assert keys == ["K-R3", "K-R6", "K-R1", "K-R4", "K-R7", "K-R2", "K-R5", "K-never-sent", "K-R9"]
    with pytest.raises(ValueError, match="page"):
        await page(rig, "odd")


async def test_files_and_nights_add_up_and_name_what_is_open(rig: Rig) -> None:
    await rig.hear(sent("R1"), sent("R2", 2), sent("R3", 3), sent("R4", file=OTHER, sent_at=LATER))
    await rig.hear(head(status="PARTIAL"), answer(), refusal("R2", 4, position=2), complete())
    rig.clock.set(datetime.fromisoformat("2026-03-04T10:00"))
    await rig.look()
    found, last = await rig.read(lambda one: figures.sent_files(one, VPD))
    sums = ("file", "sent", "confirmed", "refused", "open", "overdue", "named")
    assert [tuple(one[name] for name in sums) for one in found] == [
        (OTHER, 1, 0, 0, 1, 0, ["R4"]),
        (SENT, 3, 1, 1, 1, 1, ["R3"]),
    ]
    assert (found[1]["answers"], last) == ([{"file": cmc(1), "line": 2, "status": "PARTIAL", "code": ""}], "")
    first, more = await rig.read(lambda one: figures.sent_files(one, VPD, "", 1))
    rest, _ = await rig.read(lambda one: figures.sent_files(one, VPD, more, 1))
    assert [one["file"] for one in (*first, *rest)] == [OTHER, SENT]
    alone, _ = await rig.read(lambda one: figures.sent_files(one, VPD, only=SENT))
    assert [one["file"] for one in alone] == [SENT]
    nights = await rig.read(lambda one: figures.nights(one, VPD))
    assert [(one["day"], one["files"], one["sent"], one["open"], one["named"]) for one in nights] == [
        ("2026-03-04", 1, 1, 1, ["R4"]),
        ("2026-03-03", 1, 3, 1, ["R3"]),
    ]
    only_one = await rig.read(lambda one: figures.nights(one, VPD, until=date(2026, 3, 3)))
    assert [one["day"] for one in only_one] == ["2026-03-03"]
    assert await rig.read(lambda one: store.count_by_state(one, VPD)) == {"open": 2, "confirmed": 1, "rejected": 1}


async def test_refusals_are_grouped_by_code_with_plain_words_and_what_follows(rig: Rig) -> None:
    await rig.hear(sent("R1"), sent("R2", 2), sent("R3", 3), head(status="PARTIAL"))
    await rig.hear(refusal(), refusal("R2", 4, position=2), refusal("R3", 5, code="Z999", position=3))
    await rig.hear(sent("R1", file=OTHER, change="resend", sent_at=LATER))
    first, second = await rig.read(lambda one: figures.refused(one, VPD))
    assert (first["code"], first["number"], first["standing"], first["oldest"]) == ("B201", 2, 1, "2026-03-03")
    assert (first["meaning"], first["remedy"]) == ("Person is not known to the receiver", "person")
    assert "resend" in first["next"]
    assert (second["code"], second["remedy"]) == ("Z999", "operator")
    assert "does not know" in second["meaning"]
    assert await rig.read(lambda one: store.count_refused(one, VPD)) == {"B201": 2, "Z999": 1}
