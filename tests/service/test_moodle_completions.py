"""Course completions come from Moodle's report: each once, at its exact second, however late it surfaces."""

import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from esrbridge.embedded import as_role
from sandbox.moodle import SERVICE_ACCOUNT, TOKEN, SandboxMoodle
from sandbox.moodle_access import CAPABILITIES, FUNCTIONS
from sandbox.moodle_http import create_app
from services.ingest import keeping, moodle_completions, moodle_ledger, moodle_report
from services.ingest.archive import Archive
from services.ingest.moodle_completions import MoodleReader
from services.ingest.schema import FILES, MOODLE_READS
from shared.clock import FixedClock
from shared.config import TrustConfig
from shared.db.engine import make_engine
from shared.db.unit import Work
from shared.lms_csv import own_profile, read_completions
from shared.lms_settings import LmsSettings
from shared.messaging.memory import MemoryBroker
from shared.moodle.settings import MoodleCompletions, MoodleSettings
from shared.transport.rounds import Pace

START = int(datetime(2026, 3, 3, 6, tzinfo=UTC).timestamp())
HOUR, DAY = 3600, 86400


class Now:
    """The one clock of bridge and site; only the test moves it."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Desk:
    """A site with three learners and two courses, and a reader of its report."""

    site: SandboxMoodle
    reader: MoodleReader
    make: Callable[..., MoodleReader]
    engine: AsyncEngine
    archive: Archive
    vpd: str
    now: Now
    users: list[int]
    fire: int
    moving: int
    report: int

    async def read(self, *, later: int = 0) -> int:
        """Let time pass, then read all that is due; return how many files came."""
        self.now.seconds += later
        files = 0
        while done := await self.reader.run():
            files += done
        return files

    async def taken(self, vpd: str = "") -> list[tuple[str, str, int]]:
        """Return what stands in the files that were handed in: person, certification and second."""
        wanted = vpd or self.vpd
        async with self.engine.connect() as connection:
            rows = (await connection.execute(select(FILES).where(FILES.c.vpd == wanted).order_by(FILES.c.name))).all()
        found = []
        for row in rows:
            assert (row.origin, row.status, row.name.startswith("moodle-")) == ("lms", "received", True)
            for one in read_completions(self.archive.path(wanted, row.sha256), own_profile(), wanted):
                assert one.faults == ()
                moment = datetime.fromisoformat(one.fields["completed_at"])
                person = one.fields["user_idnumber"].removeprefix(f"{wanted}-")
                found.append((person, one.fields["certification_idnumber"], int(moment.timestamp())))
        return sorted(found)

    async def high(self) -> int | None:
        async with self.engine.connect() as connection:
            high: int | None = await connection.scalar(
                select(MOODLE_READS.c.high).where(MOODLE_READS.c.vpd == self.vpd)
            )
            return high

    def learn(self, user: int, course: int) -> int:
        """Let an enrolled learner do the course's activity now; return the second."""
        self.site.courses.do(course, user)
        return self.now.seconds

    def calls(self, function: str) -> int:
        return sum(name == function for name, _ in self.site.calls)


@pytest.fixture(autouse=True)
def logs_of_every_level() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
async def engine(module_database: str, passwords: Mapping[str, str]) -> AsyncIterator[AsyncEngine]:
    made = make_engine(as_role(module_database, "ingest", passwords["ingest"]), name="test", pool=5)
    yield made
    await made.dispose()


@pytest.fixture
def desk(engine: AsyncEngine, tmp_path: Path) -> Desk:
    now, vpd = Now(), secrets.token_hex(6)
    site = SandboxMoodle(tmp_path / "moodle.sqlite", clock=now)
    users = [learner(site, f"{vpd}-{number}") for number in range(1, 4)]
    courses = [site.courses.add(name) for name in ("FIRE", "MOVING")]
    for user in users:
        for course in courses:
            site.courses.enrol(course, user)
    archive = Archive(tmp_path / "archive")
    report = site.reports.add()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    way = httpx.ASGITransport(create_app(site))

    def make(*vpds: str, **said: Any) -> MoodleReader:
        settings = MoodleCompletions(**{"report": report, **said})
        lms = LmsSettings(
            url="https://moodle.example",
            token_file=token,
            calls_per_minute=10_000_000,
            moodle=MoodleSettings(completions=settings),
        )
        trusts = [TrustConfig(vpd="999", lms=lms).model_copy(update={"vpd": one}) for one in vpds or (vpd,)]
        work = Work("ingest", engine, MemoryBroker(), Clock(now))
        return MoodleReader(work, trusts, archive.path, pace=Pace(clock=now), transport=way)

    fire, moving = courses
    return Desk(site, make(), make, engine, archive, vpd, now, users, fire, moving, report)


class Clock(FixedClock):
    """Business time by the same clock."""

    def __init__(self, now: Now) -> None:
        super().__init__(datetime.fromtimestamp(now.seconds, UTC))
        self.seconds = now

    def now(self) -> datetime:
        self.set(datetime.fromtimestamp(self.seconds(), UTC))
        return super().now()


def learner(site: SandboxMoodle, idnumber: str) -> int:
    name = idnumber.lower() or "nobody"
    return site.add_account(username=name, firstname="A", lastname="B", email=f"{name}@x.example", idnumber=idnumber)


async def test_a_completion_is_handed_in_once_with_its_second(desk: Desk) -> None:
    second = desk.learn(desk.users[0], desk.fire)
    assert await desk.read(later=HOUR) == 1
    assert await desk.taken() == [("1", "FIRE", second)]
    assert await desk.read(later=HOUR) == 0
    assert await desk.high() == desk.now.seconds - moodle_completions.SETTLED


async def test_another_process_hands_nothing_in_again(desk: Desk) -> None:
    desk.learn(desk.users[0], desk.fire)
    await desk.read(later=HOUR)
    desk.reader = desk.make(full_read_days=1)
    assert await desk.read(later=2 * DAY) == 0
    assert len(await desk.taken()) == 1


async def test_it_is_not_read_before_its_time(desk: Desk) -> None:
    await desk.read()
    desk.learn(desk.users[0], desk.fire)
    assert await desk.read(later=HOUR - 1) == 0
    assert await desk.read(later=1) == 1


async def test_a_completion_that_surfaces_late_with_an_older_time_is_found_by_the_overlap(desk: Desk) -> None:
    late = learner(desk.site, f"{desk.vpd}-9")
    desk.site.courses.do(desk.fire, late)
    second = desk.now.seconds
    await desk.read(later=DAY)
    desk.site.courses.enrol(desk.fire, late)
    desk.site.courses.cron()
    assert await desk.read(later=DAY) == 0
    desk.site.courses.cron()
    assert await desk.read(later=DAY) == 1
    assert await desk.taken() == [("9", "FIRE", second)]


async def test_one_that_is_older_than_the_overlap_is_found_by_the_full_read(desk: Desk) -> None:
    late = learner(desk.site, f"{desk.vpd}-9")
    desk.site.courses.do(desk.fire, late)
    second = desk.now.seconds
    desk.reader = desk.make(overlap_days=1, full_read_days=7)
    await desk.read(later=3 * DAY)
    desk.site.courses.enrol(desk.fire, late)
    desk.site.courses.cron()
    desk.site.courses.cron()
    assert await desk.read(later=DAY) == 0
    assert await desk.read(later=7 * DAY) == 1
    assert await desk.taken() == [("9", "FIRE", second)]


async def test_only_people_of_the_trust_and_courses_with_an_idnumber_are_told_and_each_once(desk: Desk) -> None:
    nameless = desk.site.courses.add("", shortname="NEWS")
    strangers = [learner(desk.site, idnumber) for idnumber in ("", "998-1", f"{desk.vpd}9-1")]
    for user in (*strangers, desk.users[0]):
        for course in (desk.fire, nameless):
            desk.site.courses.enrol(course, user)
            desk.site.courses.enrol(course, user, "cohort")
            desk.site.courses.do(course, user)
    desk.site.courses.enrol(desk.moving)
    await desk.read(later=HOUR)
    assert await desk.taken() == [("1", "FIRE", START)]


async def test_what_was_handed_in_stays_when_somebody_leaves_the_course(desk: Desk) -> None:
    second = desk.learn(desk.users[0], desk.fire)
    await desk.read(later=HOUR)
    desk.site.courses.leave(desk.fire, desk.users[0])
    assert await desk.read(later=8 * DAY) == 0
    desk.site.courses.enrol(desk.fire, desk.users[0])
    assert await desk.read(later=8 * DAY) == 0
    assert await desk.taken() == [("1", "FIRE", second)]


async def test_a_course_that_is_repeated_is_another_completion(desk: Desk) -> None:
    first = desk.learn(desk.users[0], desk.fire)
    await desk.read(later=HOUR)
    desk.site.courses.reset(desk.fire, desk.users[0])
    second = desk.learn(desk.users[0], desk.fire)
    await desk.read(later=HOUR)
    assert await desk.taken() == [("1", "FIRE", first), ("1", "FIRE", second)]


async def test_another_time_zone_of_the_service_account_repeats_nothing(desk: Desk) -> None:
    desk.learn(desk.users[0], desk.fire)
    await desk.read(later=HOUR)
    desk.site.change(SERVICE_ACCOUNT, timezone="Pacific/Auckland")
    before = desk.calls("core_completion_get_course_completion_status")
    assert await desk.read(later=HOUR) == 0
    assert await desk.read(later=HOUR) == 0
    assert desk.calls("core_completion_get_course_completion_status") == before + 1
    assert len(await desk.taken()) == 1


async def test_completions_before_the_day_that_is_set_are_not_taken(desk: Desk) -> None:
    desk.learn(desk.users[0], desk.fire)
    desk.now.seconds += 2 * DAY
    second = desk.learn(desk.users[1], desk.fire)
    desk.reader = desk.make(since=date(2026, 3, 4))
    await desk.read(later=HOUR)
    assert await desk.taken() == [("2", "FIRE", second)]


def without_rights(desk: Desk) -> None:
    desk.site.allow(*(set(CAPABILITIES) - {"report/completion:view"}))


def without_seeing_people(desk: Desk) -> None:
    desk.site.allow(*(set(CAPABILITIES) - {"moodle/user:viewalldetails"}))


def without_functions(desk: Desk) -> None:
    desk.site.offer(*(name for name in FUNCTIONS if "reportbuilder" in name))


def with_a_twin_course(desk: Desk) -> None:
    desk.site.courses.add("FIRE")


@pytest.mark.parametrize("hinder", [without_rights, without_seeing_people, without_functions, with_a_twin_course])
async def test_where_the_second_is_not_told_the_filter_is_narrowed_down_to_it(
    desk: Desk, hinder: Callable[[Desk], None]
) -> None:
    hinder(desk)
    told = [("1", "FIRE", desk.learn(desk.users[0], desk.fire))]
    desk.now.seconds += 17
    told.append(("2", "FIRE", desk.learn(desk.users[1], desk.fire)))
    await desk.read(later=HOUR)
    assert await desk.taken() == told


async def test_of_two_accounts_with_one_idnumber_each_completion_keeps_its_second(desk: Desk) -> None:
    twin = desk.site.add_account(username="twin", email="twin@x.example", idnumber=f"{desk.vpd}-1")
    desk.site.courses.enrol(desk.fire, twin)
    told = [("1", "FIRE", desk.learn(twin, desk.fire))]
    desk.now.seconds += HOUR
    told.append(("1", "FIRE", desk.learn(desk.users[0], desk.fire)))
    await desk.read(later=HOUR)
    assert await desk.taken() == told


async def test_a_course_that_needs_any_one_activity_keeps_the_time_of_the_first(desk: Desk) -> None:
    either = desk.site.courses.add("EITHER", 2, any_of=True)
    desk.site.courses.enrol(either, desk.users[0])
    second = desk.learn(desk.users[0], either)
    desk.now.seconds += HOUR
    desk.site.courses.do(either, desk.users[0], 2)
    await desk.read(later=HOUR)
    assert await desk.taken() == [("1", "EITHER", second)]


async def test_a_report_longer_than_a_page_is_read_in_parts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moodle_report, "PAGE", 2)
    told = []
    for number in range(3):
        desk.now.seconds += number * HOUR
        told += [(str(place), "FIRE", desk.now.seconds) for place in (1, 2, 3) if number == 0]
        if number == 0:
            for user in desk.users:
                desk.learn(user, desk.fire)
        else:
            told.append((str(number), "MOVING", desk.learn(desk.users[number - 1], desk.moving)))
    await desk.read(later=HOUR)
    assert await desk.taken() == sorted(told)


async def test_a_long_first_read_comes_in_several_files_and_visits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moodle_completions, "STEP", 2)
    monkeypatch.setattr(moodle_completions, "MOST", 4)
    for user in desk.users:
        for course in (desk.fire, desk.moving):
            desk.learn(user, course)
    assert await desk.read(later=HOUR) == 3
    assert len(await desk.taken()) == 6
    assert await desk.high() is not None


async def test_a_filter_the_report_does_not_have_is_noticed_before_anything_is_taken(desk: Desk) -> None:
    desk.learn(desk.users[0], desk.fire)
    desk.site.reports.change(desk.report, [])
    with capture_logs() as logs:
        await desk.read(later=HOUR)
    assert await desk.taken() == []
    assert desk.reader.waiting == {f"{desk.vpd}/moodle": "LMS_MISCONFIGURED"}
    assert "filter-missing" in logs[-1]["error"]
    desk.site.reports.change(desk.report, [moodle_report._TIME])
    assert await desk.read(later=HOUR) == 1
    assert desk.reader.waiting == {}


@pytest.mark.parametrize("code", ["report-refused", "report-unknown", "column-missing", "access-refused"])
async def test_what_has_to_be_put_right_is_told_by_its_code(desk: Desk, code: str) -> None:
    match code:
        case "report-refused":
            desk.reader = desk.make(report=desk.site.reports.add(audience=False))
        case "report-unknown":
            desk.reader = desk.make(report=777)
        case "column-missing":
            desk.reader = desk.make(columns={"user": 0, "course": 1, "completed": 3})
        case _:
            desk.site.offer("core_webservice_get_site_info")
    with capture_logs() as logs:
        await desk.read()
    assert desk.reader.waiting == {f"{desk.vpd}/moodle": "LMS_MISCONFIGURED"}
    assert f"({code})" in logs[-1]["error"]
    manual = (Path(__file__).parents[2] / "docs" / "lms-moodle.md").read_text(encoding="utf-8")
    assert f"`{code}`" in manual


async def test_a_site_that_is_away_is_asked_again_and_nothing_is_passed_over(desk: Desk) -> None:
    await desk.read()
    high = await desk.high()
    second = desk.learn(desk.users[0], desk.fire)
    desk.site.faults.state = "maintenance-page"
    await desk.read(later=HOUR)
    assert desk.reader.waiting == {f"{desk.vpd}/moodle": "LMS_UNAVAILABLE"}
    assert await desk.high() == high
    desk.site.faults.state = ""
    await desk.read(later=30 * DAY)
    assert await desk.taken() == [("1", "FIRE", second)]


async def test_a_file_that_cannot_be_kept_is_handed_in_later_and_not_forgotten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = desk.learn(desk.users[0], desk.fire)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(keeping, "put_file", full)
        with pytest.raises(OSError, match="No space"):
            await desk.read(later=HOUR)
    assert await desk.taken() == []
    assert await desk.high() is None
    await desk.read(later=HOUR)
    assert await desk.taken() == [("1", "FIRE", second)]


async def test_a_process_that_dies_after_the_file_brings_it_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    second = desk.learn(desk.users[0], desk.fire)

    async def die(*_: object) -> None:
        raise RuntimeError("dead")

    with monkeypatch.context() as broken:
        broken.setattr(moodle_ledger, "note_read", die)
        with pytest.raises(RuntimeError):
            await desk.read(later=HOUR)
    desk.reader = desk.make()
    await desk.read(later=HOUR)
    assert await desk.taken() == [("1", "FIRE", second)]


async def test_two_trusts_of_one_site_do_not_read_through_each_others_filter(desk: Desk) -> None:
    other = secrets.token_hex(6)
    theirs = learner(desk.site, f"{other}-1")
    desk.site.courses.enrol(desk.fire, theirs)
    told = desk.learn(desk.users[0], desk.fire)
    desk.now.seconds += 5
    desk.learn(theirs, desk.fire)
    desk.reader = desk.make(desk.vpd, other)
    await desk.read(later=HOUR)
    assert await desk.taken() == [("1", "FIRE", told)]
    assert await desk.taken(other) == [("1", "FIRE", told + 5)]


@pytest.mark.parametrize("seed", range(4))
async def test_over_weeks_of_learning_all_that_the_site_holds_came_in_exactly_once(desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    courses = [desk.fire, desk.moving, desk.site.courses.add("DATED", 1, after=START + 5 * DAY)]
    names = dict(zip(courses, ("FIRE", "MOVING", "DATED"), strict=True))
    people = {f"{number}": user for number, user in enumerate(desk.users, start=1)}
    people |= {f"{number}": learner(desk.site, f"{desk.vpd}-{number}") for number in range(4, 8)}
    expected: set[tuple[str, str, int]] = set()
    done: set[tuple[str, int]] = set()
    for _ in range(60):
        desk.now.seconds += chance.randrange(1, 8 * HOUR)
        person, course = chance.choice(sorted(people)), chance.choice(courses)
        match chance.choice(("do", "do", "enrol", "cron", "read", "cohort")):
            case "do" if (person, course) not in done:
                desk.site.courses.do(course, people[person])
                done.add((person, course))
                expected.add((person, names[course], desk.now.seconds))
            case "enrol":
                desk.site.courses.enrol(course, people[person])
            case "cohort":
                desk.site.courses.enrol(course, people[person], "cohort")
            case "cron":
                desk.site.courses.cron()
            case "read":
                await desk.read()
    for user in people.values():
        for course in courses:
            desk.site.courses.enrol(course, user)
    for _ in range(3):
        desk.site.courses.cron()
    await desk.read(later=8 * DAY)
    taken = await desk.taken()
    dated = {(person, name, max(second, START + 5 * DAY)) if name == "DATED" else (person, name, second)
             for person, name, second in expected}  # fmt: skip
    assert len(taken) == len(set(taken))
    assert set(taken) == dated
