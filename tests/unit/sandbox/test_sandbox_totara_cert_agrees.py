"""What the bridge predicts is what the sandbox's Totara does: two programs, written apart, on generated lives."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.totara import SandboxTotara
from sandbox.totara_cert_file import UploadSettings
from sandbox.totara_cert_rules import METHODS, Terms, recertified
from services.competency.renewal.periods import instant, midnight
from services.competency.renewal.predict import Action, Held, Upload, after_learner, after_upload, hourly
from services.competency.renewal.totara import Renewal, dates

LONDON = ZoneInfo("Europe/London")
METHOD = st.sampled_from(["completion", "expiry", "fixed"])
PERIOD = st.builds("{} {}".format, st.integers(1, 30), st.sampled_from(["month", "week", "months"])) | st.builds(
    "{} year".format, st.integers(1, 4)
)
DAYS = st.dates(date(2018, 1, 1), date(2032, 1, 1))
MOMENTS = st.datetimes(datetime(2018, 1, 1), datetime(2032, 1, 1)).map(lambda one: instant(one.replace(microsecond=0)))  # noqa: DTZ001


@dataclass(frozen=True)
class Uploaded:
    action: int
    day: date
    due: date | None


@dataclass(frozen=True)
class Learnt:
    at: datetime


@dataclass(frozen=True)
class Hour:
    at: datetime


@dataclass(frozen=True)
class Extended:
    days: int


@dataclass(frozen=True)
class Suspended:
    now: bool


ACTS = (
    st.builds(Uploaded, st.sampled_from([0, 1, 1, 2]), DAYS, st.none() | DAYS)
    | st.builds(Learnt, MOMENTS)
    | st.builds(Hour, MOMENTS)
    | st.builds(Extended, st.integers(1, 90))
    | st.builds(Suspended, st.booleans())
)
Act = Uploaded | Learnt | Hour | Extended | Suspended


@given(METHOD, PERIOD, PERIOD, st.just("") | PERIOD, MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_both_count_the_same_dates(
    method: str,
    active: str,
    window: str,
    minimum: str,
    completed: datetime,
    expires: datetime | None,
    due: datetime | None,
) -> None:
    ours = dates(Renewal.parse(method, active, window, minimum), completed, expires, due)
    seconds = [int(one.timestamp()) if one else 0 for one in (completed, expires, due)]
    theirs = recertified(Terms(METHODS[method], active, minimum, window, LONDON), *seconds)
    assert theirs == (int(ours.expires.timestamp()), int(ours.window_opens.timestamp()))


class Theirs:
    """One site; every life is that of a new person with a new certification."""

    def __init__(self, folder: Path) -> None:
        self.now = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
        self.site = SandboxTotara(folder / "totara.sqlite", clock=lambda: self.now)
        self.numbers = count(1)
        self.name = ""

    def begin(self, method: str, periods: tuple[str, str, str]) -> None:
        active, window, minimum = periods
        if self.name:
            self.site.unassign(self.name, self.name)
        self.name = f"life{next(self.numbers)}"
        self.site.add_user(username=self.name, idnumber=self.name)
        assert method in METHODS
        self.site.add_certification(self.name, method, active, window, minimum)  # type: ignore[arg-type]
        self.site.assign(self.name, self.name)

    def act(self, act: Act) -> None:
        match act:
            case Uploaded():
                self.now += 2
                row = f"{self.name},,{self.name},{act.day},{act.due or ''}"
                header = "username,certificationshortname,certificationidnumber,completiondate,duedate"
                self.site.upload_completions(f"{header}\n{row}\n".encode(), settings=UploadSettings(act.action))
                self.site.run_adhoc()
            case Learnt():
                self.site.learner_completes(self.name, self.name, int(act.at.timestamp()))
            case Hour():
                self.site.cron(int(act.at.timestamp()))
            case Extended():
                (held,) = self.site.completions(self.name)
                if held["expires"]:
                    self.site.extend(self.name, self.name, held["expires"] + act.days * 86_400)
            case Suspended():
                self.site.edit_user(self.name, suspended=int(act.now))

    def stands(self) -> tuple[object, ...]:
        (row,) = self.site.completions(self.name)
        history = frozenset((one["completed"], one["expires"]) for one in self.site.history(self.name))
        names = ("completed", "expires", "opens", "baseline", "due")
        return (row["state"].replace(" ", "-"), *(row[name] for name in names), history)


def ours(held: Held, renewal: Renewal, act: Act) -> Held:
    match act:
        case Uploaded():
            row = Upload(Action(act.action), midnight(act.day), midnight(act.due) if act.due else None)
            return after_upload(held, renewal, row).held
        case Learnt():
            return after_learner(held, renewal, act.at).held
        case Hour():
            return hourly(held, act.at)[0]
        case Extended():
            if held.expires is None:
                return held
            later = held.expires + timedelta(days=act.days)
            return replace(held, expires=later, due=later)
        case Suspended():
            return replace(held, suspended=act.now)


def as_seconds(moment: datetime | None) -> int:
    return int(moment.timestamp()) if moment else 0


def ours_stands(held: Held) -> tuple[object, ...]:
    history = frozenset((as_seconds(done), as_seconds(ends)) for done, ends in held.history)
    moments = (held.completed, held.expires, held.window_opens, held.baseline, held.due)
    return (str(held.state), *map(as_seconds, moments), history)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    return Theirs(tmp_path_factory.mktemp("totara"))


@settings(max_examples=60, deadline=None)
@given(METHOD, st.tuples(PERIOD, PERIOD, st.just("") | PERIOD), st.lists(ACTS, min_size=1, max_size=8))
def test_whatever_happens_to_a_person_both_hold_the_same(
    site: Theirs, method: str, periods: tuple[str, str, str], acts: list[Act]
) -> None:
    active, window, minimum = periods
    renewal = Renewal.parse(method, active, window, minimum)
    site.begin(method, periods)
    held = Held()
    for act in acts:
        site.act(act)
        held = ours(held, renewal, act)
        assert site.stands() == ours_stands(held), act
