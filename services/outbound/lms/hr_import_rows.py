"""Rows of HR Import's files, by Totara's columns."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from services.outbound.lms.port import Account, HierarchyItem, JobAssignment
from shared.lms_settings import HrImportSettings

Row = dict[str, str]
"""A row by column, without its time of change."""

USER_COLUMNS: Final = (
    "idnumber", "timemodified", "username", "deleted", "firstname", "lastname", "middlename", "email", "auth",
)  # fmt: skip
JOB_COLUMNS: Final = (
    "idnumber", "useridnumber", "timemodified", "deleted", "fullname", "startdate", "enddate", "orgidnumber",
    "posidnumber", "manageridnumber",
)  # fmt: skip
ITEM_COLUMNS: Final = ("idnumber", "fullname", "frameworkidnumber", "parentidnumber", "timemodified", "deleted")

#: To be applied whatever time of change the LMS holds.
FORCED: Final = "0"

_STRFTIME: Final = {"d/m/Y": "%d/%m/%Y", "m/d/Y": "%m/%d/%Y", "Y-m-d": "%Y-%m-%d"}


def account_row(account: Account, settings: HrImportSettings) -> Row:
    """Return the row that creates or changes an account; of one to be suspended, the row that suspends it.

    Where ``deleted`` suspends, a row that is not deleted opens the account. Where ``suspended`` does, it is left
    empty, which changes nothing: an administrator may have suspended them.
    """
    if account.suspended and settings.delete_mode == "suspend":
        return suspended_row(account.idnumber)
    row = {
        "idnumber": account.idnumber,
        "username": account.username,
        "deleted": "0",
        "firstname": account.first_name,
        "lastname": account.last_name,
        "middlename": account.middle_names,
        "email": account.email,
        "auth": account.auth,
    }
    if settings.delete_mode == "keep":
        row["suspended"] = "1" if account.suspended else ""
    for one in account.fields:
        row[f"customfield_{one.name}"] = day(one.value, settings) if one.kind == "date" else one.value
    return row


def suspended_row(idnumber: str) -> Row:
    """Return the row that suspends where ``deleted`` does: nothing else in it is looked at."""
    return {"idnumber": idnumber, "deleted": "1"}


def job_row(job: JobAssignment, settings: HrImportSettings, *, removed: bool = False, managed: bool = True) -> Row:
    """Return the row of a job assignment; ``managed`` says whether the manager is in it."""
    if removed:
        return {"idnumber": job.idnumber, "useridnumber": job.account, "deleted": "1"}
    row = {
        "idnumber": job.idnumber,
        "useridnumber": job.account,
        "deleted": "0",
        "fullname": job.full_name,
        "startdate": day(job.start, settings),
        "enddate": day(job.end, settings),
        "orgidnumber": job.organisation,
        "posidnumber": job.position,
    }
    if managed and job.manager:
        row |= {"manageridnumber": job.manager, manager_job_column(settings): job.manager_job}
    return row


def item_row(item: HierarchyItem, framework: str) -> Row:
    """Return the row of an organisation or a position."""
    return {
        "idnumber": item.idnumber,
        "fullname": item.full_name,
        "frameworkidnumber": framework,
        "parentidnumber": item.parent,
        "deleted": "0",
    }


def manager_job_column(settings: HrImportSettings) -> str:
    """Return the column of a manager's job assignment. Under its other name it would be ignored without a word."""
    return "managerjaidnumber" if settings.totara_version >= 13 else "managerjobassignmentidnumber"


def user_columns(rows: Iterable[Mapping[str, str]], settings: HrImportSettings) -> list[str]:
    """Return the header of ``user.csv``: a column that is enabled there and missing here refuses the whole file."""
    columns = list(USER_COLUMNS)
    if settings.delete_mode == "keep":
        columns.append("suspended")
    columns += settings.columns
    for row in rows:
        columns += row
    return list(dict.fromkeys(columns))


def job_columns(settings: HrImportSettings) -> list[str]:
    """Return the header of ``jobassignment.csv``."""
    return [*JOB_COLUMNS, manager_job_column(settings)]


def encodable(row: Mapping[str, str], settings: HrImportSettings) -> bool:
    """Whether the source's encoding has all letters of a row; HR Import drops others without a word."""
    try:
        "".join(row.values()).encode(settings.encoding)
    except UnicodeEncodeError:
        return False
    return True


def written(columns: Sequence[str], rows: Iterable[Mapping[str, str]], settings: HrImportSettings) -> bytes:
    """Return a file; what a row does not say is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=settings.delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue().encode(settings.encoding)


def day(iso: str, settings: HrImportSettings) -> str:
    """Return a day in the site's format; empty stays empty."""
    return date.fromisoformat(iso).strftime(_STRFTIME[settings.date_format]) if iso else ""
