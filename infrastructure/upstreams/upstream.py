"""One service that we speak to over HTTP: its connections, its deadline, its failures.

The failures' messages are fit for a person, and name no host, key or URL::

    UpstreamFailure
    ├── Unreachable       no connection, or it broke off; the call may have been heard all the same
    ├── TimedOut          no answer in time; likewise
    └── Unintelligible    an answer that is not what the protocol says
"""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from typing import Any, TypeVar

import httpx
import msgspec
import structlog

CONNECT_TIMEOUT = 5.0
TIMEOUT = 10.0
"""Seconds for a whole call, waiting for a free connection included."""
IDLE_TIMEOUT = 4.0
"""Node servers drop an idle connection after 5 s; letting go first, we never write into its end."""
LONGEST_RETRY_AFTER = timedelta(hours=1)
"""An upstream that asks for more is asked again sooner, so that a slip of its pen costs an hour."""

USER_AGENT = f"MediaNest/{version('medianest')}"

T = TypeVar("T")


class UpstreamFailure(Exception):
    """The call came to nothing."""


class Unreachable(UpstreamFailure):
    """There is no connection, or there is none any more."""


class TimedOut(UpstreamFailure):
    """There was no answer in time."""


class Unintelligible(UpstreamFailure):
    """The answer is not what the protocol says."""


class Answer(msgspec.Struct, frozen=True):
    """What ``service`` answered, whatever the status."""

    service: str
    status: int
    body: bytes
    retry_after: timedelta | None = None

    def read(self, shape: type[T]) -> T:
        """The JSON body as ``shape``; unknown fields are ignored. Raises Unintelligible."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"{self.service} gave an answer that makes no sense."
            raise Unintelligible(message) from error


class Upstream:
    """A service and the connections to it; calls are made under the caller's correlation id.

    ``secret_parameters`` are added to every URL beneath the client, so that neither its log nor an
    exception shows them; such a service is not called through a proxy.
    """

    def __init__(
        self,
        service: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret_parameters: Mapping[str, str] | None = None,
        connections: int = 20,
        timeout: float = TIMEOUT,
    ) -> None:
        self._service = service
        self._timeout = timeout
        limits = httpx.Limits(max_connections=connections, keepalive_expiry=IDLE_TIMEOUT)
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})},
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
            limits=limits,
            verify=_tls(),
            transport=_SecretParameters(secret_parameters, limits) if secret_parameters else None,
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """The answer to ``body``, sent as JSON. Raises Unreachable, TimedOut or Unintelligible.

        ``headers`` are this call's alone; they may be secret, as neither log nor exception shows
        headers.
        """
        headers = {**_correlation(), **(headers or {})}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.request(
                    method, path, params=query, content=content, headers=headers
                )
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TimedOut(f"{self._service} did not answer in time.") from error
        except httpx.DecodingError as error:
            raise Unintelligible(f"{self._service} gave an answer that makes no sense.") from error
        except httpx.RequestError as error:
            raise Unreachable(f"{self._service} cannot be reached.") from error
        retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return Answer(self._service, response.status_code, response.content, retry_after)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long to wait, from seconds or an HTTP date, between nothing and LONGEST_RETRY_AFTER.

    ``None`` when the header is missing or says nothing sensible.
    """
    if value is None:
        return None
    try:
        wait = (
            timedelta(seconds=int(value))
            if value.strip().isdecimal()
            else parsedate_to_datetime(value) - now
        )
    except OverflowError:  # a number beyond all calendars
        wait = LONGEST_RETRY_AFTER
    except (ValueError, TypeError):  # no date, or one without a time zone
        return None
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)


def _correlation() -> dict[str, str]:
    correlation_id = structlog.contextvars.get_contextvars().get("correlation_id")
    return {"X-Correlation-Id": correlation_id} if isinstance(correlation_id, str) else {}


@cache
def _tls() -> ssl.SSLContext:
    """One for all upstreams: to read the certificate authorities takes 20 to 80 ms."""
    return httpx.create_ssl_context()


class _SecretParameters(httpx.AsyncHTTPTransport):
    def __init__(self, parameters: Mapping[str, str], limits: httpx.Limits) -> None:
        super().__init__(limits=limits, verify=_tls())
        self._parameters = dict(parameters)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await super().handle_async_request(
            httpx.Request(
                request.method,
                request.url.copy_merge_params(self._parameters),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        )
