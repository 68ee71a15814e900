"""The way to one client, and how one that takes nothing is found out."""

import asyncio
from datetime import timedelta

from litestar.types import Send, WebSocketSendEvent

from interfaces.realtime.protocol import CloseCode, Closing, Gone


class Outlet:
    """Sends frames at the client's own pace.

    What waits for a slow client is bounded by what the server buffers for a connection, 64 KiB in
    uvicorn; when that is full, sending waits. Events wait in the log meanwhile, where each
    connection has its own place, so a slow client costs no more memory and delays nobody else. A
    queue and a writing task of ours in between would bound the same, and cost 5 µs a message more.
    """

    def __init__(self, send: Send, patience: timedelta) -> None:
        self._send = send
        self._patience = patience.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None

    async def put(self, frame: WebSocketSendEvent) -> None:
        """Send a frame. Raises Gone."""
        if self._waiting_since is None:
            self._waiting_since = self._loop.time()
        try:
            await self._send(frame)
        except (OSError, RuntimeError) as lost:  # uvicorn's RuntimeError: it closed it by itself
            raise Gone from lost
        self._waiting_since = None

    async def watch(self) -> None:
        """Look after the client for ever. Raises Closing when it takes nothing for too long."""
        while True:
            await asyncio.sleep(self._patience / 2)
            since = self._waiting_since
            if since is not None and self._loop.time() - since >= self._patience:
                raise Closing(CloseCode.TOO_SLOW, "Too slow. Resume with “from”.")
