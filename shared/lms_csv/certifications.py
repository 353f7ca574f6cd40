"""From rows of a certification report to where people stand with their certifications."""

from collections.abc import Mapping

from shared.codes import LmsCode
from shared.lms_csv.subjects import HISTORY
from shared.lms_csv.values import Reading
from shared.lms_csv.wrong import Wrong


class CertificationReading(Reading):
    """How the values of a certification report are understood.

    Totara keeps dates for people who are certified, before the window opens and while it is open, and for nobody else.
    Its status tells whether the way to the next certification was begun; another column tells whether it is due.
    """

    def take(self, values: Mapping[str, str]) -> tuple[dict[str, str], list[Wrong]]:
        """Return a row's fields and everything that is wrong with them. Blank values count as missing.

        ``status`` is missing where the report does not say it and there is no completion to tell it by.
        """
        fields, wrong = self._understood(values)
        self._tell_status(fields, wrong)
        needs_date = fields.get("status") in ("certified", "window-open", HISTORY)
        mandatory = (*self._profile.subject.mandatory, *(("completed_at",) if needs_date else ()))
        wrong += [self._wrong(LmsCode.L101, name) for name in mandatory if name not in fields]
        return fields, wrong

    def _tell_status(self, fields: dict[str, str], wrong: list[Wrong]) -> None:
        """Bring the status into our words: what the column of renewals says stands above it."""
        renewal = self._profile.statuses.get(fields.pop("renewal", "").casefold())
        said = fields.get("status", "")
        if "status" in self._fixed:
            return
        status = self._profile.statuses.get(said.casefold(), "")
        if said and not status:
            wrong.append(self._wrong(LmsCode.L107, "status"))
            return
        if renewal in ("window-open", "expired"):
            status = renewal
        elif "completed_at" in fields and status in ("", "assigned"):
            status = "window-open" if status else "certified"  # who has a date and goes on, is on the way to the next
        if status:
            fields["status"] = status
