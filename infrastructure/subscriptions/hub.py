"""The subscription hub: one listening connection and one reader feed every follower in a process.

The newest events are kept, decoded once, in a ring. A follower whose position the ring covers reads
from memory; one further behind reads pages from the store until the ring covers it. Both are reads
of the same log by position, so the seam has no gap and no repeat.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from domain.kernel import Event, Recorded
from infrastructure.event_store import schema
from infrastructure.event_store.reader import EventReader
from infrastructure.loops import keep_running
from infrastructure.postgres import connect
from infrastructure.subscriptions.schema import CHECKPOINT_CHANNEL

RING_SIZE = 10_000
PAGE_SIZE = 1000
POLL_SECONDS = 1.0
"""The net under a lost notification."""
RECONNECT_SECONDS = 0.5
"""Whoever hears nothing lets the sockets of closed sessions live on, so it may not last long."""


def _position(recorded: Recorded[Event]) -> int:
    return recorded.position


class SubscriptionHub:
    """``application.ports.EventFeed`` and ``ReadModelProgress`` of one process."""

    def __init__(
        self, database_url: str, reader: EventReader, *, ring_size: int = RING_SIZE
    ) -> None:
        self._database_url = database_url
        self._reader = reader
        self._ring_size = ring_size
        self._ring: list[Recorded[Event]] = []
        self._floor = 0  # the ring holds every event behind this position, up to the head
        self._head = 0
        self._advanced = asyncio.Event()
        self._checkpoints: dict[str, int] = {}
        self._moved = asyncio.Event()
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        listening = keep_running("hub", self._listen, longest_delay=RECONNECT_SECONDS)
        self._task = asyncio.create_task(listening, name="hub")
        await self._ready.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def head(self) -> int:
        """The position of the newest event this process knows of."""
        return self._head

    async def subscribe(
        self,
        after: int | None = None,
        *,
        page_size: int = PAGE_SIZE,
        needed: Collection[type[Event]] | None = None,
    ) -> AsyncIterator[Sequence[Recorded[Event]]]:
        """Every event behind ``after``, for ever; see ``application.ports.EventFeed``.

        With ``needed``, events of other kinds may be missing.
        """
        position = self._head if after is None else after
        while True:
            floor = self._floor
            if position < floor:
                page = await self._reader.read_log(
                    position, page_size, needed=needed, landmark=floor
                )
            elif position < self._head:
                start = bisect_right(self._ring, position, key=_position)
                page = self._ring[start : start + page_size]
            else:
                await self._advanced.wait()
                continue
            if page:
                position = page[-1].position
                yield page
            else:  # positions up to the floor that no event has
                position = floor

    async def reached(self, read_model: str, position: int, within: timedelta) -> bool:
        """See ``application.ports.ReadModelProgress``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                while self._checkpoints.get(read_model, -1) < position:
                    await self._moved.wait()
                return True
        return False

    async def _listen(self) -> None:
        async with await connect(self._database_url, "hub") as connection:
            # Listen first, then read: what is stored in between is then both read and announced.
            for channel in (schema.channel(schema.EVENTS_TABLE), CHECKPOINT_CHANNEL):
                await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
            if not self._ready.is_set():
                self._head = self._floor = await self._reader.head(connection)
            await self._read_checkpoints(connection)
            await self._read_events(connection)
            self._ready.set()
            while True:
                await self._wait(connection)

    async def _wait(self, connection: AsyncConnection) -> None:
        """Take in what is announced next, or look for oneself when nothing was for a while."""
        notices = [
            notice async for notice in connection.notifies(timeout=POLL_SECONDS, stop_after=1)
        ]
        moved = dict(
            notice.payload.rsplit(" ", 1)
            for notice in notices
            if notice.channel == CHECKPOINT_CHANNEL
        )
        if moved:
            self._checkpoints.update((name, int(position)) for name, position in moved.items())
            self._announce_checkpoints()
        if not notices:
            await self._read_checkpoints(connection)
        if not notices or len(moved) < len(notices):
            await self._read_events(connection)

    async def _read_events(self, connection: AsyncConnection) -> None:
        while page := await self._reader.read_log(self._head, PAGE_SIZE, connection=connection):
            self._ring += page
            self._head = page[-1].position
            if len(self._ring) > 2 * self._ring_size:  # cut seldom, so that a cut costs little
                cut = len(self._ring) - self._ring_size
                self._floor = self._ring[cut - 1].position
                del self._ring[:cut]
            self._advanced.set()
            self._advanced = asyncio.Event()

    async def _read_checkpoints(self, connection: AsyncConnection) -> None:
        cursor = await connection.execute("SELECT subscriber, position FROM checkpoints")
        self._checkpoints = dict(await cursor.fetchall())
        self._announce_checkpoints()

    def _announce_checkpoints(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
