"""A server on a free port of this machine, and clients of its WebSocket."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from infrastructure.server import serve
from interfaces.http.app import Application
from interfaces.realtime.websocket import LiveSockets
from tests.interfaces.house import Person

PATIENCE = 5.0
"""Seconds until a test stops waiting for a message."""


@asynccontextmanager
async def served(
    app: Application | LiveSockets, *, send_buffer: int | None = None
) -> AsyncGenerator[int]:
    """Serve ``app`` as in production; gives the port."""
    with socket.socket() as listener:
        if send_buffer is not None:  # accepted sockets inherit it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        serving = asyncio.create_task(serve(app, listener, app.drain))
        await asyncio.sleep(0.05)
        try:
            yield listener.getsockname()[1]
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


class Client:
    """One end of a WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    @property
    def correlation_id(self) -> str:
        assert self._connection.response is not None
        return self._connection.response.headers["X-Correlation-Id"]

    async def say(self, **message: Any) -> None:
        await self._connection.send(json.dumps(message))

    async def say_raw(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def leave(self) -> None:
        await self._connection.close()

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self._connection.recv())

    async def hear_all(self, count: int) -> list[dict[str, Any]]:
        return [await self.hear() for _ in range(count)]

    async def hears_nothing(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                heard = await self._connection.recv()
                raise AssertionError(heard)

    async def subscribe(self, *topics: str, position: int | None = None) -> int:
        """Subscribe; gives the position behind which messages follow."""
        wish = {} if position is None else {"from": position}
        await self.say(type="subscribe", topics=topics or ["requests"], **wish)
        answer = await self.hear()
        assert answer["type"] == "subscribed"
        assert set(answer["topics"]) == set(topics or ["requests"])
        return answer["position"]

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server ends it, whatever it says before."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self._connection.recv()
        assert self._connection.close_code is not None
        return self._connection.close_code, self._connection.close_reason or ""


@asynccontextmanager
async def connected(
    port: int,
    person: Person | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    path: str = "/api/v1/ws",
    **options: Any,
) -> AsyncGenerator[Client]:
    """A client of the server on ``port``, signed in as ``person`` by its header, or by others.

    It vanishes without a word, as clients do.
    """
    async with connect(
        f"ws://127.0.0.1:{port}{path}",
        additional_headers={**(person.headers if person else {}), **(headers or {})},
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        proxy=None,
        compression=None,
        **options,
    ) as connection:
        yield Client(connection)
        connection.transport.abort()
