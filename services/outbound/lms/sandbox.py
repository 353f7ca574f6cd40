"""Driver ``sandbox``: HTTP to the sandbox LMS."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from services.outbound.lms.port import (
    Account,
    Answer,
    Candidate,
    Certification,
    Evidence,
    Finding,
    HierarchyItem,
    JobAssignment,
    News,
    Sought,
)
from shared.errors import LmsMisconfiguredError, LmsUnavailableError

DEADLINE: Final = 30.0
AT_ONCE: Final = 200

Json = dict[str, Any]


class SandboxDriver:
    """Speaks to ``POST /api/operations``. ``transport`` lets the embedded mode call it without a socket."""

    settling: float = 1.0

    def __init__(self, url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE, transport=transport
        )

    async def check(self) -> list[Finding]:
        """Return nothing: the sandbox keeps what it is sent."""
        return []

    async def news(self) -> list[News]:
        """Return nothing: every answer tells the outcome."""
        return []

    async def noted(self) -> None:
        """Nothing was told."""

    async def ensure_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Create or update accounts."""
        return await self._operate([_account("ensure_account", account) for account in accounts])

    async def update_account(self, accounts: Sequence[Account]) -> list[Answer]:
        """Change accounts."""
        return await self._operate([_account("update_account", account) for account in accounts])

    async def suspend(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Suspend accounts."""
        return await self._operate([{"operation": "suspend", "idnumber": idnumber} for idnumber in idnumbers])

    async def reactivate(self, idnumbers: Sequence[str]) -> list[Answer]:
        """Reactivate accounts."""
        return await self._operate([{"operation": "reactivate", "idnumber": idnumber} for idnumber in idnumbers])

    async def adopt(self, lms_id: str, idnumber: str, *, instead_of: str = "") -> Answer:
        """Give an account another idnumber, whatever it has now."""
        del instead_of
        return (await self._operate([{"operation": "adopt", "account": int(lms_id), "idnumber": idnumber}]))[0]

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Record completions."""
        return await self._operate([_completion(one) for one in certifications])

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Add evidence."""
        return await self._operate([_evidence(one) for one in evidence])

    async def withdraw_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Take completions back."""
        return await self._operate([_completion(one) | {"operation": "withdraw_completion"} for one in certifications])

    async def withdraw_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Take evidence back."""
        return await self._operate([_evidence(one) | {"operation": "withdraw_evidence"} for one in evidence])

    async def put_hierarchy(self, items: Sequence[HierarchyItem]) -> list[Answer]:
        """Create or change organisations and positions."""
        return await self._operate([_item(one) for one in items])

    async def put_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Create or change job assignments."""
        return await self._operate([_job(one) for one in jobs])

    async def remove_job_assignment(self, jobs: Sequence[JobAssignment]) -> list[Answer]:
        """Take job assignments away."""
        return await self._operate(
            [{"operation": "remove_job", "idnumber": one.account, "job": one.idnumber} for one in jobs]
        )

    async def find_account(self, idnumber: str) -> Candidate | None:
        """Look an account up."""
        response = await self._send("GET", f"/api/accounts/{idnumber}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        with _understood():
            return _candidate(response.json())

    async def candidates(self, sought: Sequence[Sought]) -> list[list[Candidate]]:
        """Look for accounts with the same user name, e-mail address, first or last name."""
        found = []
        for one in sought:
            shared = {"username": one.username, "email": one.email, "lastname": one.last_name}
            shared |= {"firstname": one.first_name}
            known = {name: value for name, value in shared.items() if value}
            accounts: list[Candidate] = []
            if known:
                response = await self._send("GET", "/api/accounts", params=known)
                with _understood():
                    accounts = [_candidate(account) for account in response.json()["accounts"]]
            found.append(accounts)
        return found

    async def close(self) -> None:
        """Close the connection pool."""
        await self._client.aclose()

    async def _operate(self, operations: Sequence[Mapping[str, Any]]) -> list[Answer]:
        calls = [operations[first : first + AT_ONCE] for first in range(0, len(operations), AT_ONCE)]
        return [answer for some in calls for answer in await self._post(some)]

    async def _post(self, operations: Sequence[Mapping[str, Any]]) -> list[Answer]:
        response = await self._send("POST", "/api/operations", json={"operations": operations})
        with _understood():
            answers = [
                Answer("applied" if one["status"] == "applied" else "rejected", one["code"])
                for one in response.json()["answers"]
            ]
        if len(answers) != len(operations):
            raise LmsUnavailableError("the LMS answered another number of operations than it was sent")
        return answers

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        try:
            response = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise LmsUnavailableError(f"the LMS did not answer ({type(error).__name__})") from error
        absent = method == "GET" and response.status_code == httpx.codes.NOT_FOUND
        if response.is_success or absent:
            return response
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise LmsMisconfiguredError("the LMS answered HTTP 401: it refuses the token ('lms.token_file')")
        raise LmsUnavailableError(f"the LMS answered HTTP {response.status_code}")


@contextmanager
def _understood() -> Iterator[None]:
    """An answer of another shape comes from something in between (a proxy's page): the outcome is unknown."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LmsUnavailableError(f"what answered is not the LMS ({type(error).__name__})") from None


def _candidate(found: Json) -> Candidate:
    return Candidate(
        lms_id=str(found["id"]),
        idnumber=found["idnumber"],
        username=found["username"],
        first_name=found["firstname"],
        last_name=found["lastname"],
        email=found["email"],
        suspended=bool(found["suspended"]),
        fields={"account_type": found["account_type"], **found["fields"]},
    )


def _account(operation: str, account: Account) -> Json:
    own = {"middlename": account.middle_names, "auth": account.auth}
    return {
        "operation": operation,
        "idnumber": account.idnumber,
        "username": account.username,
        "firstname": account.first_name,
        "lastname": account.last_name,
        "email": account.email,
        "account_type": account.account_type,
        "fields": own | {field.name: field.value for field in account.fields},
    }


def _completion(one: Certification) -> Json:
    return {
        "operation": "record_completion",
        "idnumber": one.idnumber,
        "certification": one.certification,
        "completed_on": one.completed_on,
        "expires_on": one.expires_on or None,
    }


def _evidence(one: Evidence) -> Json:
    return {
        "operation": "add_evidence",
        "idnumber": one.idnumber,
        "reference": one.reference,
        "name": one.name,
        "completed_on": one.completed_on,
        "expires_on": one.expires_on or None,
    }


def _item(one: HierarchyItem) -> Json:
    return {
        "operation": "put_hierarchy",
        "kind": one.kind,
        "idnumber": one.idnumber,
        "full_name": one.full_name,
        "parent": one.parent,
    }


def _job(one: JobAssignment) -> Json:
    return {
        "operation": "put_job",
        "idnumber": one.account,
        "job": one.idnumber,
        "full_name": one.full_name,
        "start": one.start,
        "end": one.end,
        "organisation": one.organisation,
        "position": one.position,
        "manager": one.manager,
        "manager_job": one.manager_job,
    }
