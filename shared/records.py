"""The messages that ingest sends: one per record, its columns as a flat JSON object of texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from shared.codes import MessageCode
from shared.errors import RecordError
from shared.esr.faults import RecordCode
from shared.facts import Deletion, Fact, Version
from shared.messaging.message import Message

_FIELDS: Final = msgspec.json.Decoder(dict[str, str])

WITHOUT_LINE: Final = frozenset({"certification.upsert"})
"""What a file can say without a line: who is in a report no more. It is older than whatever a line of the file says."""

Struct = TypeVar("Struct", bound=msgspec.Struct)


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record message, decoded."""

    message: Message
    entity: str
    action: str
    fields: dict[str, str]

    @property
    def version(self) -> Version:
        """The version under which the fact is stored."""
        return Version(self.message.file, self.message.file_no, self.message.line)


def encode(fields: Mapping[str, str]) -> bytes:
    """Return a record's body."""
    return msgspec.json.encode(fields)


def decode(message: Message) -> Record:
    """Read a record message. Raises RecordError when it is not one of ours."""
    if not (message.vpd and message.file_no and (message.line or message.type in WITHOUT_LINE)):
        raise RecordError(MessageCode.R900, "the message does not say which trust, file and line it comes from")
    try:
        fields = _FIELDS.decode(message.body)
    except msgspec.DecodeError as error:
        raise RecordError(MessageCode.R901, "the message body is not a flat object of texts") from error
    if b"\\u0000" in message.body and any("\x00" in value for value in fields.values()):
        raise RecordError(RecordCode.R106, "a column holds a NUL character, which cannot be stored")
    entity, _, action = message.type.partition(".")
    return Record(message, entity, action, fields)


def read(record: Record, kind: type[Struct]) -> Struct:
    """Read a record's columns into a struct. Raises RecordError naming the column that is missing or malformed.

    Strict, as when the stored fact is read again: leniently "20260303" would pass as seconds since 1970, and the fact
    would then fail every derivation it takes part in.
    """
    try:
        return msgspec.convert(record.fields, kind)
    except msgspec.ValidationError as error:
        raise RecordError(MessageCode.R902, f"{record.entity}: {_without_values(str(error))}") from error


@dataclass(slots=True)
class Batch:
    """Record messages, sorted out: facts, deletions, and messages that can never succeed with their reasons."""

    facts: list[tuple[Record, Fact]] = field(default_factory=list)
    deletions: list[tuple[Record, Deletion]] = field(default_factory=list)
    faulty: list[tuple[Message, RecordError]] = field(default_factory=list)


def sort_out(
    messages: Sequence[Message], fact: Callable[[Record], Fact], deletion: Callable[[Record], Deletion]
) -> Batch:
    """Decode a batch and turn each record into a fact or a deletion.

    ``fact`` and ``deletion`` raise RecordError for a record that can never succeed; it concerns that record only.
    """
    batch = Batch()
    for message in messages:
        try:
            record = decode(message)
            if record.action == "delete":
                batch.deletions.append((record, deletion(record)))
            else:
                batch.facts.append((record, fact(record)))
        except RecordError as error:
            batch.faulty.append((message, error))
    return batch


def _without_values(sentence: str) -> str:
    """Keep msgspec's own words, which name the column; it quotes values of enumerations only, and we use none."""
    return sentence.replace("`", "'")
