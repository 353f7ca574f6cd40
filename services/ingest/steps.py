"""Reading a file in steps: records become messages, a stretch at a time."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.ingest.source import Line, Place, RowKey, Source
from services.ingest.turns import Turn
from shared import records
from shared.accounting import LineFate
from shared.errors import RecordError
from shared.messaging.message import Message, Origin

STEP_BYTES: Final = 1024 * 1024
"""Bytes of a file after which a step ends although it has fewer records: what is in memory must stay small."""


@dataclass(slots=True)
class Stretch:
    """Records of a file that follow each other."""

    after: Place
    records: int = 0
    warned: int = 0
    messages: list[Message] = field(default_factory=list)
    ignored: list[LineFate] = field(default_factory=list)
    faulty: list[tuple[Message, RecordError]] = field(default_factory=list)
    """Messages that were not sent, because their record can never succeed."""
    rows: list[tuple[RowKey, Message]] = field(default_factory=list)
    """Messages of a report's rows, before it is known which say anything new."""
    seen: list[RowKey] = field(default_factory=list)
    """Rows of a report that are not sent, and are there."""
    told: dict[RowKey, bytes] = field(default_factory=dict)
    """Digests of the rows of a report that are sent."""

    def add(self, step: "Stretch") -> None:
        """Take in the stretch that follows this one; its messages are on the broker and no longer needed."""
        self.after = step.after
        self.records += step.records
        self.warned += step.warned
        self.ignored += step.ignored
        self.faulty += step.faulty
        self.seen += step.seen
        self.told |= step.told


class StepReader:
    """Reads a file's records as messages, some at a time, from where the last turn ended. Runs in a thread."""

    def __init__(self, turn: Turn, source: Source, path: Path, timestamp: int) -> None:
        self._turn = turn
        self._timestamp = timestamp
        self._exchange = source.exchange
        self._origin = Origin(turn.vpd, turn.name, turn.number)
        self._lines = source.lines(path, turn.name, turn.place)
        self._place = turn.place

    def read(self, limit: int) -> Stretch:
        """Return the next records, as many as ``limit`` unless they are large; none at the end of the file."""
        step = Stretch(self._place)
        end = self._place.offset + STEP_BYTES
        for line in itertools.islice(self._lines, limit):
            step.after = line.after
            step.records += 1
            if line.key and (line.ignored or line.faults):
                step.seen.append(line.key)
            if line.ignored:
                step.ignored.append(LineFate(line.line, line.ignored, 0))
            elif line.faults:
                first = line.faults[0]
                step.faulty.append((self._message(line), RecordError(first.code, first.text)))
            else:
                step.warned += line.warned
                if line.key:
                    step.rows.append((line.key, self._message(line)))
                else:
                    step.messages.append(self._message(line))
            if line.after.offset >= end:
                break
        self._place = step.after
        return step

    def _message(self, line: Line) -> Message:
        turn = self._turn
        return Message(
            exchange=self._exchange,
            type=line.type,
            message_id=self._origin.message_id(line.line),
            vpd=turn.vpd,
            body=records.encode(dict(sorted(line.fields.items())) if line.key else line.fields),
            stream=turn.stream,
            file=turn.name,
            file_no=turn.number,
            line=line.line,
            timestamp=self._timestamp,
            traceparent=self._origin.trace(line.line),
        )
