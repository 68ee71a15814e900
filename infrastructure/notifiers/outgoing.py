"""HTTP to addresses that people have chosen: no redirects, no proxies, nowhere it should not go.

The name is resolved once, every address of it is judged, and the connection goes to one that was
judged: a name that points elsewhere a moment later gains nothing.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

import httpx
import msgspec

from application.ports.notifiers import DeliveryFailed, Undeliverable
from infrastructure.upstreams.upstream import USER_AGENT, parse_retry_after

IpAddress: TypeAlias = IPv4Address | IPv6Address

TIMEOUT = 10.0
"""Seconds for a whole call."""
METADATA = frozenset(map(ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))
"""Where clouds tell the secrets of a machine to whatever runs on it: never a person's address."""


class Outgoing:
    """Posts to the world. ``private`` allows addresses of one's own network and machine."""

    def __init__(self, *, private: bool, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT},
            timeout=timeout,
            trust_env=False,
            transport=_Judging(private=private),
        )

    async def post(
        self,
        url: str,
        *,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        wait_of: Callable[[bytes], timedelta | None] | None = None,
    ) -> None:
        """Have ``body``, sent as JSON, or ``content`` taken.

        ``wait_of`` reads from the body of a refusal when to try again, where the service tells it
        there. Raises Undeliverable or DeliveryFailed; no message shows the URL, which may be
        secret.
        """
        headers = dict(headers or {})
        if content is None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._client.post(
                    url, content=content, headers=headers, params=query
                )
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
            raise Undeliverable("The address is no URL of a web server.") from None
        except (TimeoutError, httpx.TimeoutException):
            raise DeliveryFailed("There was no answer in time.") from None
        except httpx.RequestError:
            raise DeliveryFailed("The address cannot be reached.") from None
        _check(answer, wait_of(answer.content) if wait_of else None)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _check(answer: httpx.Response, wait: timedelta | None) -> None:
    """Raises Undeliverable or DeliveryFailed unless the answer is a success.

    429 and 5xx pass, as do those that a proxy gives for a server that is starting; what else is
    refused would be refused again.
    """
    if answer.is_success:
        return
    told = f"The answer was {answer.status_code}{_reason(answer)}."
    status = answer.status_code
    waits = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
    if status in waits or answer.is_server_error:
        header = parse_retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
        raise DeliveryFailed(told, wait or header)
    raise Undeliverable(told)


def _reason(answer: httpx.Response) -> str:
    try:
        phrase = HTTPStatus(answer.status_code).phrase
    except ValueError:
        return ""
    return f" {phrase}"


class _Judging(httpx.AsyncHTTPTransport):
    """Connects to addresses that were judged, under the name that was asked for."""

    def __init__(self, *, private: bool) -> None:
        super().__init__()
        self._private = private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = request.url.host, request.url.port
        if request.url.scheme not in {"http", "https"} or not host:
            raise httpx.UnsupportedProtocol("It is no web server.")
        chosen = await self._judged(host, port or (443 if request.url.scheme == "https" else 80))
        request.headers.setdefault("Host", request.url.netloc.decode("ascii"))
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=chosen)
        return await super().handle_async_request(request)

    async def _judged(self, host: str, port: int) -> str:
        """One of the addresses of ``host``, all of which are allowed."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except OSError:
            raise DeliveryFailed("The name of the address is not known.") from None
        addresses = [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
        if not all(self._allows(address) for address in addresses):
            raise Undeliverable("The address leads to where messages may not go.")
        return str(_preferred(addresses))

    def _allows(self, address: IpAddress) -> bool:
        address = getattr(address, "ipv4_mapped", None) or address
        if address in METADATA or address.is_multicast or address.is_unspecified:
            return False
        return address.is_global or (self._private and not address.is_link_local)


def _preferred(addresses: Sequence[IpAddress]) -> IpAddress:
    """IPv4 if there is any, which works in every home."""
    return next((each for each in addresses if isinstance(each, IPv4Address)), addresses[0])
