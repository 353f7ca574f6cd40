"""A batch of completions that came by HTTP: everything wrong with it, or the file it becomes. No I/O here."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from shared.codes import LmsCode
from shared.lms_csv import FIELDS, WITHDRAWN, Reading, own_profile

MOST: Final = 5000
"""Completions in one batch."""
BY_REQUEST: Final = "api-"
FROM_MOODLE: Final = "moodle-"
"""How the names of files begin that came by HTTP, and of those that were read from Moodle."""

_LONGEST_NAME_SHOWN: Final = 64
_NAMES: Final = frozenset({*FIELDS, WITHDRAWN, "person_id"})


class BatchFault(msgspec.Struct, frozen=True):
    """One thing wrong. ``index`` counts completions from 0 and is None for the whole; ``text`` holds no value."""

    index: int | None
    field: str
    code: str
    text: str


class TooManyError(ValueError):
    """The batch has more completions than one request may have."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A sound batch. ``content``: its file in our own form; the same completions always give the same bytes."""

    records: int
    content: bytes

    @property
    def sha256(self) -> str:
        """Checksum of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def receipt(self) -> str:
        """What the sender may ask by: the same for the same batch."""
        return self.sha256[:32]

    @property
    def name(self) -> str:
        """The file's name."""
        return file_name(self.receipt)


def file_name(receipt: str) -> str:
    """Return the name of the file that a receipt stands for; see ``lms_files.API_NAME``."""
    return f"{BY_REQUEST}{receipt}.csv"


def read_batch(vpd: str, body: bytes) -> Batch | list[BatchFault]:
    """Read a request's body. Returns every fault when there is any; raises TooManyError.

    A completion that stands twice counts once. Other keys beside ``completions`` are the sender's own affair: a
    webhook's envelope may have some.
    """
    items = items_of(body, "completions")
    if items is None:
        return [BatchFault(None, "completions", LmsCode.L005, LmsCode.L005.meaning)]
    reading = Reading(own_profile(), vpd)
    faults: list[BatchFault] = []
    seen: dict[str, tuple[int, dict[str, str]]] = {}
    for index, item in enumerate(items):
        fields, wrong = _read_item(reading, vpd, index, item)
        faults += wrong
        first, said = seen.setdefault(fields.get("reference", ""), (index, fields))
        if "reference" in fields and said != fields:
            text = f"reference: {LmsCode.L106.meaning}; see number {first} too"
            faults.append(BatchFault(index, "reference", LmsCode.L106, text))
    return faults or Batch(len(seen), _as_completions([fields for _, fields in seen.values()]))


def _as_completions(items: Sequence[Mapping[str, str]]) -> bytes:
    """Return completions as a file. A column that says nothing of any is left out: a batch keeps the bytes it had."""
    says = any(WITHDRAWN in fields for fields in items)
    return as_file((*FIELDS, WITHDRAWN) if says else FIELDS, items)


def items_of(body: bytes, name: str) -> list[Any] | None:
    """Return the list called ``name`` in a JSON object, None when there is none. Raises TooManyError."""
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    items = said.get(name) if isinstance(said, dict) else None
    if not isinstance(items, list) or not items:
        return None
    if len(items) > MOST:
        raise TooManyError
    return items


def _read_item(reading: Reading, vpd: str, index: int, item: object) -> tuple[dict[str, str], list[BatchFault]]:
    if not isinstance(item, Mapping):
        return {}, [BatchFault(index, "", LmsCode.L105, "a completion is an object with a text for each field")]
    faults = [
        BatchFault(index, name[:_LONGEST_NAME_SHOWN], LmsCode.L105, "this field is not known, or is not text")
        for name, value in item.items()
        if value is not None and (name not in _NAMES or not isinstance(value, str))
    ]
    values = {name: value for name, value in item.items() if name in _NAMES and isinstance(value, str)}
    person_id = values.pop("person_id", "").strip()
    if person_id and values.get("user_idnumber", "").strip():
        text = "give one of user_idnumber and person_id, not both"
        faults.append(BatchFault(index, "person_id", LmsCode.L105, text))
    elif person_id:
        values["user_idnumber"] = f"{vpd}-{person_id}"
    fields, wrong = reading.take(values)
    told = {"user_idnumber" if fault.field == "person_id" else fault.field for fault in faults}
    faults += [BatchFault(index, one.field, one.code, one.text) for one in wrong if one.field not in told]
    return fields, faults


def as_file(columns: Sequence[str], items: Sequence[Mapping[str, str]]) -> bytes:
    """Return rows as a file in our own form; the same rows always give the same bytes."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(columns)
    rows.writerows([fields.get(name, "") for name in columns] for fields in items)
    return text.getvalue().encode()
