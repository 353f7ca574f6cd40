"""The account a trust wants its people to have: the section ``accounts`` of a trust in ``bridge.yaml``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.lms_settings import Shortname

Source = Literal[
    "account_type",
    "person_id",
    "employee_number",
    "applicant_number",
    "assignment_number",
    "title",
    "preferred_name",
    "birth_date",
    "ni_number",
    "hire_date",
    "termination_date",
    "position_id",
    "position_name",
    "organisation_id",
    "organisation_name",
    "location_id",
    "staff_group",
    "job_role",
    "grade",
    "payroll",
    "manager",
    "kind",
]
"""What of a person can be sent to a profile field. ``manager`` is the idnumber of the manager's account."""

_DATES = frozenset({"birth_date", "hire_date", "termination_date"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FieldMapping(_Section):
    """One profile field of the LMS, and where its value comes from."""

    source: Source = Field(alias="from")
    to: Shortname
    kind: Literal["text", "menu", "checkbox", "date"] = "text"
    """The profile field's type in the LMS. ``date`` is for birth date, hire date and termination date only."""
    values: dict[str, str] = Field(default_factory=dict)
    """What to send for which value, such as ``{TEMP: Temporary, PERM: Permanent}``; others are sent as they are."""
    options: tuple[str, ...] = ()
    """The options of a menu. A value that is none of them is not sent: an LMS may erase what it does not know."""
    applicants: bool = True
    """Whether it is sent for applicants too, or only once they are staff."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind == "date" and self.source not in _DATES:
            raise ValueError(f"'{self.source}' is not a date")
        if self.kind == "menu" and not self.options:
            raise ValueError("a menu needs its 'options'")
        return self


class LinkSettings(_Section):
    """How an account that was in the LMS before is known to be a person's.

    ``by``: ``ni_number`` (with birth date and last name), ``employee_number``, ``email`` or ``directory`` (each with
    the last name); ``nothing``: everybody gets a new account. The others name the profile fields that hold them.
    """

    by: Literal["nothing", "ni_number", "employee_number", "email", "directory"] = "nothing"
    ni_number_field: Shortname | None = None
    birth_date_field: Shortname | None = None
    employee_number_field: Shortname | None = None
    """Empty: the account's idnumber is the employee number."""

    @model_validator(mode="after")
    def _names_its_fields(self) -> Self:
        if self.by == "ni_number" and not (self.ni_number_field and self.birth_date_field):
            raise ValueError("linking by ni_number needs 'ni_number_field' and 'birth_date_field'")
        return self


class DirectorySettings(_Section):
    """The trust's directory (LDAP), where user names are looked up by employee number."""

    url: str = ""
    """``ldaps://host`` or ``ldap://host`` (then with StartTLS, unless it is this machine)."""
    base: str = ""
    """Where people stand, as a distinguished name."""
    bind: str = ""
    """Distinguished name to log in as; empty: without a login."""
    password_file: Path | None = None
    ca_file: Path | None = None
    """Certificates (PEM) that vouch for the directory; without it the system's own are trusted."""
    search: str = "employeeNumber"
    """Attribute that holds the employee number."""
    attribute: str = "uid"
    """Attribute that is the user name, such as ``uid``, ``sAMAccountName`` or ``mail``."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)


class AccountPolicy(_Section):
    """How accounts are made, kept and closed."""

    username: Literal["employee_number", "email", "person_id", "directory"] = "employee_number"
    """What the user name is taken from; applicants, who have no employee number, fall back to the person ID."""
    auth: str = Field(default="manual", pattern=r"^[a-z][a-z0-9_]{0,19}$")
    """The LMS's authentication method for staff."""
    applicant_auth: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,19})?$")
    """The method for applicants, who are not in the trust's directory yet; empty: the same."""
    fields: tuple[FieldMapping, ...] = ()
    jobs: bool = False
    """Whether job assignments, with managers, follow ESR."""
    hierarchies: bool = False
    """Whether organisations and positions follow ESR."""
    suspend_on_termination: bool = True
    suspend_after_days: int = Field(default=0, ge=0, le=3650)
    """Days an account stays open after the last day of employment; 0: it is closed the day after."""
    reactivate_on_rehire: bool = True
    """Whether an account that was closed is opened again for somebody who comes back; else an operator does it."""
    max_suspensions_percent: float = Field(default=2.0, ge=0, le=100)
    """More suspensions in a day, as a share of open accounts, wait for an operator."""
    max_suspensions_always: int = Field(default=5, ge=0)
    """So many suspensions in a day never wait, however few accounts there are."""
    link: LinkSettings = LinkSettings()
    directory: DirectorySettings = DirectorySettings()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        looks_up = self.username == "directory" or self.link.by == "directory"
        if looks_up and not (self.directory.url and self.directory.base):
            raise ValueError("user names from the directory need 'directory.url' and 'directory.base'")
        names = [field.to for field in self.fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"profile field {twice[0]} is filled more than once")
        if self.hierarchies < self.jobs:
            raise ValueError("'jobs' needs 'hierarchies': a job names its organisation and position")
        return self

    def beside(self, folder: Path) -> Self:
        """Return the policy with relative paths read from ``folder``."""
        told = self.directory
        directory = told.model_copy(
            update={
                "password_file": folder / told.password_file if told.password_file else None,
                "ca_file": folder / told.ca_file if told.ca_file else None,
            }
        )
        return self.model_copy(update={"directory": directory})
