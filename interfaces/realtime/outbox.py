"""What waits to be sent to one client: bounded in bytes, written by a task of its own."""

import asyncio
from collections import deque
from datetime import timedelta

from litestar.types import Send

from interfaces.realtime.messages import Frame
from interfaces.realtime.protocol import CloseCode, Closing, Gone


class Outbox:
    """A queue of frames for one client, so that a slow one delays nobody else.

    Whoever puts a frame waits for room, so that a long catch-up goes at the client's own pace. A
    client that makes no room for ``patience`` is too slow; it may resume where it was.
    """

    def __init__(self, limit: int, patience: timedelta) -> None:
        self._limit = limit
        self._patience = patience.total_seconds()
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, frame: Frame) -> None:
        """Queue a frame. Raises Closing when the client is too slow."""
        while self._bytes and self._bytes + frame.size > self._limit:
            self._room.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._room.wait()
            except TimeoutError:
                raise Closing(CloseCode.TOO_SLOW, "Too slow. Resume with “from”.") from None
        self._frames.append(frame)
        self._bytes += frame.size
        self._filled.set()

    async def write(self, send: Send) -> None:
        """Send what is queued, for ever. Raises Gone."""
        while True:
            await self._filled.wait()
            while self._frames:
                frame = self._frames.popleft()
                try:
                    await send(frame.event)
                except OSError as lost:
                    raise Gone from lost
                self._bytes -= frame.size  # only now: until then it takes up memory
                self._room.set()
            self._filled.clear()
