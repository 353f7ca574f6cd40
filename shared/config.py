"""``bridge.yaml``: the trusts this bridge serves and the decisions each has made.

The schema is documented in ``docs/cli.md``. Anything unknown, missing or contradictory is refused with the place
where it stands; nothing is guessed.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from shared.account_settings import AccountPolicy
from shared.compliance_settings import ComplianceSettings
from shared.console_settings import ConsoleSettings
from shared.errors import ConfigurationError
from shared.lms_settings import LmsSettings
from shared.people_settings import PeopleSettings
from shared.transport.settings import Connection

Vpd = Annotated[str, StringConstraints(pattern=r"^[0-9]{3,4}$")]
"""Virtual Private Database number of an employer: three digits in Generic Outbound files, up to four elsewhere."""


TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mapping(_Section):
    """One ESR competence stands for one LMS certification, in both directions."""

    competence: str = ""
    """National or local name as ESR writes it, trailing ``|`` included."""
    competence_id: str = ""
    """ESR's id in this trust; takes precedence over the name."""
    certification: str = Field(min_length=1)
    """The certification's id number in the LMS."""

    @model_validator(mode="after")
    def _names_a_competence(self) -> Self:
        if not (self.competence or self.competence_id):
            raise ValueError("a mapping names a competence by 'competence' or 'competence_id'")
        return self


class CompletionPolicy(_Section):
    """When completions leave for ESR."""

    cut_off: TimeOfDay = "18:00"
    """Local time at which the day's completion file is written."""
    hold_days: int = Field(default=0, ge=0, le=31)
    """Days that a completion waits: ESR may come to hold the same learning by another way, and is then not sent it."""
    first_sequence: int = Field(default=1, ge=1)
    """Number of the first completion file, where a trust moves over from another interface."""
    rows_per_file: int = Field(default=50_000, ge=1, le=999_999)
    """Records in one file at most; what is more goes into the next."""
    rows_per_achievement: int = Field(default=40, ge=1)
    """Records of one person and one competence in one file at most."""
    leavers: Literal["send", "withhold"] = "send"
    """Whether ESR is told of what people completed who have left since."""
    answer_days: int = Field(default=1, ge=1, le=31)
    """ESR answers a file by ``calendar.latest`` of the file day that is so many after the day of delivery."""
    resend_after_days: int = Field(default=3, ge=0, le=31)
    """Days an answer is overdue before the item is sent again, marked as a resend; 0: never by itself."""
    resends: int = Field(default=2, ge=0, le=9)
    """How often an item that is not answered is sent again by itself; then an operator decides."""


class FileCalendar(_Section):
    """When ESR's files are expected, and how many."""

    days: tuple[Weekday, ...] = WEEKDAYS
    """Days that have a file of their own; by default all seven, as Generic Outbound sends them."""
    earliest: TimeOfDay = "00:00"
    """Local time of the file's day before which it is early."""
    latest: TimeOfDay = "10:00"
    """Local time of the file's day after which it is late."""
    silent_after_days: int = Field(default=3, ge=1)
    """Days without any file after which the feed counts as silent."""
    full_files_a_week: int = Field(default=3, ge=0)
    """More full files in seven days wait for an operator; 0: any number."""
    absent_percent: float = Field(default=5.0, ge=0, le=100)
    """A full file that leaves out a larger share of the people held waits for an operator."""


class TrustConfig(_Section):
    """One trust."""

    vpd: Vpd
    name: str = ""
    profile: str = "esr-cstf"
    """A built-in profile, or the path of a profile file relative to ``bridge.yaml``."""
    esr: Connection = Connection()
    """Where ESR's files are collected from, and files for ESR delivered to."""
    lms: LmsSettings = LmsSettings()
    mappings: tuple[Mapping, ...] = ()
    people: PeopleSettings = PeopleSettings()
    accounts: AccountPolicy = AccountPolicy()
    completions: CompletionPolicy = CompletionPolicy()
    calendar: FileCalendar = FileCalendar()
    compliance: ComplianceSettings = ComplianceSettings()
    archive_days: int = Field(default=400, ge=1)
    """How long raw files are kept; their names and checksums are kept for ever."""

    @model_validator(mode="after")
    def _each_competence_once(self) -> Self:
        said = Counter(mapping.competence_id or mapping.competence for mapping in self.mappings)
        twice = [competence for competence, times in said.items() if times > 1]
        if twice:
            raise ValueError(f"competence {twice[0]} is mapped more than once")
        return self

    @model_validator(mode="after")
    def _jobs_have_a_driver(self) -> Self:
        if self.accounts.hierarchies and self.lms.jobs_driver is None:
            raise ValueError(f"'accounts.hierarchies': driver '{self.lms.driver}' has no organisations and jobs")
        return self


class BridgeConfig(_Section):
    """The whole file."""

    trusts: tuple[TrustConfig, ...] = Field(min_length=1)
    console: ConsoleSettings = ConsoleSettings()

    @model_validator(mode="after")
    def _each_trust_once(self) -> Self:
        twice = [vpd for vpd, times in Counter(trust.vpd for trust in self.trusts).items() if times > 1]
        if twice:
            raise ValueError(f"trust {twice[0]} stands more than once")
        return self

    def trust(self, vpd: str) -> TrustConfig | None:
        """Return the trust with this VPD, or None when the bridge does not serve it."""
        return next((trust for trust in self.trusts if trust.vpd == vpd), None)


def load_config(path: Path) -> BridgeConfig:
    """Read ``bridge.yaml``. Raises ConfigurationError that names the file, the place in it and what is wrong."""
    try:
        said = yaml.load(path.read_text(encoding="utf-8"), _AsWritten)  # noqa: S506 - a kind of SafeLoader
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML{_place(error)}") from None
    try:
        return _beside(path.parent, BridgeConfig.model_validate(said))
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {explain(error)}") from None


class _AsWritten(yaml.SafeLoader):
    """Reads numbers, dates and times as the text they are written in.

    YAML 1.1 would read the VPD 012 as ten and the cut-off 18:00 as 1080. What is to be a number is made one by the
    schema.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("int", "float", "timestamp")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _place(error: yaml.YAMLError) -> str:
    """Say where only: the parser's own words repeat the text at fault, which may be secret."""
    mark = getattr(error, "problem_mark", None)
    return f": look at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _beside(folder: Path, config: BridgeConfig) -> BridgeConfig:
    """Read relative paths as relative to the configuration file, wherever the program was started."""
    trusts = []
    for trust in config.trusts:
        profile = trust.profile
        if profile.endswith((".yaml", ".yml")):
            profile = str(folder / profile)
        trusts.append(
            trust.model_copy(
                update={"profile": profile, "lms": trust.lms.beside(folder), "esr": trust.esr.beside(folder)}
            )
        )
    return config.model_copy(update={"trusts": tuple(trusts), "console": config.console.beside(folder)})


def explain(error: ValidationError) -> str:
    """Say where and what, for every fault, without the values, which may be secret."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False)
    )
