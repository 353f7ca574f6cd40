"""A batch of people who are not in ESR that came by HTTP: everything wrong with it, or its file. No I/O here."""

from collections.abc import Mapping
from typing import Final

from services.ingest.batch import Batch, BatchFault, as_file, items_of
from shared.codes import LmsCode
from shared.lms_csv import NonStaffReading, non_staff_profile

COLUMNS: Final = {field.header: field.name for field in non_staff_profile().fields}
"""Our names of fields by what they are called in files and requests."""

_LONGEST_NAME_SHOWN: Final = 64


def read_people(body: bytes) -> Batch | list[BatchFault]:
    """Read a request's body. Returns every fault when there is any; raises TooManyError.

    Someone who stands twice with the same details counts once. Other keys beside ``people`` are not looked at.
    """
    items = items_of(body, "people")
    if items is None:
        text = "the request is not a JSON object with a list 'people' of 1 to 5000 people"
        return [BatchFault(None, "people", LmsCode.L005, text)]
    reading, faults = NonStaffReading(non_staff_profile()), []
    seen: dict[str, tuple[int, dict[str, str]]] = {}
    for index, item in enumerate(items):
        fields, wrong = _read_item(reading, index, item)
        faults += wrong
        first, said = seen.setdefault(fields.get("reference", ""), (index, fields))
        if "reference" in fields and said != fields:
            text = f"reference: {LmsCode.L106.meaning}; see number {first} too"
            faults.append(BatchFault(index, "reference", LmsCode.L106, text))
    if faults:
        return faults
    rows = [{header: fields.get(name, "") for header, name in COLUMNS.items()} for _, fields in seen.values()]
    return Batch(len(seen), as_file(tuple(COLUMNS), rows))


def _read_item(reading: NonStaffReading, index: int, item: object) -> tuple[dict[str, str], list[BatchFault]]:
    if not isinstance(item, Mapping):
        return {}, [BatchFault(index, "", LmsCode.L105, "a person is an object with a text for each field")]
    faults = [
        BatchFault(index, name[:_LONGEST_NAME_SHOWN], LmsCode.L105, "this field is not known, or is not text")
        for name, value in item.items()
        if value is not None and (name not in COLUMNS or not isinstance(value, str))
    ]
    values = {COLUMNS[name]: value for name, value in item.items() if name in COLUMNS and isinstance(value, str)}
    fields, wrong = reading.take(values)
    told = {fault.field for fault in faults}
    faults += [BatchFault(index, one.field, one.code, one.text) for one in wrong if one.field not in told]
    return fields, faults
