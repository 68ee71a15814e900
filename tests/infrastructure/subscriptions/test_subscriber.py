import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from domain.kernel import Recorded
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.subscriptions import subscriber as subscriber_module
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.subscriber import Subscriber
from tests.events import new_events, requested


class Ledger:
    """A subscription that keeps positions, and writes only when its gate is open."""

    name = "ledger"
    events = None

    def __init__(self) -> None:
        self.folded: list[int] = []
        self.writes: list[list[int]] = []
        self.gate = asyncio.Event()

    async def fold(self, _: AsyncConnection, page: Sequence[Recorded[Any]]) -> None:
        self.folded += [recorded.position for recorded in page]

    async def write(self, connection: AsyncConnection, before: int, after: int) -> None:
        taken, self.folded = self.folded, []
        self.writes.append(taken)
        await self.gate.wait()
        moved = await connection.execute(
            "UPDATE checkpoints SET position = %s WHERE subscriber = 'ledger' AND position = %s",
            (after, before),
        )
        assert moved.rowcount == 1

    def forget(self) -> None:
        self.folded = []


@asynccontextmanager
async def following(
    ledger: Ledger, database_url: str, reader: EventReader, page_size: int
) -> AsyncGenerator[asyncio.Task[None]]:
    async with SubscriptionHub(database_url, reader) as hub:
        subscriber = Subscriber(ledger, database_url, hub, page_size=page_size)
        task = asyncio.create_task(subscriber.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def put(writer: GroupCommitWriter, number: int) -> None:
    for _ in range(number):
        await writer.append(new_events(requested()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def checkpoint(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        cursor = connection.execute("SELECT position FROM checkpoints WHERE subscriber = 'ledger'")
        (position,) = cursor.fetchone() or (-1,)
    return position


async def test_what_comes_during_a_write_is_written_all_at_once_by_the_next(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    ledger = Ledger()
    async with following(ledger, database_url, reader, page_size=100):
        await put(writer, 1)
        await until(lambda: ledger.writes == [[1]])
        await put(writer, 3)
        await until(lambda: ledger.folded == [2, 3, 4])
        assert checkpoint(database_url) == 0
        ledger.gate.set()
        await until(lambda: checkpoint(database_url) == 4)
    assert ledger.writes == [[1], [2, 3, 4]]


async def test_who_has_to_catch_up_folds_many_pages_and_writes_once(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    await put(writer, 40)
    ledger = Ledger()
    ledger.gate.set()
    async with following(ledger, database_url, reader, page_size=4):
        await until(lambda: checkpoint(database_url) == 40)
    assert ledger.writes == [list(range(1, 41))]


async def test_only_so_many_events_are_folded_ahead_of_a_write(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriber_module, "MOST_UNWRITTEN", 10)
    await put(writer, 45)
    ledger = Ledger()
    async with following(ledger, database_url, reader, page_size=5):
        await until(lambda: len(ledger.folded) == 10)
        await asyncio.sleep(0.2)
        assert ledger.writes == [list(range(1, 11))]
        assert ledger.folded == list(range(11, 21))
        ledger.gate.set()
        await until(lambda: checkpoint(database_url) == 45)
    assert [position for write in ledger.writes for position in write] == list(range(1, 46))
    assert max(map(len, ledger.writes)) == 10


async def test_a_broken_statement_ends_the_run_and_parks_nothing(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    class Broken(Ledger):
        async def write(self, connection: AsyncConnection, before: int, after: int) -> None:
            await connection.execute("UPDATE no_such_table SET position = 1")

    await put(writer, 2)
    async with following(Broken(), database_url, reader, page_size=100) as task:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await task
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM parked_events").fetchall() == []
    assert checkpoint(database_url) == 0
