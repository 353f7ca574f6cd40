"""What the tables of the first release held is there after the migration, settled as before, and goes on from there."""

import json
from collections.abc import Mapping
from typing import Any

from alembic import command
from sqlalchemy import Connection, text

from shared.db.engine import make_engine
from shared.db.migrate import config_for, migrate
from tests.service.confirmations_rig import OTHER, SENT, VPD, cmc

SENTS = {"R1": (SENT, 1), "R2": (SENT, 2), "R3": (SENT, 3), "R4": (OTHER, 1)}

ANSWERS = [("R1", 3, "SUCCESS", ""), ("R2", 4, "FAIL", "B201"), ("R9", 5, "FAIL", "")]


def before(connection: Connection) -> None:
    command.downgrade(config_for("confirmations", connection), "confirmations_0001")


def rows() -> list[dict[str, Any]]:
    """Facts as the first release kept them: four items sent, one confirmed, one refused, one whose file failed."""
    facts = [
        _fact("sent", reference, file, reference, (file, 1, position), person_id="7", key=f"K-{reference}",
              competence_id="100", achieved_on="2026-03-01", sent_file=file, position=position, reference=reference)
        for reference, (file, position) in SENTS.items()
    ]  # fmt: skip
    facts += [
        _fact("answer", reference, cmc(1), reference, (cmc(1), 1, line), echoed_reference=reference,
              load_status=status, record_position=str(line - 2), message_code=code)
        for reference, line, status, code in ANSWERS
    ]  # fmt: skip
    facts.append(_fact("file_answer", SENT, "", "", (cmc(1), 1, 2), confirmed_file=SENT, file_status="PARTIAL"))
    facts.append(
        _fact(
            "file_answer", OTHER, "", "", (cmc(2), 2, 2), confirmed_file=OTHER, file_status="FAIL", message_code="F006"
        )
    )
    return facts


def _fact(
    entity: str, key_: str, slice_: str, owner: str, version: tuple[str, int, int], **data: Any
) -> dict[str, Any]:
    file, number, line = version
    return {"vpd": VPD, "entity": entity, "key": key_, "slice": slice_, "owner": owner, "file": file, "file_no": number,
            "line": line, "data": json.dumps(data)}  # fmt: skip


def item(reference: str, state: str, code: str, file: str, line: int) -> dict[str, Any]:
    sent_file, position = SENTS[reference]
    said = {
        "state": state, "code": code, "warning": False, "esr_record_id": "12" if state == "confirmed" else "",
        "sent": {"reference": reference, "sent_file": sent_file, "position": position},
        "version": {"file": file, "file_no": 1, "line": line} if file else None,
    }  # fmt: skip
    return {"vpd": VPD, "reference": reference, "state": state, "code": code, "revision": 1, "item": json.dumps(said)}


async def test_what_was_sent_and_answered_before_is_carried_over(database: str, passwords: Mapping[str, str]) -> None:
    engine = make_engine(database, name="test")
    async with engine.begin() as connection:
        await connection.run_sync(before)
        await connection.execute(
            text(
                "INSERT INTO confirmations.facts (vpd, entity, key, slice, owner, file, file_no, line, data) VALUES "
                "(:vpd, :entity, :key, :slice, :owner, :file, :file_no, :line, CAST(:data AS jsonb))"
            ),
            rows(),
        )
        await connection.execute(
            text(
                "INSERT INTO confirmations.items "
                "VALUES (:vpd, :reference, :state, :code, :revision, CAST(:item AS jsonb))"
            ),
            [
                item("R1", "confirmed", "", cmc(1), 3), item("R2", "rejected", "B201", cmc(1), 4),
                item("R3", "open", "", "", 0), item("R4", "rejected", "F006", cmc(2), 2),
                {"vpd": VPD, "reference": "R9", "state": "", "code": "", "revision": 0, "item": "null"},
            ],
        )  # fmt: skip
    await migrate(engine, passwords, ["confirmations"])
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT reference, sent_file, position, state, code, own, answer_line, esr_record_id, "
                "CAST(sent_on AS text) FROM confirmations.items ORDER BY 1"
            )
        )
        assert [tuple(row) for row in found] == [
            ("R1", SENT, 1, "confirmed", "", True, 3, "12", "2026-03-03"),
            ("R2", SENT, 2, "rejected", "B201", True, 4, "", "2026-03-03"),
            ("R3", SENT, 3, "open", "", False, 0, "", "2026-03-03"),
            ("R4", OTHER, 1, "rejected", "F006", False, 2, "", "2026-03-04"),
        ]
        files = await connection.execute(
            text("SELECT sent_file, sent, confirmed, refused FROM confirmations.sent_files ORDER BY 1")
        )
        assert [tuple(row) for row in files] == [(SENT, 3, 1, 1), (OTHER, 1, 0, 1)]
        answers = await connection.execute(
            text("SELECT reference, sent_file, head, fits, told FROM confirmations.answers ORDER BY line")
        )
        assert [tuple(row) for row in answers] == [
            ("R1", SENT, 2, True, True), ("R2", SENT, 2, True, True), ("R9", SENT, 2, False, True)
        ]  # fmt: skip
    await engine.dispose()
