"""How a trust's LMS is reached, and which driver does what there: the section ``lms`` of a trust in ``bridge.yaml``."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.moodle.settings import MoodleSettings
from shared.transport.settings import Connection

Driver = Literal["files", "sandbox", "totara-graphql", "totara-hr-import", "totara-completion-upload", "moodle-rest"]

Shortname = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
"""A profile field's short name in the LMS."""

DOES_JOBS = frozenset({"files", "sandbox", "totara-graphql", "totara-hr-import"})
"""Drivers that send job assignments; Moodle has none."""

_KEEPS_NO_ACCOUNTS = frozenset({"totara-completion-upload"})

DOES_LEARNING = frozenset({"totara-completion-upload", "files", "sandbox", "moodle-rest"})

_ASKED_OVER_HTTP = frozenset({"sandbox", "totara-graphql", "moodle-rest"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GraphqlSettings(_Section):
    """Totara's external GraphQL API (17 and later): an OAuth2 client bound to a service account."""

    client_id: str = ""
    client_secret_file: Path | None = None
    batch: int = Field(default=20, ge=1, le=50)
    """Mutations in one request, each a document of its own: one document of many mutations can be applied in half."""


class HrImportSettings(_Section):
    """Totara's HR Import by CSV files."""

    connection: Connection = Connection()
    """Delivers to the site's folder ``.../csv/ready``, and collects its log report. Nothing said: the trust's local
    folders ``hr-import/ready`` and ``hr-import/reports``, for somebody else to carry."""
    totara_version: Literal[12, 13, 17] = 17
    """Version 13 renamed the column of a manager's job assignment."""
    date_format: Literal["d/m/Y", "Y-m-d", "m/d/Y"] = "d/m/Y"
    """The site's ``csvdateformat``."""
    delimiter: Literal[",", ";", "|", ":", "\t"] = ","
    encoding: Literal["UTF-8", "ISO-8859-1"] = "UTF-8"
    delete_mode: Literal["suspend", "keep"] = "suspend"
    """The site's setting for deletions. ``suspend``: column ``deleted`` suspends; ``keep``: column ``suspended``."""
    columns: tuple[str, ...] = ()
    """Further columns that the site's source has enabled; they are sent empty, as a missing one refuses the file."""
    organisation_framework: str = ""
    """Idnumber of the framework organisations stand in; empty: no ``org.csv`` is sent."""
    position_framework: str = ""
    """Idnumber of the framework positions stand in; empty: no ``pos.csv`` is sent."""
    log: str = ""
    """Name of the HR Import log report (CSV), ``*`` allowed; empty: none comes."""


class CompletionUploadSettings(_Section):
    """Totara's upload of completion records, by CSV files that somebody submits."""

    connection: Connection = Connection()
    """Delivers to the folder files are uploaded from. Nothing said: the trust's local folder
    ``completion-upload/ready``."""
    rows: int = Field(default=500, ge=1, le=10_000)
    """Rows of one file. What goes wrong in the product's task, goes wrong for a file."""
    date_format: Literal["Y-m-d", "Y/m/d", "d/m/Y", "d-m-Y", "d.m.Y", "m/d/Y"] = "Y-m-d"
    """As chosen on the form."""
    delimiter: Literal[",", ";", "|", ":", "\t"] = ","
    encoding: Literal["UTF-8", "ISO-8859-1"] = "UTF-8"


class Routes(_Section):
    """Which driver does what, where it is not ``lms.driver``."""

    accounts: Driver | None = None
    jobs: Driver | None = None
    """Job assignments, organisations and positions."""
    learning: Driver | None = None


class LmsSettings(_Section):
    """Which learning management system a trust has, and how to reach it."""

    driver: Driver = "files"
    """``files``: operations are written to the trust's ``to-lms`` folder. ``sandbox``: HTTP to the sandbox LMS."""
    routes: Routes = Routes()
    url: str = ""
    """The site's address, for drivers that speak HTTP."""
    token_file: Path | None = None
    """Holds the token of driver ``moodle-rest`` or ``sandbox``."""
    time_zone: str = "Europe/London"
    """The site's time zone. Moodle's service account must share it; Totara's must not, see docs/lms-totara.md."""
    batch: int | None = Field(default=None, ge=1, le=10_000)
    """Operations of one round: 5,000 for HR Import, which takes one file a night, else 200."""
    calls_per_minute: int = Field(default=600, ge=1)
    """Calls to the site in a minute, over all that this process does there."""
    timeout_seconds: float = Field(default=30.0, gt=0, le=300)
    graphql: GraphqlSettings = GraphqlSettings()
    hr_import: HrImportSettings = HrImportSettings()
    completion_upload: CompletionUploadSettings = CompletionUploadSettings()
    moodle: MoodleSettings = MoodleSettings()
    connection: Connection = Connection()
    """Where completion files are collected from, and files for the LMS delivered to."""
    completions_profile: str = "esrbridge-completions"
    """The form of its completion files: a built-in profile, or the path of one relative to ``bridge.yaml``."""
    file_profiles: dict[str, str] = {}
    """Profiles of files whose name is like a pattern (``*`` for anything); the first that fits."""

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        for driver in sorted(self.drivers & _ASKED_OVER_HTTP):
            if not self.url:
                raise ValueError(f"driver '{driver}' needs 'url'")
        if self.drivers & {"moodle-rest", "totara-graphql"} and not _private(self.url):
            raise ValueError("'url' must begin with https: what is sent there is personal")
        if "moodle-rest" in self.drivers and self.token_file is None:
            raise ValueError("driver 'moodle-rest' needs 'token_file'")
        if "totara-graphql" in self.drivers and not (self.graphql.client_id and self.graphql.client_secret_file):
            raise ValueError("driver 'totara-graphql' needs 'graphql.client_id' and 'graphql.client_secret_file'")
        return self

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.accounts_driver in _KEEPS_NO_ACCOUNTS:
            raise ValueError(f"driver '{self.accounts_driver}' keeps no accounts; name it in 'routes.learning'")
        if self.routes.jobs is not None and self.routes.jobs not in DOES_JOBS:
            raise ValueError(f"driver '{self.routes.jobs}' has no job assignments")
        if self.routes.learning is not None and self.routes.learning not in DOES_LEARNING:
            raise ValueError(f"driver '{self.routes.learning}' does not take completions")
        if "moodle-rest" in (self.routes.learning, self.learning_driver) and self.moodle.framework is None:
            raise ValueError("driver 'moodle-rest' takes completions as competency ratings: set 'moodle.framework'")
        if self.moodle.completions.report and not (self.url and _private(self.url) and self.token_file):
            raise ValueError("'moodle.completions' needs 'token_file' and a 'url' that begins with https:")
        return self

    @property
    def accounts_driver(self) -> Driver:
        """The driver that owns accounts."""
        return self.routes.accounts or self.driver

    @property
    def jobs_driver(self) -> Driver | None:
        """The driver of job assignments and hierarchies, or None where the LMS has none."""
        return self.routes.jobs or (self.driver if self.driver in DOES_JOBS else None)

    @property
    def learning_driver(self) -> Driver:
        """The driver of completions and evidence; files where ``driver`` does not take them.

        Moodle takes them where there is a competency framework to rate in.
        """
        able = self.driver in DOES_LEARNING and (self.driver != "moodle-rest" or self.moodle.framework is not None)
        return self.routes.learning or (self.driver if able else "files")

    @property
    def drivers(self) -> set[Driver]:
        """All drivers in use."""
        found = {self.accounts_driver, self.jobs_driver, self.learning_driver}
        return {driver for driver in found if driver is not None}

    @property
    def rows(self) -> int:
        """Operations of one round."""
        return self.batch or (5_000 if self.accounts_driver == "totara-hr-import" else 200)

    def beside(self, folder: Path) -> Self:
        """Return the settings with relative paths read from ``folder``."""
        secret = self.graphql.client_secret_file
        return self.model_copy(
            update={
                "token_file": folder / self.token_file if self.token_file else None,
                "completions_profile": _placed(folder, self.completions_profile),
                "file_profiles": {name: _placed(folder, profile) for name, profile in self.file_profiles.items()},
                "graphql": self.graphql.model_copy(update={"client_secret_file": folder / secret if secret else None}),
                "connection": self.connection.beside(folder),
                "hr_import": self.hr_import.model_copy(update={"connection": self.hr_import.connection.beside(folder)}),
                "completion_upload": self.completion_upload.model_copy(
                    update={"connection": self.completion_upload.connection.beside(folder)}
                ),
            }
        )


def _placed(folder: Path, profile: str) -> str:
    """Return a profile's built-in name as it is, and a path as one from ``folder``."""
    return str(folder / profile) if profile.endswith((".yaml", ".yml")) else profile


def _private(url: str) -> bool:
    """Whether nobody else can read what is sent there: over TLS, or on this machine."""
    address = urlsplit(url)
    return address.scheme == "https" or address.hostname in ("127.0.0.1", "::1", "localhost")
