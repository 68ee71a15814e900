"""A durable subscriber: follows the log from its checkpoint, exactly once, whoever runs it.

- One owner: a session advisory lock on the very connection that writes. Losing the connection loses
  the lock and the unfinished write together.
- Fencing: every write is conditional on the checkpoint standing where this owner left it.
- Group commit: while one write is under way, the pages that come are folded in memory; the next
  write takes all of them. So a lone event is written at once, and who has to catch up writes seldom
  and much.
- Poison: what cannot be folded or written is taken again from the checkpoint on, in halves, until
  the one event is found; it is parked with its reason, and stops nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import psycopg
import structlog
from psycopg import AsyncConnection
from structlog.contextvars import bound_contextvars

from application.ports import StoreUnavailable
from domain.kernel import Event, Recorded
from infrastructure.ownership import own
from infrastructure.postgres import connect
from infrastructure.subscriptions.hub import SubscriptionHub

log = structlog.get_logger()

PAGE_SIZE = 2000
MOST_UNWRITTEN = 50_000
"""Events folded before they are written. More would be faster by little: a row that many of them
touch is written once, but it is memory that they need meanwhile."""


class Fenced(Exception):
    """The checkpoint was moved by another owner; nothing of this write was done."""


_NO_FAULT_OF_AN_EVENT = (
    Fenced,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.ProgrammingError,  # a missing table, say
    StoreUnavailable,
)


class Subscription(Protocol):
    """What follows from events: folded in memory page by page, and written all at once."""

    @property
    def name(self) -> str:
        """The identity of its checkpoint."""
        ...

    @property
    def events(self) -> Collection[type[Event]] | None:
        """The events it needs; pages may lack others. ``None`` needs all."""
        ...

    async def fold(self, connection: AsyncConnection, page: Sequence[Recorded[Any]], /) -> None:
        """Take in ``page``, reading what that needs; may run while earlier pages are written."""
        ...

    async def write(self, connection: AsyncConnection, before: int, after: int) -> None:
        """Write what was taken in since the last write, and move the checkpoint, atomically.

        What counts is what was taken in when it is called. Raises Fenced when the checkpoint does
        not stand at ``before``.
        """
        ...

    def forget(self) -> None:
        """Drop what was taken in or cached: a write failed, or another owner may have written."""
        ...


class Subscriber:
    """Runs one subscription; any number of processes may, and one at a time does."""

    def __init__(
        self,
        subscription: Subscription,
        database_url: str,
        hub: SubscriptionHub,
        *,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self._subscription = subscription
        self._database_url = database_url
        self._hub = hub
        self._page_size = page_size
        self._given = self._folded = self._written = 0
        self._unwritten = 0
        self._due = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def name(self) -> str:
        """The name of the subscription."""
        return self._subscription.name

    async def run(self) -> None:
        """Follow the log until cancelled; raises what ends it, to be started again."""
        async with await self._connect() as owner, await self._connect() as reading:
            await own(owner, self.name)
            while True:
                await self._resume(owner)
                try:
                    await self._follow(owner, reading)
                except _NO_FAULT_OF_AN_EVENT:
                    raise
                except Exception:  # noqa: BLE001 - a fold may raise anything
                    await self._resume(owner)
                    await self._find_poison(owner)

    async def _connect(self) -> AsyncConnection:
        connection = await connect(self._database_url, self.name)
        # What is written here follows from the log. A crash of the server may lose the last moments
        # of it, checkpoint and all, and they are then written again.
        await connection.execute("SET synchronous_commit = off")
        # Rows are looked up by their keys; but plans are kept, those of an empty table, too.
        await connection.execute("SET enable_seqscan = off")
        return connection

    async def _resume(self, connection: AsyncConnection) -> None:
        """Begin at the checkpoint, knowing nothing else."""
        self._subscription.forget()
        self._unwritten = 0
        self._due.clear()
        self._room.set()
        await connection.execute(
            "INSERT INTO checkpoints (subscriber, position) VALUES (%s, 0)"
            " ON CONFLICT (subscriber) DO NOTHING",
            (self.name,),
        )
        cursor = await connection.execute(
            "SELECT position FROM checkpoints WHERE subscriber = %s", (self.name,)
        )
        row = await cursor.fetchone()
        self._written = row[0] if row else 0
        log.info("subscriber started", subscriber=self.name, position=self._written)

    async def _follow(self, owner: AsyncConnection, reading: AsyncConnection) -> None:
        """Fold what comes, and write meanwhile what was folded before."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fold_pages(reading))
                group.create_task(self._write_batches(owner))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _fold_pages(self, connection: AsyncConnection) -> None:
        async with aclosing(self._pages()) as pages:
            async for page in pages:
                await self._room.wait()
                self._given = page[-1].position
                await self._subscription.fold(connection, page)
                self._folded = self._given
                self._unwritten += len(page)
                full = self._unwritten >= MOST_UNWRITTEN
                if full:
                    self._room.clear()
                if full or not self._is_far_behind(page):
                    self._due.set()

    async def _write_batches(self, connection: AsyncConnection) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            after, self._unwritten = self._folded, 0
            self._room.set()
            await self._subscription.write(connection, self._written, after)
            self._written = after

    def _is_far_behind(self, page: Sequence[Recorded[Event]]) -> bool:
        """Whether at least another page was there when this one was read."""
        return len(page) >= self._page_size and page[-1].position < self._hub.head

    async def _pages(self) -> AsyncGenerator[Sequence[Recorded[Event]]]:
        """What comes behind the checkpoint, for ever; who is far behind reads one page ahead."""
        pages = self._hub.subscribe(
            self._written, page_size=self._page_size, needed=self._subscription.events
        )
        async for page in pages:
            newest = page
            while self._is_far_behind(newest):
                following = asyncio.ensure_future(anext(pages))
                try:
                    yield newest
                    newest = await following
                finally:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            yield newest

    async def _find_poison(self, connection: AsyncConnection) -> None:
        """Take each page alone, up to the last one that was given to the fold."""
        async with aclosing(self._pages()) as pages:
            async for page in pages:
                await self._apply(connection, page)
                if self._written >= self._given:
                    return

    async def _apply(self, connection: AsyncConnection, page: Sequence[Recorded[Event]]) -> None:
        """Fold and write a page alone, or each half alone when that fails."""
        after = page[-1].position
        try:
            await self._subscription.fold(connection, page)
            await self._subscription.write(connection, self._written, after)
        except _NO_FAULT_OF_AN_EVENT:
            raise
        except Exception as error:  # noqa: BLE001 - a fold may raise anything
            self._subscription.forget()
            if len(page) == 1:
                await self._park(connection, page[0], error)
            else:
                half = len(page) // 2
                await self._apply(connection, page[:half])
                await self._apply(connection, page[half:])
        else:
            self._written = after

    async def _park(
        self, connection: AsyncConnection, poison: Recorded[Event], error: Exception
    ) -> None:
        with bound_contextvars(correlation_id=poison.metadata.correlation_id):
            log.error(
                "event parked", subscriber=self.name, position=poison.position, exc_info=error
            )
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO parked_events (subscriber, position, stream_id, error)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (self.name, poison.position, poison.stream_id, f"{type(error).__name__}: {error}"),
            )
            moved = await connection.execute(
                "UPDATE checkpoints SET position = %s WHERE subscriber = %s AND position = %s",
                (poison.position, self.name, self._written),
            )
            if moved.rowcount != 1:
                raise Fenced(self.name)
        self._written = poison.position
