"""What ESR answered and what its full files show of it; completions that the LMS takes back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.competency import views
from services.competency.comparison import store as comparisons
from shared import events
from shared.messaging.message import Message
from shared.messaging.topology import EVENTS
from tests.service.test_mapping_versions import VPD, Rig, Said, rigged

AT = "2026-03-02T10:00:00"
FIRST, SECOND = "CS_991_CST_CMP_20260303_00000001.DAT", "CS_991_CST_CMP_20260304_00000002.DAT"
NOBODYS = events.Cause("", "", 0)


def learnt(person: str, *, withdrawn: bool = False, expires: str = "2028-03-02") -> Said:
    said = {
        "reference": f"r{person}",
        "user_idnumber": f"{VPD}-{person}",
        "certification_idnumber": "FIRE",
        "completed_at": AT,
        "expires_on": expires,
    }
    return "completion.upsert", said | ({"withdrawn": "yes"} if withdrawn else {})


def element(number: str, person: str, until: str = "2028-03-02", day: str = "2026-03-02") -> Said:
    return "competency_element.upsert", {
        "competency_element_id": number,
        "competency_type": "PERSONAL",
        "competency_name": "NHS|CSTF|Fire Safety - 2 Years|",
        "competence_id": "100",
        "person_id": person,
        "date_from": day,
        "date_to": until,
    }


async def hear(rig: Rig, *said: events.Event) -> None:
    await rig.competency.on_events(
        [
            Message(
                exchange=EVENTS, type=events.NAMES[type(one)], message_id=str(index), vpd=VPD, body=events.encode(one)
            )
            for index, one in enumerate(said)
        ]
    )


def key_of(rig: Rig, person: str) -> str:
    found = [one for one in rig.told if isinstance(one, events.CertificationCompleted) and one.person_id == person]
    return found[-1].key


def answer(rig: Rig, person: str, *, file: str = FIRST, element_id: str = "12000101", **said: Any) -> events.Event:
    kind = said.pop("kind", events.CompletionConfirmed)
    told = {
        "vpd": VPD, "cause": NOBODYS, "person_id": person, "key": key_of(rig, person), "sent_file": file,
        "reference": f"L991-{person}", "position": 1, "revision": 1,
    }  # fmt: skip
    if kind is events.CompletionConfirmed:
        told |= {
            "esr_record_id": element_id, "competence_id": "100", "achieved_on": "2026-03-02",
            "expires_on": "2028-03-02",
        }  # fmt: skip
    made: events.Event = kind(**(told | said))
    return made


def full(number: int, shows: str) -> events.FileCompleted:
    cause = events.Cause("feed", f"F{number:04d}", number)
    return events.FileCompleted(vpd=VPD, cause=cause, status="complete", records=1, mode="full", shows=shows)


async def esr_said(rig: Rig, person: str) -> str:
    async with rig.reader.trust(VPD) as connection:
        told = await views.explain(connection, VPD, person)
    return next(str(one.get("esr_said", "")) for one in told if one["verdict"] == "to_esr")


async def compared(rig: Rig) -> dict[str, Any]:
    while await rig.competency.comparing.run():
        pass
    async with rig.reader.trust(VPD) as connection:
        return await comparisons.listing(connection, VPD, 100)


async def test_what_the_lms_takes_back_is_told_once_with_the_lms_file_as_its_cause(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(learnt("3"))
        told = key_of(rig, "3")
        rig.told.clear()
        for _ in range(2):
            await rig.take(learnt("3", withdrawn=True))
        (event,) = rig.told
        assert isinstance(event, events.CertificationWithdrawn)
        assert (event.person_id, event.key, event.cause.stream, event.revision) == ("3", told, "lms", 2)
        await rig.take(learnt("3"))
        assert isinstance(rig.told[-1], events.CertificationCompleted)
        assert rig.told[-1].revision > event.revision


async def test_the_newest_answer_to_an_item_stands_whatever_order_answers_come_in(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(learnt("3"))
        refused = answer(rig, "3", kind=events.CompletionRejected, code="B203", revision=1)
        silent = events.ConfirmationOverdue(
            vpd=VPD, cause=NOBODYS, person_id="3", key=key_of(rig, "3"), reference="L991-3", sent_file=FIRST,
            position=1, sent_at="", due_at="",
        )  # fmt: skip
        await hear(rig, silent)
        assert await esr_said(rig, "3") == "overdue"
        await hear(rig, answer(rig, "3", revision=2))
        await hear(rig, refused)
        await hear(rig, silent)
        assert await esr_said(rig, "3") == "confirmed"
        await hear(rig, answer(rig, "3", file=SECOND, kind=events.CompletionRejected, code="B203", change="correction"))
        await hear(rig, answer(rig, "3", revision=3))
        assert await esr_said(rig, "3") == "correction rejected B203"


async def test_a_full_file_newer_than_the_confirmation_is_compared_with_it(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(learnt("1"), learnt("2"), learnt("3"))
        await hear(rig, answer(rig, "1"), answer(rig, "2", element_id="12000102"), answer(rig, "3", element_id="3"))
        await rig.take(element("12000101", "1"), element("12000102", "2", until="2029-01-01"))
        number = next(rig.numbers) - 1
        rig.told.clear()
        await hear(rig, full(number, "2026-03-10T00:00:00"))
        found = await compared(rig)
        assert (found["compared"], found["equal"]) == (3, 1)
        assert found["differences"] == {"missing": 1, "other_expiry": 1}
        assert [(one["person_id"], one["difference"]) for one in found["list"]] == [
            ("2", "other_expiry"),
            ("3", "missing"),
        ]
        told = [one for one in rig.told if isinstance(one, events.AchievementMissing)]
        assert [(one.reference, one.difference) for one in told] == [("L991-2", "other_expiry"), ("L991-3", "missing")]
        await hear(rig, full(number, "2026-03-10T00:00:00"))
        await compared(rig)
        assert len([one for one in rig.told if isinstance(one, events.AchievementMissing)]) == 2


async def test_what_was_confirmed_after_the_full_file_was_made_is_not_missed_in_it(
    database: str, passwords: Mapping[str, str]
) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(learnt("3"))
        rig.clock.set(datetime(2026, 3, 10, 6))  # noqa: DTZ001 - local
        await hear(rig, answer(rig, "3"))
        await hear(rig, full(9, "2026-03-10T00:00:00"))
        assert (await compared(rig))["compared"] == 0
        await hear(rig, full(10, "2026-03-11T00:00:00"))
        assert (await compared(rig))["differences"] == {"missing": 1}


async def test_what_an_operator_had_given_back_need_not_be_shown(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig:
        await rig.take(learnt("3"))
        taken_back = answer(rig, "3", file=SECOND, change="withdrawal")
        await hear(rig, answer(rig, "3"), taken_back)
        await hear(rig, full(9, "2026-03-10T00:00:00"))
        assert (await compared(rig))["compared"] == 0


async def test_a_file_of_changes_is_compared_with_nothing(database: str, passwords: Mapping[str, str]) -> None:
    async with rigged(database, passwords) as rig:
        cause = events.Cause("feed", "F0009", 9)
        shows = "2026-03-10T00:00:00"
        changes = events.FileCompleted(vpd=VPD, cause=cause, status="complete", records=1, mode="changes", shows=shows)
        await hear(rig, changes)
        assert (await compared(rig))["file"] == ""
