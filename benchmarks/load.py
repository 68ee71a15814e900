"""Load over HTTP: keep-alive connections that each wait for an answer before they ask again.

It is as lean as Python allows, so that the server and not the load has the machine.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import cast

import httptools
import msgspec

HEADERS = "Host: 127.0.0.1\r\nUser-Agent: benchmarks\r\nAccept: */*\r\n"
"""What every client sends."""


def get(path: str, **headers: str) -> bytes:
    """The bytes of a GET; an underscore in the name of a header is a hyphen."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\n{HEADERS}{more}\r\n".encode()


def post(path: str, body: object) -> bytes:
    """The bytes of a POST with ``body`` as JSON."""
    content = msgspec.json.encode(body)
    more = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"POST {path} HTTP/1.1\r\n{HEADERS}{more}\r\n".encode() + content


class Answer(msgspec.Struct, frozen=True):
    """What came back, after how many seconds."""

    status: int
    body: bytes
    seconds: float


class Connection(asyncio.Protocol):
    """Asks one thing at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    async def ask(self, request: bytes) -> Answer:
        """The whole answer. Raises ConnectionResetError when none comes."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(request)
        status, body = await self._waiting
        return Answer(status, body, time.perf_counter() - began)

    def close(self) -> None:
        """Let go of it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("The server hung up."))

    def on_body(self, body: bytes) -> None:
        """A part of an answer was parsed."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """An answer was parsed."""
        body = b"".join(self._body)
        self._body.clear()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((self._parser.get_status_code(), body))


@asynccontextmanager
async def connected(port: int, number: int) -> AsyncGenerator[list[Connection]]:
    """So many connections to a server on this machine."""
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    try:
        for _ in range(number):
            _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
            opened.append(connection)
        yield opened
    finally:
        for connection in opened:
            connection.close()


class Load(msgspec.Struct, frozen=True):
    """What a load was answered: the seconds that each answer took, and the statuses."""

    latencies: list[float]
    statuses: Mapping[int, int]


async def keep_asking(
    connections: Sequence[Connection], requests: Sequence[Sequence[bytes]], seconds: float
) -> Load:
    """Ask on every connection for so long, each for its own ``requests`` in turn."""
    until = time.perf_counter() + seconds
    latencies: list[float] = []
    statuses: Counter[int] = Counter()

    async def ask(connection: Connection, own: Sequence[bytes]) -> None:
        for request in cycle(own):
            answer = await connection.ask(request)
            latencies.append(answer.seconds)
            statuses[answer.status] += 1
            if time.perf_counter() >= until:
                return

    turns = islice(cycle(requests), len(connections))
    await asyncio.gather(*map(ask, connections, turns))
    return Load(latencies, statuses)
