"""Speaks to Totara's external API: a token, and lists of documents, each of which is done or refused by itself."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import httpx

from services.outbound.lms.totara_replies import LOST, TOKEN, UNTOLD, Reply, read_reply
from shared.errors import BridgeError, LmsBusyError, LmsMisconfiguredError, LmsUnavailableError
from shared.lms_settings import LmsSettings

TOKEN_PATH: Final = "/totara/oauth2/token.php"  # noqa: S105 - a path
API_PATH: Final = "/api/graphql.php"

Document = Mapping[str, Any]
"""A query or one mutation, with its variables."""

_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_UNDECIDED: Final = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


class LostReplyError(LmsUnavailableError):
    """The request may have been worked on, and no usable answer came."""


class TotaraCall:
    """One site, as its service account sees it. ``secret`` is asked again for each token, so that it can be changed."""

    def __init__(
        self, settings: LmsSettings, secret: Callable[[], str], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client_id = settings.graphql.client_id
        self._batch = settings.graphql.batch
        self._secret = secret
        self._token = ""
        self._client = httpx.AsyncClient(
            base_url=settings.url, timeout=settings.timeout_seconds, transport=transport, follow_redirects=False
        )

    async def close(self) -> None:
        """Close the connection pool."""
        await self._client.aclose()

    async def ask(self, document: Document) -> Reply:
        """Return the reply to one document. Raises as ``ask_all``."""
        return (await self.ask_all([document]))[0]

    async def mutate(self, documents: Sequence[Document]) -> list[Reply]:
        """Send mutations, some in each request, and return a reply to each; the code ``unknown`` where none came.

        Raises as ``ask_all``, but only while nothing is known of any of them.
        """
        replies: list[Reply] = []
        for start in range(0, len(documents), self._batch):
            try:
                replies += await self.ask_all(documents[start : start + self._batch])
            except LostReplyError:
                break
            except BridgeError:
                if not replies:
                    raise
                break
        return replies + [LOST] * (len(documents) - len(replies))

    async def ask_all(self, documents: Sequence[Document]) -> list[Reply]:
        """Return the replies to documents that go in one request; a token that ran out is renewed once.

        Raises LmsBusyError over the rate limit, LmsUnavailableError when nothing was done, LostReplyError when that
        is not known, LmsMisconfiguredError when the client or its service account is refused.
        """
        fresh = not self._token
        for _ in range(2):
            if not self._token:
                self._token = await self._new_token()
            replies = await self._post(documents)
            if not any(reply.code == TOKEN for reply in replies):
                return replies
            self._token = ""  # nothing was done: it is looked at before the documents are
            if fresh:
                break
            fresh = True
        raise LmsMisconfiguredError("the LMS refuses tokens it has just given; is the API client enabled there?")

    async def _post(self, documents: Sequence[Document]) -> list[Reply]:
        headers = {"Authorization": f"Bearer {self._token}"}
        response = await self._send(API_PATH, json=list(documents), headers=headers)
        try:
            body = response.json()
        except ValueError:
            raise LostReplyError("what the LMS answered cannot be read") from None
        if isinstance(body, dict):  # the request as a whole is refused
            return [self._refused(read_reply(body))]
        if not isinstance(body, list) or len(body) != len(documents):
            raise LostReplyError("the LMS answered another number of documents than it was sent")
        try:
            return [read_reply(one) for one in body]
        except LmsUnavailableError as error:
            raise LostReplyError(error.sentence) from None

    def _refused(self, reply: Reply) -> Reply:
        if reply.code == "service-account":
            raise LmsMisconfiguredError("the service account of the API client is suspended or deleted in the LMS")
        if reply.code in (TOKEN, UNTOLD):  # an error level of "none" hides that a token ran out
            return Reply(None, TOKEN)
        raise LmsMisconfiguredError("the LMS refuses what its API is asked; is it Totara 17 or later?")

    async def _new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret(),
        }
        response = await self._send(TOKEN_PATH, data=form)
        try:
            body = response.json()  # whatever the content type says
        except ValueError:
            raise LmsUnavailableError("what the LMS's token page answered cannot be read") from None
        token = body.get("access_token") if isinstance(body, dict) else None
        if isinstance(token, str) and token:
            return token
        raise LmsMisconfiguredError(
            "the LMS gives no token: check 'graphql.client_id', the client's secret and that the client is enabled"
        )

    async def _send(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        try:
            response = await self._client.post(path, **options)
        except _NEVER_SENT as error:
            raise LmsUnavailableError(f"the LMS cannot be reached ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise LostReplyError(f"the LMS did not answer ({type(error).__name__})") from None
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise LmsBusyError("the LMS counts too many requests in this minute")
        if response.status_code in _UNDECIDED:
            raise LostReplyError(f"the LMS answered HTTP {response.status_code}")
        if not response.is_success:
            raise LmsUnavailableError(f"the LMS answered HTTP {response.status_code}")
        return response
