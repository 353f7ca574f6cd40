"""Learning with Moodle, both ways, over HTTP: competences of ESR become ratings, completed courses competences."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from esrbridge.once import run_once
from sandbox import moodle_http
from sandbox.moodle import SandboxMoodle
from sandbox.moodle_schema import TOKEN
from sandbox.products import KNOWN, furnished_moodle
from tests.e2e import story
from tests.e2e.test_lms_products import served

VPD = "999"
FERN = f"{VPD}-9000001"
LEARNT = datetime(2026, 3, 4, 9, 30, 17, tzinfo=UTC)


class Site:
    """A Moodle whose clock the test sets, with a framework, a course and a report."""

    def __init__(self, folder: Path) -> None:
        furnished_moodle(folder / "moodle.sqlite")
        self.now = datetime(2026, 3, 3, 18, tzinfo=UTC)
        self.moodle = SandboxMoodle(folder / "moodle.sqlite", clock=self.clock)
        self.framework = self.moodle.competencies.add_framework("CSTF")
        self.fire, self.safeguarding, self.life_support, self.prior = (
            self.moodle.competencies.add(self.framework, name) for name in ("FIRE", "SGA1", "BLS", "PRIOR")
        )
        self.course = self.moodle.courses.add("BLS")
        self.report = self.moodle.reports.add()

    def clock(self) -> float:
        return self.now.timestamp()

    def account(self, idnumber: str) -> int:
        (found,) = [one["id"] for one in self.moodle.accounts() if one["idnumber"] == idnumber]
        return int(found)

    def notes(self, competency: int, idnumber: str = FERN) -> list[Any]:
        return [json.loads(note) for note in self.moodle.competencies.notes(self.account(idnumber), competency)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def configure(folder: Path, url: str, site: Site) -> None:
    folder.mkdir()
    (folder / "token").write_text(TOKEN)
    lms = {"driver": "moodle-rest", "url": url, "token_file": "token", "calls_per_minute": 60_000}
    moodle = {"known_user": KNOWN, "framework": site.framework, "completions": {"report": site.report}}
    trust = story.trust(VPD, lms | {"moodle": moodle})
    (folder / "bridge.yaml").write_text(yaml.safe_dump({"trusts": [trust]}))


async def night(folder: Path, site: Site, now: datetime) -> dict[str, Any]:
    """Run the bridge once, as from the command line, and return what it reports of the trust."""
    site.now = now
    report = await run_once(folder, now, Console(quiet=True), bars=False)
    assert report["waiting_for"] == ""
    trust: dict[str, Any] = report["trusts"][VPD]
    assert all(file["adds_up"] for file in trust["files"] if file["status"] == "complete")
    return trust


def competences_sent(folder: Path) -> list[tuple[str, str]]:
    """Return person and competence of each line of the completion files to ESR."""
    lines = [
        line.split("~")
        for path in sorted((folder / VPD / "to-esr").glob("*_CMP_*"))
        for line in path.read_bytes().decode("iso-8859-1").split("\r\n")
        if line.startswith("TCA~")
    ]
    return [(person, competence) for line in lines for person in line if person == FERN.partition("-")[2]
            for competence in line if competence.startswith("NHS|")]  # fmt: skip


async def test_a_competence_goes_out_as_a_rating_and_a_course_comes_in_as_a_competence(
    tmp_path: Path, site: Site
) -> None:
    folder = tmp_path / "bridge"
    with served(moodle_http.create_app(site.moodle)) as url:
        configure(folder, url, site)
        story.put(folder, VPD, story.FULL, story.sample(VPD, story.FULL))
        first = await night(folder, site, datetime(2026, 3, 3, 18, 30, tzinfo=UTC))
        assert [(one["completed"], one["expires"]) for one in site.notes(site.fire)] == [("2024-04-10", "2026-04-10")]
        assert [one["key"] for one in site.notes(site.safeguarding)] == [f"{FERN}|SGA1|2024-04-10"]
        assert first["certifications"]["delivered"] >= 2

        learner = site.account(FERN)
        site.moodle.courses.enrol(site.course, learner)
        site.now = LEARNT
        site.moodle.courses.do(site.course, learner)
        second = await night(folder, site, datetime(2026, 3, 4, 18, 30, tzinfo=UTC))
        (file,) = [one for one in second["files"] if one["name"].startswith("moodle-")]
        assert (file["status"], file["records"]) == ("complete", 1)
        assert competences_sent(folder) == [(FERN.partition("-")[2], story.RESUSCITATION)]

        third = await night(folder, site, datetime(2026, 3, 5, 18, 30, tzinfo=UTC))
        assert len(competences_sent(folder)) == 1
        assert len([one for one in third["files"] if one["name"].startswith("moodle-")]) == 1
        # What came from Moodle's course is not told to Moodle's competency again, nor anything else twice.
        assert site.notes(site.life_support) == []
        assert [len(site.notes(one)) for one in (site.fire, site.safeguarding)] == [1, 1]
