"""How an answer settles what was sent. No I/O here.

ESR echoes the reference of each completion it read (``CFD``), and tells of each file as a whole (``CFH``). A file
that failed as a whole may come without details; then every completion in it was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from shared.facts import Fact, Version

State = Literal["open", "confirmed", "rejected"]


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A completion that left for ESR."""

    reference: str
    person_id: str
    key: str
    competence_id: str
    achieved_on: str
    sent_file: str
    position: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What ESR said of one record (``CFD``)."""

    echoed_reference: str
    load_status: str
    record_position: str = ""
    confirmed_record_type: str = ""
    message_type: str = ""
    message_code: str = ""
    esr_record_id: str = ""


class FileAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ESR said of one file (``CFH``)."""

    confirmed_file: str
    file_status: str
    message_code: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A completion and where it stands with ESR."""

    state: State
    sent: Sent
    code: str = ""
    warning: bool = False
    esr_record_id: str = ""
    version: Version | None = None
    """The line that answered."""


def settle(facts: Sequence[Fact], file_answers: dict[str, tuple[Version, FileAnswer]]) -> Item | None:
    """Return where one reference stands, or None when nothing was sent under it.

    ``facts`` are what is known of the reference, ``file_answers`` what ESR said of whole files by file name.
    The newest answer counts. Raises msgspec.ValidationError for facts that were not checked when stored.
    """
    sent = [msgspec.convert(fact.data, Sent) for fact in facts if fact.entity == "sent"]
    if not sent:
        return None
    last = max(sent, key=lambda one: one.sent_file)
    answers = sorted((fact for fact in facts if fact.entity == "answer"), key=lambda fact: fact.version.order)
    if answers:
        answer = msgspec.convert(answers[-1].data, Answer)
        return Item(
            "confirmed" if answer.load_status == "SUCCESS" else "rejected",
            last,
            code=answer.message_code,
            warning=answer.message_type == "WARNING",
            esr_record_id=answer.esr_record_id,
            version=answers[-1].version,
        )
    version, whole = file_answers.get(last.sent_file, (None, None))
    if whole is not None and whole.file_status == "FAIL":
        return Item("rejected", last, code=whole.message_code, version=version)
    return Item("open", last)
