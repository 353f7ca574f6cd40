"""Driver ``sandbox``: HTTP to the sandbox LMS."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from services.outbound.lms.port import Account, Answer, Certification, Evidence
from shared.errors import LmsUnavailableError

DEADLINE: Final = 30.0


class SandboxDriver:
    """Speaks to ``POST /api/operations``. ``transport`` lets the embedded mode call it without a socket."""

    def __init__(self, url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE, transport=transport
        )

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

    async def record_completion(self, certifications: Sequence[Certification]) -> list[Answer]:
        """Record completions."""
        return await self._operate(
            [
                {
                    "operation": "record_completion",
                    "idnumber": one.idnumber,
                    "certification": one.certification,
                    "completed_on": one.completed_on,
                    "expires_on": one.expires_on or None,
                }
                for one in certifications
            ]
        )

    async def add_evidence(self, evidence: Sequence[Evidence]) -> list[Answer]:
        """Add evidence."""
        return await self._operate(
            [
                {
                    "operation": "add_evidence",
                    "idnumber": one.idnumber,
                    "reference": one.reference,
                    "name": one.name,
                    "completed_on": one.completed_on,
                    "expires_on": one.expires_on or None,
                }
                for one in evidence
            ]
        )

    async def find_account(self, idnumber: str) -> Account | None:
        """Look an account up."""
        response = await self._send("GET", f"/api/accounts/{idnumber}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        with _understood():
            found = response.json()
            return Account(
                idnumber=found["idnumber"],
                username=found["username"],
                first_name=found["firstname"],
                last_name=found["lastname"],
                email=found["email"],
                account_type=found["account_type"],
                suspended=bool(found["suspended"]),
            )

    async def close(self) -> None:
        """Close the connection pool."""
        await self._client.aclose()

    async def _operate(self, operations: list[dict[str, Any]]) -> list[Answer]:
        if not operations:
            return []
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
        raise LmsUnavailableError(f"the LMS answered HTTP {response.status_code}")


@contextmanager
def _understood() -> Iterator[None]:
    """An answer of another shape comes from something in between (a proxy's page): the outcome is unknown."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise LmsUnavailableError(f"what answered is not the LMS ({type(error).__name__})") from None


def _account(operation: str, account: Account) -> dict[str, Any]:
    return {
        "operation": operation,
        "idnumber": account.idnumber,
        "username": account.username,
        "firstname": account.first_name,
        "lastname": account.last_name,
        "email": account.email,
        "account_type": account.account_type,
        "fields": {},
    }
