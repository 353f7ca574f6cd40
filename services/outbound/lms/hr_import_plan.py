"""Decides what of a batch can go into one file: HR Import checks a row against the others and against what is there.

What has to wait for another row is answered as unknown, so that it is sent again once the file was imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.outbound.lms.port import Account, HierarchyItem, JobAssignment

LATER_EMAIL: Final = "email-later"
LATER_MANAGER: Final = "manager-later"
LATER_PARENT: Final = "parent-later"

BETWEEN: Final = "no-mail.invalid"
"""Where an address points that is only held while two people exchange theirs; it can never be delivered to."""


@dataclass(frozen=True, slots=True)
class EmailPlan:
    """Accounts by idnumber as they are to be sent now, and those that are to come again."""

    now: Mapping[str, Account]
    again: frozenset[str]


def plan_emails(accounts: Mapping[str, Account], held: Mapping[str, str]) -> EmailPlan:
    """Send nobody an address that somebody of the same file is still to give up: both rows would be skipped.

    ``held`` has the addresses people have there, as far as that is known. Where they wait for each other in a circle,
    one of them gets an address in between.
    """
    owner = {held[key].lower(): key for key in accounts if held.get(key)}
    waits: dict[str, str] = {}
    for key, account in accounts.items():
        other = owner.get(account.email.lower(), key)
        if other != key and accounts[other].email.lower() != account.email.lower():
            waits[key] = other
    moved = {min(circle) for circle in _circles(waits)}
    now = {key: account for key, account in accounts.items() if key not in waits}
    now |= {key: replace(accounts[key], email=f"moved-{key.lower()}@{BETWEEN}") for key in moved}
    return EmailPlan(now, frozenset(waits))


def taken_twice(accounts: Mapping[str, Account]) -> dict[str, str]:
    """Return who wants a name or an address that another of the same file wants: all of them would be skipped."""
    names: dict[str, str] = {}
    emails: dict[str, str] = {}
    taken: dict[str, str] = {}
    for key, account in accounts.items():
        if names.setdefault(account.username.lower(), key) != key:
            taken[key] = "username-taken"
        elif emails.setdefault(account.email.lower(), key) != key:
            taken[key] = "email-taken"
    return taken


@dataclass(frozen=True, slots=True)
class JobPlan:
    """Jobs in order, managers first; the keys of those that go without their manager for now."""

    order: Sequence[JobAssignment]
    unmanaged: frozenset[str]


def plan_jobs(jobs: Mapping[str, JobAssignment]) -> JobPlan:
    """Break circles of managers: two new rows that manage each other are both refused."""
    waits = {key: job.manager_job for key, job in jobs.items() if job.manager_job in jobs and job.manager_job != key}
    unmanaged = {min(circle) for circle in _circles(waits)}
    for key in unmanaged:
        del waits[key]
    return JobPlan([jobs[key] for key in _ordered(jobs, waits)], frozenset(unmanaged))


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """Organisations or positions in order, parents first, and the code for each that cannot go."""

    order: Sequence[HierarchyItem]
    refused: Mapping[str, str]
    later: frozenset[str]


def plan_items(items: Mapping[str, HierarchyItem], known: Mapping[str, bool]) -> ItemPlan:
    """Leave out whoever's parent is neither in the file nor known: one such row and nothing of a file is imported.

    ``known`` has those that were sent before, and whether they are there for certain.
    """
    refused: dict[str, str] = {}
    later: set[str] = set()
    waits = {key: item.parent for key, item in items.items() if item.parent in items}
    for circle in _circles(waits):
        refused |= dict.fromkeys(circle, "parent-circle")
    for key in _ordered(items, {key: parent for key, parent in waits.items() if key not in refused}):
        parent = items[key].parent
        if key in refused or not parent:
            continue
        if parent in refused or (parent not in items and parent not in known):
            refused[key] = "parent-unknown"
        elif parent in later or (parent not in items and not known[parent]):
            later.add(key)
    order = [items[key] for key in _ordered(items, waits) if key not in refused and key not in later]
    return ItemPlan(order, refused, frozenset(later))


def _circles(waits: Mapping[str, str]) -> list[set[str]]:
    """Return the circles among those who each wait for one other."""
    found: list[set[str]] = []
    settled: set[str] = set()
    for start in waits:
        path: list[str] = []
        key = start
        while key in waits and key not in settled and key not in path:
            path.append(key)
            key = waits[key]
        if key in path:
            found.append(set(path[path.index(key) :]))
        settled.update(path)
    return found


def _ordered(keys: Mapping[str, object], waits: Mapping[str, str]) -> list[str]:
    """Return keys so that whoever is waited for comes first, where there is no circle."""
    order: dict[str, None] = {}
    for start in keys:
        path: list[str] = []
        key: str | None = start
        while key is not None and key not in order and key not in path:
            path.append(key)
            key = waits.get(key)
        order |= dict.fromkeys(reversed(path))
    return list(order)
