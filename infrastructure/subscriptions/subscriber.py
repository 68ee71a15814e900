"""A durable subscriber: follows the log from its checkpoint, exactly once, whoever runs it.

- One owner: a session advisory lock on the very connection that writes. Losing the connection loses
  the lock and the unfinished transaction together.
- Fencing: every write is conditional on the checkpoint standing where this owner left it.
- Poison: an event that cannot be applied is found by bisection, parked with its reason, and stops
  nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import psycopg
import structlog
from psycopg import AsyncConnection

from domain.kernel import Event, Recorded
from infrastructure.event_store.schema import LOCK_CLASS
from infrastructure.postgres import connect
from infrastructure.subscriptions.hub import SubscriptionHub

log = structlog.get_logger()

PAGE_SIZE = 20_000
"""Only who has to catch up sees so many at once. A row that a page touches often is written once,
so larger pages are fewer writes: twice as fast as 5,000, for 70 MB more."""
STANDBY_SECONDS = 1.0
"""How soon a standby notices that the owner is gone."""


class Fenced(Exception):
    """The checkpoint was moved by another owner; nothing of this page was written."""


class Subscription(Protocol):
    """What a subscriber does with each page."""

    @property
    def name(self) -> str:
        """The identity of its checkpoint."""
        ...

    @property
    def events(self) -> Collection[type[Event]] | None:
        """The events it needs; pages may lack others. ``None`` needs all."""
        ...

    async def apply(
        self, connection: AsyncConnection, page: Sequence[Recorded[Any]], checkpoint: int
    ) -> None:
        """Write what follows from ``page`` and move the checkpoint behind it, atomically.

        ``checkpoint`` is where it must stand now. Raises Fenced when it does not.
        """
        ...

    def forget(self) -> None:
        """Drop what was cached: the last write failed, or another owner may have written."""
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
        self._position = 0

    @property
    def name(self) -> str:
        """The name of the subscription."""
        return self._subscription.name

    async def run(self) -> None:
        """Follow the log until cancelled; raises what ends it, to be started again."""
        self._subscription.forget()
        async with await connect(self._database_url, self.name) as connection:
            # What is written here follows from the log. A crash of the server may lose the last
            # moments of it, checkpoint and all, and they are then written again.
            await connection.execute("SET synchronous_commit = off")
            await self._own(connection)
            self._position = await self._checkpoint(connection)
            log.info("subscriber started", subscriber=self.name, position=self._position)
            pages = self._hub.subscribe(
                self._position, page_size=self._page_size, needed=self._subscription.events
            )
            async with aclosing(_reading_ahead(pages, self._page_size)) as ahead:
                async for page in ahead:
                    await self._apply(connection, page)

    async def _own(self, connection: AsyncConnection) -> None:
        while True:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK_CLASS, self.name)
            )
            if await cursor.fetchone() == (True,):
                return
            await asyncio.sleep(STANDBY_SECONDS)

    async def _checkpoint(self, connection: AsyncConnection) -> int:
        await connection.execute(
            "INSERT INTO checkpoints (subscriber, position) VALUES (%s, 0)"
            " ON CONFLICT (subscriber) DO NOTHING",
            (self.name,),
        )
        cursor = await connection.execute(
            "SELECT position FROM checkpoints WHERE subscriber = %s", (self.name,)
        )
        row = await cursor.fetchone()
        return row[0] if row else 0

    async def _apply(self, connection: AsyncConnection, page: Sequence[Recorded[Event]]) -> None:
        try:
            await self._subscription.apply(connection, page, self._position)
        except (Fenced, psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a fold raises is the event's fault
            self._subscription.forget()
            if len(page) == 1:
                await self._park(connection, page[0], error)
            else:
                half = len(page) // 2
                await self._apply(connection, page[:half])
                await self._apply(connection, page[half:])
        else:
            self._position = page[-1].position

    async def _park(
        self, connection: AsyncConnection, poison: Recorded[Event], error: Exception
    ) -> None:
        log.error(
            "event parked",
            subscriber=self.name,
            position=poison.position,
            error=f"{type(error).__name__}: {error}",
        )
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO parked_events (subscriber, position, stream_id, error)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (self.name, poison.position, poison.stream_id, f"{type(error).__name__}: {error}"),
            )
            moved = await connection.execute(
                "UPDATE checkpoints SET position = %s WHERE subscriber = %s AND position = %s",
                (poison.position, self.name, self._position),
            )
            if moved.rowcount != 1:
                raise Fenced(self.name)
        self._position = poison.position


async def _reading_ahead(
    pages: AsyncIterator[Sequence[Recorded[Event]]], page_size: int
) -> AsyncGenerator[Sequence[Recorded[Event]]]:
    """The same pages; while one that is full is taken in, the one behind it is read already.

    One that is not full is the newest there is: then what comes meanwhile makes the next page.
    """
    async for page in pages:
        full = page
        while len(full) == page_size:
            following = asyncio.ensure_future(anext(pages))
            try:
                yield full
                full = await following
            finally:
                following.cancel()
                await asyncio.wait([following])
        yield full
