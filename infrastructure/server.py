"""Serves an ASGI application with uvicorn, until cancelled."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from infrastructure.supervision import announce_ready
from infrastructure.transport import GatheringProtocol

MAX_SOCKET_MESSAGE = 64 * 1024
"""Bytes a client may send at once over a WebSocket; a token is the longest thing it has to say."""
DRAIN_SECONDS = 2
"""How long requests under way may take once we stop; a whole `up` is to stop within three."""


class _Server(uvicorn.Server):
    """Leaves the signals to the process, and says when it serves."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        announce_ready()


async def serve(
    app: Any,
    listener: socket.socket,
    before_stop: Callable[[], Awaitable[None]],
    *,
    protocol: type[asyncio.Protocol] = GatheringProtocol,
) -> None:
    """Answer on ``listener``; cancelled, finish what is under way within DRAIN_SECONDS.

    ``before_stop`` is called first then: who stays connected is to be told.
    """
    server = _Server(
        uvicorn.Config(
            app,
            loop="none",  # the one that runs
            http=protocol,
            ws="websockets-sansio",
            ws_per_message_deflate=False,  # small messages, encoded once for all sockets
            ws_max_size=MAX_SOCKET_MESSAGE,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        await before_stop()
        server.should_exit = True
        await serving
        raise
