"""The group-committing writer: many concurrent commands, one call, one lock, one fsync.

While a call is under way, commands gather in a queue; the next call takes all of them. So a lone
command waits for nobody, and a hundred at once cost about what one does. A command id makes every
command safe to send again: after a lost connection the same batch is simply repeated, and those
that were stored answer with their first result.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from application.ports import (
    Appended,
    NewEvents,
    StoreBusy,
    StoreUnavailable,
    VersionConflict,
)
from infrastructure.event_store import schema
from infrastructure.event_store.codec import EventCodec
from infrastructure.postgres import connect

log = structlog.get_logger()

MAX_BATCH = 256
"""Commands in one call. Beyond this the calls only grow longer, and with them the waiting."""
CALL_LIMIT = timedelta(seconds=30)
"""A call that takes longer has lost its server, whatever the connection says."""
_FIRST_RECONNECT_DELAY = 0.05
_LONGEST_RECONNECT_DELAY = 1.0


class _Pending(NamedTuple):
    stream_id: UUID
    command_id: UUID
    first_version: int
    encoded: Sequence[tuple[str, bytes]]
    result: asyncio.Future[Appended]


class GroupCommitWriter:
    """Appends for all commands of this process, over one connection.

    ``max_pending`` bounds the queue in commands; when it is full, ``append`` raises StoreBusy at
    once. ``patience`` bounds how long a caller waits for an answer.
    """

    def __init__(
        self,
        database_url: str,
        codec: EventCodec,
        *,
        table: str = schema.EVENTS_TABLE,
        max_pending: int = 2048,
        patience: timedelta = timedelta(seconds=10),
    ) -> None:
        self._database_url = database_url
        self._codec = codec
        self._max_pending = max_pending
        self._patience = patience.total_seconds()
        self._queue: deque[_Pending] = deque()
        self._filled = asyncio.Event()
        self._connection: AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._statement = SQL(
            "SELECT number, outcome, last_position FROM {}("
            "%b::uuid[], %b::uuid[], %t::bigint[], %t::integer[], %t::bigint[], %b::text[],"
            " %b::bytea[])"
        ).format(Identifier(schema.append_function(table)))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="event-store-writer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Whoever still waits is told that the outcome is unknown."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            await self._connection.close()
        self._fail(self._queue, StoreUnavailable("MediaNest is stopping."))
        self._queue.clear()

    @property
    def pending(self) -> int:
        """Commands that wait for the next call."""
        return len(self._queue)

    async def append(self, new: NewEvents) -> Appended:
        """See ``application.ports.EventStore.append``."""
        if len(self._queue) >= self._max_pending:
            raise StoreBusy("Too many changes at once.", retry_after=timedelta(seconds=1))
        loop = asyncio.get_running_loop()
        pending = _Pending(
            new.stream_id,
            new.command_id,
            new.expected_version + 1,
            [self._codec.encode(metadata, event) for metadata, event in new.events],
            loop.create_future(),
        )
        self._queue.append(pending)
        self._filled.set()
        # A timer, not asyncio.timeout: a tenth of what an append costs here is saved.
        giving_up = loop.call_later(self._patience, _give_up, pending.result)
        try:
            return await pending.result
        finally:
            giving_up.cancel()

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._take()
            try:
                await self._store(batch)
            except BaseException:
                self._fail(batch, StoreUnavailable("The event store has stopped."))
                raise
            if not self._queue:
                self._filled.clear()

    def _take(self) -> list[_Pending]:
        """The next commands, each stream and each command id once; the others keep their turn."""
        batch: list[_Pending] = []
        streams: set[UUID] = set()
        commands: set[UUID] = set()
        deferred: list[_Pending] = []
        while self._queue and len(batch) < MAX_BATCH:
            pending = self._queue.popleft()
            if pending.result.done():  # the caller gave up before we began: nothing is stored
                continue
            if pending.stream_id in streams or pending.command_id in commands:
                deferred.append(pending)
            else:
                batch.append(pending)
            streams.add(pending.stream_id)
            commands.add(pending.command_id)
        self._queue.extendleft(reversed(deferred))
        return batch

    async def _store(self, batch: Sequence[_Pending]) -> None:
        """Send the batch until it is answered, over as many connections as that takes."""
        delay = _FIRST_RECONNECT_DELAY
        while batch:
            try:
                connection = await self._connected()
                async with asyncio.timeout(CALL_LIMIT.total_seconds()):
                    self._answer(batch, await self._call(connection, batch))
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self._connection is not None and not self._connection.closed:
                    if not isinstance(error, TimeoutError):
                        await self._refused(batch, error)
                        return
                    await self._connection.close()
                log.warning("event store lost", error=str(error), batch=len(batch))
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_RECONNECT_DELAY)
            else:
                return

    async def _refused(self, batch: Sequence[_Pending], error: Exception) -> None:
        """The server is there and will not store the batch: find whose fault it is, one by one."""
        if len(batch) > 1:
            for pending in batch:
                await self._store([pending])
            return
        log.error("append refused", error=str(error), stream_id=str(batch[0].stream_id))
        self._fail(batch, StoreUnavailable("The event store could not take this change."))

    async def _connected(self) -> AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._database_url, "writer")
        return self._connection

    async def _call(
        self, connection: AsyncConnection, batch: Sequence[_Pending]
    ) -> list[tuple[int, str, int | None]]:
        events = [
            (number, pending.first_version + offset, topic, state)
            for number, pending in enumerate(batch, start=1)
            for offset, (topic, state) in enumerate(pending.encoded)
        ]
        cursor = connection.cursor(binary=True)
        await cursor.execute(
            self._statement,
            (
                [pending.command_id for pending in batch],
                [pending.stream_id for pending in batch],
                _array(pending.first_version for pending in batch),
                _array(number for number, _, _, _ in events),
                _array(version for _, version, _, _ in events),
                [topic for _, _, topic, _ in events],
                [state for _, _, _, state in events],
            ),
        )
        return await cursor.fetchall()

    @staticmethod
    def _answer(batch: Sequence[_Pending], rows: Iterable[tuple[int, str, int | None]]) -> None:
        for number, outcome, position in rows:
            result = batch[number - 1].result
            if result.done():  # the caller gave up meanwhile
                continue
            if position is None or outcome == schema.CONFLICT:
                result.set_exception(VersionConflict("The stream has grown meanwhile."))
            else:
                result.set_result(Appended(position, repeated=outcome == schema.REPEATED))

    @staticmethod
    def _fail(batch: Iterable[_Pending], error: Exception) -> None:
        for pending in batch:
            if not pending.result.done():
                pending.result.set_exception(error)


def _give_up(result: asyncio.Future[Appended]) -> None:
    if not result.done():
        result.set_exception(
            StoreUnavailable("The event store does not answer.", retry_after=timedelta(seconds=5))
        )


def _array(numbers: Iterable[int]) -> str:
    """An array literal: psycopg would type a list by its largest number, and prepare it anew."""
    return "{" + ",".join(map(str, numbers)) + "}"
