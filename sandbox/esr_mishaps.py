"""What can be wrong with a completion file or a confirmation when it arrives: pure changes of a file's bytes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from random import Random

from sandbox.esr_format import FileName, compose, line, lines_of, moment_text, split


def cut_short(content: bytes) -> bytes:
    """Return a file that lost its last data record on the way: its trailer counts one more than there is (F005)."""
    lines = lines_of(content)
    return ("\r\n".join((*lines[:-2], lines[-1])) + "\r\n").encode("iso-8859-1")


def with_records(content: bytes, change: Callable[[list[str]], list[str]]) -> bytes:
    """Return a sound file whose data records were changed; its trailer counts those that are there now."""
    header, *records, _ = lines_of(content)
    changed = change(records)
    return ("\r\n".join((header, *changed, f"TRL~{len(changed)}")) + "\r\n").encode("iso-8859-1")


def answered_in_part(content: bytes, dice: Random) -> bytes:
    """Return a confirmation that leaves out some answers; its summary still counts all."""
    return with_records(content, lambda records: [*records[:1], *(one for one in records[1:] if dice.random() < 0.5)])


def with_a_stranger(content: bytes) -> bytes:
    """Return a confirmation that also answers something nobody sent."""
    stranger = {
        "record_position": "999",
        "confirmed_record_type": "TCA",
        "echoed_reference": "L000-4040404040",
        "load_status": "SUCCESS",
    }
    return with_records(content, lambda records: [*records, line("CFD", stranger)])


def said_again(name: FileName, content: bytes, sequence: int, now: datetime) -> tuple[FileName, bytes]:
    """Return the same answers in a confirmation of another number."""
    again = replace(name, day=now.date(), sequence=sequence)
    header, *records, _ = lines_of(content)
    previous = split(header)[4]
    current = split(header)[5]
    made = moment_text(now.replace(tzinfo=None))
    return again, compose(again, created=made, previous=previous, current=current, records=records)
