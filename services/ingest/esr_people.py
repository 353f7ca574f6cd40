"""The people a feed file speaks of, read without decoding anything else."""

from collections.abc import Iterator
from pathlib import Path

from services.ingest.source import Mention
from shared.esr.lines import READ_BYTES, read_lines
from shared.esr.profile import Profile

_ACTIONS = {"person.upsert": False, "person.delete": True}


def people_of(path: Path, profile: Profile) -> Iterator[Mention]:
    """Yield the person ID of each person record, in file order; blank ones are left out (R101 reports them)."""
    delimiter = profile.delimiter.encode("ascii")
    wanted = {
        code.encode("ascii"): (_ACTIONS[routing], _place_of_id(profile, code))
        for code, routing in profile.routing.items()
        if routing in _ACTIONS
    }
    with path.open("rb", buffering=READ_BYTES) as file:
        for body, _ in read_lines(file):
            if body is None:
                continue
            found = wanted.get(body.partition(delimiter)[0])
            if found is None:
                continue
            gone, place = found
            parts = body.split(delimiter, place + 1)
            person_id = parts[place].decode(profile.encoding, "replace").replace("\0", "") if place < len(parts) else ""
            if person_id.strip():
                yield Mention(person_id, gone)


def _place_of_id(profile: Profile, code: str) -> int:
    layout = profile.records[code]
    return [column.name for column in layout.columns].index(layout.key[0])
