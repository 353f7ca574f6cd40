"""The sample story, told to any bridge: the files step by step, and the one final state that every run must reach.

Fern is an employee; Zoë has left; Rowan holds an offer and is hired. One competence comes before its person (Orla), one
record can never succeed as it stands. The LMS sends completions; ESR confirms one and refuses one.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox.lms import SandboxLms
from services.competency import store as competency
from services.confirmations import store as confirmations
from services.console import store as console
from services.ingest import store as ingest
from services.outbound import store as outbound
from services.people import store as people
from shared.accounting import Fate
from shared.db.engine import Reader
from shared.db.ledger import Ledger

SAMPLES = Path(__file__).parent.parent / "samples"

FIRE = "NHS|CSTF|Fire Safety - 2 Years|"
SAFEGUARDING = "NHS|CSTF|Safeguarding Adults - Level 1 - 3 Years|"
RESUSCITATION = "NHS|CSTF|Resuscitation - Level 2 - Adult Basic Life Support - 1 Year|"

CERTIFICATIONS = {"FIRE": FIRE, "SGA1": SAFEGUARDING, "BLS": RESUSCITATION}

FULL = "CS_{vpd}_CST_CSF_20260302_00000001.DAT"
FIRST_CHANGES = "CS_{vpd}_CST_CSC_20260303_00000002.DAT"
COMPLETED = "completions_{vpd}_20260303_00000001.csv"
SENT = "CS_{vpd}_CST_CMP_20260303_00000001.DAT"
ANSWERS = "CS_{vpd}_CST_CMC_20260304_00000001.DAT"
LAST_CHANGES = "CS_{vpd}_CST_CSC_20260304_00000003.DAT"

NOW = "2026-03-03T18:30"


def trust(vpd: str, lms: Mapping[str, Any]) -> dict[str, Any]:
    """Return the trust's section of ``bridge.yaml``. The cut-off never comes: the story asks for its file."""
    mappings = [{"competence": name, "certification": key} for key, name in CERTIFICATIONS.items()]
    return {
        "vpd": vpd,
        "name": f"Example Hospital {vpd}",
        "mappings": mappings,
        "lms": dict(lms),
        "completions": {"cut_off": "23:59"},
    }


def prepare_lms(state: Path, vpd: str) -> SandboxLms:
    """Return an LMS that knows the story's certifications."""
    lms = SandboxLms(state, vpd)
    for key, name in CERTIFICATIONS.items():
        lms.add_certification(key, name)
    return lms


def put(folder: Path, vpd: str, name: str, content: bytes) -> Path:
    """Put a file where ESR or the LMS would, whole."""
    path = folder / vpd / inbox(name) / name.format(vpd=vpd)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.rename(path)
    return path


def inbox(name: str) -> str:
    """Return the folder of the trust that a file belongs in."""
    return "from-lms" if name.endswith(".csv") else "from-esr"


def files(vpd: str) -> list[tuple[str, bytes]]:
    """Return the story's files in the order in which they come."""
    return [
        (FULL, sample(vpd, FULL)),
        (FIRST_CHANGES, sample(vpd, FIRST_CHANGES)),
        (COMPLETED, completions(vpd)),
        (ANSWERS, answers(vpd)),
        (LAST_CHANGES, last_changes(vpd)),
    ]


def sample(vpd: str, name: str) -> bytes:
    """Return a published sample as the trust ``vpd`` would get it."""
    return (SAMPLES / name.format(vpd="999")).read_bytes().replace(b"999", vpd.encode())


def completions(vpd: str) -> bytes:
    """Return what the LMS reports: two new, one that ESR told us, one unmapped, one of a person nobody knows."""
    rows = [
        "reference,user_idnumber,certification_idnumber,completed_at,expires_on,course_idnumber,method",
        f"C0000000001,{vpd}-9000001,FIRE,2026-03-03T14:22:10+00:00,2028-03-03,FIRE-EL-01,e-Learning",
        f"C0000000002,{vpd}-9000002,BLS,2026-03-03T15:15:02+00:00,2027-03-03,BLS-F2F,Course Attendance",
        f"C0000000003,{vpd}-9000002,SGA1,2024-06-11T09:00:00+01:00,2027-06-11,SGA-L1,e-Learning",
        f"C0000000004,{vpd}-9000001,YOGA,2026-03-03T12:00:00+00:00,,YOGA,Course Attendance",
        f"C0000000005,{vpd}-9000077,FIRE,2026-03-03T12:30:00+00:00,,FIRE-EL-01,e-Learning",
    ]
    return ("\r\n".join(rows) + "\r\n").encode()


def answers(vpd: str) -> bytes:
    """Return ESR's confirmation: one success, one failure, one answer to something never sent."""
    sent = SENT.format(vpd=vpd)
    return _file(vpd, ANSWERS, "20260304 061200", "20260303 060000", "20260304 060000", [
        f"CFH~{sent}~PARTIAL~3~1~0~2~WARNING~F000~2 of 3 records were not loaded",
        f"CFD~1~TCA~L{vpd}-0000000001~SUCCESS~~~~9000001~12000101~",
        f"CFD~2~TCA~L{vpd}-0000000002~FAIL~ERROR~B202~Last name does not match~9000002~~",
        f"CFD~3~TCD~L{vpd}-0000009999~FAIL~ERROR~B213~No completion with this reference has been loaded~~~",
    ])  # fmt: skip


def last_changes(vpd: str) -> bytes:
    """Return the changes that bring Orla, mirror Fern's own completion, and hold one record that cannot succeed."""
    gases = f"{vpd}|LOCAL|Ward Medical Gases - 2 Years|"
    return _file(vpd, LAST_CHANGES, "20260304 031500", "20260303 000000", "20260304 000000", [
        _row("PRA", 44, {2: "9000099", 3: "20260302", 4: "47121231", 5: "29900099", 6: "Ms.", 7: "Specimen",
                         8: "Orla", 14: "19920708", 15: "QQ123456D", 17: "20260302", 34: "EMP", 35: "Employee",
                         36: "orla.specimen@trust.example", 39: "20260303"}),
        _row("ASA", 51, {2: "9000099", 3: "8100099", 4: "20260302", 5: "47121231", 7: "E", 8: "29900099",
                         9: "ACTIVE_ASSIGN", 10: "Active Assignment", 22: "Y", 28: "500002", 29: "610001"}),
        _achievement(vpd, "9000001", "12000101", FIRE, "3100001", "20260303", "20280303"),
        _achievement(vpd, "9000001", "12000777", gases, "3190001", "20260231", "20280228"),
        "LOV~LKUP~GENDER~F~Female~~~~~Y~~~20260303 000000",
        _achievement(vpd, "9000001", "12000150", gases, "3190001", "20250901", "20270901"),
    ])  # fmt: skip


def _achievement(vpd: str, person: str, element: str, name: str, competence: str, start: str, end: str) -> str:
    return _row("CMA", 27, {2: person, 3: element, 4: "PERSONAL", 5: "ACHIEVED", 6: name, 7: start, 8: end, 10: vpd,
                            14: competence, 23: "20260303 120000"})  # fmt: skip


def _row(code: str, width: int, columns: Mapping[int, str]) -> str:
    return "~".join([code, *(columns.get(place, "") for place in range(2, width + 1))])


def _file(vpd: str, name: str, created: str, previous: str, current: str, lines: Iterable[str]) -> bytes:
    data = list(lines)
    header = f"HDR~{name.format(vpd=vpd)}~{created}~{vpd}~{previous}~{current}~01"
    return ("\r\n".join([header, *data, f"TRL~{len(data)}"]) + "\r\n").encode("iso-8859-1")


async def observe(readers: Mapping[str, Reader], lms: SandboxLms, vpd: str) -> dict[str, Any]:
    """Return the final state: every person, account, certification, completion and line."""
    async with readers["people"].trust(vpd) as connection:
        states = {one: await people.person(connection, vpd, one) for one in PEOPLE}
    async with readers["ingest"].trust(vpd) as connection:
        files = {file["name"]: file["status"] for file in await ingest.overview(connection, vpd)}
        lines = {
            (name, one.line): one.fate
            for name in files
            for block in await Ledger("ingest").blocks(connection, (vpd, name))
            for one in block.lines()
        }
    async with readers["outbound"].trust(vpd) as connection:
        counts = await outbound.counts(connection, vpd)
    async with readers["confirmations"].trust(vpd) as connection:
        items = {
            item["sent"]["reference"]: (item["state"], item["code"])
            for item in await confirmations.items(connection, vpd)
        }
    async with readers["competency"].trust(vpd) as connection:
        verdicts = await competency.count_by_verdict(connection, vpd)
    async with readers["console"].trust(vpd) as connection:
        letters = {state: len(await console.listing(connection, vpd, state=state)) for state in LETTER_STATES}
    certifications = lms.certifications()
    return {
        "people": {one: state and (state["state"], state.get("email", "")) for one, state in states.items()},
        "files": files,
        "lines": lines,
        "accounts": {
            one["idnumber"]: (one["username"], one["account_type"], bool(one["suspended"])) for one in lms.accounts()
        },
        "certifications": sorted(
            (one["idnumber"], one["certification"], one["completed_on"]) for one in certifications["current"]
        ),
        "certification history": certifications["history"],
        "evidence": sorted((one["idnumber"], one["reference"], one["completed_on"]) for one in lms.evidence()),
        "outbound": counts,
        "confirmations": items,
        "decisions": verdicts,
        "dead letters": letters,
    }


PEOPLE = ("9000001", "9000002", "9000007", "9000099")
LETTER_STATES = ("open", "replayed", "resolved", "discarded")


def expected(vpd: str) -> dict[str, Any]:
    """Return the state that every telling of the story ends in."""

    def fates(name: str, said: Mapping[int, Fate]) -> dict[tuple[str, int], Fate]:
        return {(name.format(vpd=vpd), line): fate for line, fate in said.items()}

    applied = Fate.APPLIED
    return {
        "people": {
            "9000001": ("employee", "fern.sampleton@trust.example"),
            "9000002": ("employee", "rowan.mockford@trust.example"),
            "9000007": ("leaver", ""),
            "9000099": ("employee", "orla.specimen@trust.example"),
        },
        "files": dict.fromkeys(
            (name.format(vpd=vpd) for name in (FULL, FIRST_CHANGES, COMPLETED, ANSWERS, LAST_CHANGES)), "complete"
        ),
        "lines": {
            **fates(FULL, dict.fromkeys(range(2, 21), applied)),
            **fates(FIRST_CHANGES, dict.fromkeys(range(2, 11), applied)),
            **fates(COMPLETED, {2: applied, 3: applied, 4: Fate.IGNORED_HELD_BY_ESR,
                                5: Fate.IGNORED_UNMAPPED_CERTIFICATION, 6: Fate.PARKED_PERSON_UNKNOWN}),
            **fates(ANSWERS, {2: applied, 3: applied, 4: applied, 5: Fate.PARKED_NOTHING_SENT}),
            **fates(LAST_CHANGES, {2: applied, 3: applied, 4: applied, 5: applied, 6: Fate.IGNORED_LIST_OF_VALUES,
                                   7: applied}),
        },
        "accounts": {
            f"{vpd}-9000001": ("29900001", "PERM", False),
            f"{vpd}-9000002": ("29900012", "PERM", False),
            f"{vpd}-9000099": ("29900099", "PERM", False),
        },
        "certifications": [
            (f"{vpd}-9000001", "FIRE", "2024-04-10"),
            (f"{vpd}-9000001", "SGA1", "2024-04-10"),
            (f"{vpd}-9000002", "SGA1", "2024-06-11"),
            (f"{vpd}-9000099", "FIRE", "2026-03-02"),
        ],
        "certification history": [],
        "evidence": [
            (f"{vpd}-9000001", "12000150", "2025-09-01"),
            (f"{vpd}-9000001", "12000777", "2026-02-28"),
        ],
        "outbound": {
            "accounts": {"none": 1, "permanent": 3},
            "certification": {"delivered": 3, "withdrawn": 1},
            "evidence": {"delivered": 2},
            "completions": {"confirmed": 1, "rejected": 1},
        },
        "confirmations": {f"L{vpd}-0000000001": ("confirmed", ""), f"L{vpd}-0000000002": ("rejected", "B202")},
        "decisions": {"certification": 3, "evidence": 2, "mirror": 1, "to_esr": 2, "held_by_esr": 1, "unmapped": 1,
                      "parked_person": 1, "removed": 1},
        "dead letters": {"open": 0, "replayed": 0, "resolved": 1, "discarded": 0},
    }  # fmt: skip
