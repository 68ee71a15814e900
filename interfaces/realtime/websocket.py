"""Every WebSocket of the process."""

import asyncio
from time import perf_counter
from typing import Any

import structlog
from litestar.types import Receive, Send, WebSocketScope
from structlog.contextvars import bind_contextvars, clear_contextvars

from interfaces.doors import Doors
from interfaces.http.edge import correlation_id_of
from interfaces.realtime.connection import Connection, Terms
from interfaces.realtime.messages import Messages
from interfaces.realtime.protocol import PATH, Closing

log = structlog.get_logger()

CLOSING_GRACE = 5.0
"""Seconds for the close frame to get through behind what a slow client has not taken yet."""
DRAINING_GRACE = 1.0
"""Seconds a process that stops waits for its clients; most take the close frame at once."""


class LiveSockets:
    """An ASGI application for the WebSocket scope."""

    def __init__(self, doors: Doors, terms: Terms | None = None) -> None:
        self._doors = doors
        self._terms = terms or Terms()
        self._messages = Messages(doors.media_requests)
        self._draining = asyncio.Event()
        self._serving: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        """Serve one client until either side ends it."""
        await receive()  # its connect, which says nothing
        if scope["path"] != PATH:
            await send({"type": "websocket.close", "code": 1000, "reason": None})
            return
        started = perf_counter()
        correlation_id = correlation_id_of(scope["headers"])
        clear_contextvars()
        bind_contextvars(correlation_id=correlation_id)
        connection = Connection(
            self._doors, self._messages, self._terms, self._draining, receive, send
        )
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
        try:
            closing = await connection.serve(scope, correlation_id)
            if closing is not None:
                await _close(send, closing)
        finally:
            self._serving.discard(task)
        log.info(
            "socket closed",
            account=connection.caller and str(connection.caller.account_id),
            code=closing and closing.code,
            seconds=round(perf_counter() - started, 1),
        )

    async def drain(self) -> None:
        """End every socket with 1001, and refuse new ones so too."""
        self._draining.set()
        if self._serving:
            await asyncio.wait(self._serving, timeout=DRAINING_GRACE)


async def _close(send: Send, closing: Closing) -> None:
    try:
        async with asyncio.timeout(CLOSING_GRACE):
            await send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})
    except (OSError, RuntimeError):  # it has gone meanwhile, or takes nothing, not even this
        pass
