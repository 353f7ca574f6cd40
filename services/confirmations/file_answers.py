"""What ESR's answers to a completion file as a whole say of its records, and what is odd about them. No I/O here."""

from collections.abc import Sequence

from services.confirmations.domain import Detail, FileAnswer, Outcome, Whole
from shared.codes import ConfirmationCode as C


def whole_file(heads: Sequence[FileAnswer], detail: Detail) -> Whole | None:
    """Return what the newest answer to a file that says something of its records says of them; None when none does."""
    found: Whole | None = None
    for head in sorted(heads, key=lambda one: (one.version.order, one.version.file)):
        outcome = _implied(head, detail)
        if outcome is not None and (found is None or found.outcome != outcome):
            found = Whole(outcome, head.version)
    return found


def _implied(head: FileAnswer, detail: Detail) -> Outcome | None:
    if head.status == "FAIL":
        return Outcome("rejected", head.code)
    if detail == "file_only":
        return Outcome("confirmed") if head.status == "SUCCESS" else None
    if detail == "exceptions_only" and head.status in ("SUCCESS", "PARTIAL") and head.complete:
        # Where a refusal is missing, nobody knows which record it is about.
        return Outcome("confirmed") if head.seen[2] == head.counts[2] else None
    return None


def head_findings(head: FileAnswer, detail: Detail, *, confirmed: bool) -> set[str]:
    """Return what is odd about an answer to a file; ``confirmed``: records of it were confirmed each by itself."""
    found: set[str] = set()
    if head.status == "FAIL":
        return {C.C110} if confirmed else found
    if head.status == "DUPLICATE":
        return found
    if head.complete and _miscounted(head, detail):
        found.add(C.C107)
    if detail == "file_only" and head.status == "PARTIAL" and head.complete and not any(head.seen):
        found.add(C.C109)
    return found


def _miscounted(head: FileAnswer, detail: Detail) -> bool:
    if detail == "file_only":
        return any(head.seen) and head.seen[2] != head.counts[2]
    first = 0 if detail == "every_record" else 1
    return head.seen[first:] != head.counts[first:]
