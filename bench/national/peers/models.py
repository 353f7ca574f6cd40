"""What the peers keep: the tables an ORM would have for this job, and the messages between their processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.esr.profile import load_profile
from shared.esr.reader import check_structure, read_records

#: Records that peers carry further; the few about places only go into a table.
PEOPLE = "person", "assignment"


class Base(DeclarativeBase):
    """The tables of both peers."""


class Fact(Base):
    """What a record said, newest version."""

    __tablename__ = "peer_facts"
    entity: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class Desired(Base):
    """What the LMS should hold: an account, or a certification of a person."""

    __tablename__ = "peer_desired"
    person_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Check a file and yield its records as messages, with the same reader as the bridge's: this is not compared."""
    profile = load_profile("esr-cstf")
    found = check_structure(path, profile)
    if found.faults:
        raise SystemExit("the file is not sound")
    for record in read_records(path, profile):
        entity = record.routing.partition(".")[0]
        yield {"entity": entity, "key": _key(entity, record.fields), "version": record.line, "data": record.fields}


def _key(entity: str, fields: dict[str, str]) -> str:
    name = {"competency_element": "competency_element_id"}.get(entity, f"{entity}_id")
    return fields[name]


def event_of(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return what follows from a record, if anything: of a person, of their assignment, or of their learning."""
    data = message["data"]
    if message["entity"] in PEOPLE:
        return {"person_id": data["person_id"], "key": message["entity"], "version": message["version"], "data": data}
    if message["entity"] == "competency_element":
        return {"person_id": data["person_id"], "key": message["key"], "version": message["version"], "data": data}
    return None
