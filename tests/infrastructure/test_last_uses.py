import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from psycopg.errors import UndefinedTable
from psycopg_pool import AsyncConnectionPool

from infrastructure import last_uses, postgres
from infrastructure.last_uses import PostgresLastUses
from tests.events import NOON

ANN = UUID(int=1)
BOB = UUID(int=2)
LATER = NOON + timedelta(minutes=1)


async def stored(pool: AsyncConnectionPool) -> dict[UUID, datetime]:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT id, at FROM last_uses")
        return dict(await cursor.fetchall())


async def put(pool: AsyncConnectionPool, of: UUID, age: timedelta) -> None:
    async with pool.connection() as connection:
        await connection.execute("INSERT INTO last_uses VALUES (%s, now() - %s)", (of, age))


async def test_the_last_use_is_known_at_once_and_stored_at_the_end(
    pool: AsyncConnectionPool,
) -> None:
    async with PostgresLastUses(pool) as uses:
        for at in (NOON, LATER, NOON):
            uses.note(ANN, at)
        assert await uses.of([ANN, BOB]) == {ANN: LATER}
        assert await stored(pool) == {}
    assert await stored(pool) == {ANN: LATER}
    assert await PostgresLastUses(pool).of([ANN, BOB]) == {ANN: LATER}


async def test_uses_are_stored_every_now_and_then(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_uses, "FLUSH_SECONDS", 0.02)
    async with PostgresLastUses(pool) as uses:
        for of in (ANN, BOB):
            uses.note(of, NOON)
            async with asyncio.timeout(10):
                while of not in await stored(pool):
                    await asyncio.sleep(0.01)


async def test_the_latest_of_memory_and_table_counts(pool: AsyncConnectionPool) -> None:
    ours, other = PostgresLastUses(pool), PostgresLastUses(pool)
    other.note(ANN, LATER)
    other.note(BOB, NOON)
    await other.flush()
    ours.note(ANN, NOON)
    ours.note(BOB, LATER)
    assert await ours.of([ANN, BOB]) == {ANN: LATER, BOB: LATER}
    await ours.flush()
    assert await stored(pool) == {ANN: LATER, BOB: LATER}


async def test_a_use_that_comes_while_others_are_stored_is_stored_next(
    pool: AsyncConnectionPool,
) -> None:
    uses = PostgresLastUses(pool)
    uses.note(ANN, NOON)
    async with asyncio.TaskGroup() as group:
        group.create_task(uses.flush())
        await asyncio.sleep(0)
        uses.note(ANN, LATER)
    assert await uses.of([ANN]) == {ANN: LATER}
    await uses.flush()
    assert await stored(pool) == {ANN: LATER}


async def test_processes_that_store_the_same_ids_at_once_do_not_lock_each_other(
    pool: AsyncConnectionPool,
) -> None:
    ids = [uuid4() for _ in range(2000)]
    one, other = PostgresLastUses(pool), PostgresLastUses(pool)
    for number in range(5):
        at = NOON + timedelta(seconds=number)
        for first, last in zip(ids, reversed(ids), strict=True):
            one.note(first, at)
            other.note(last, at)
        await asyncio.gather(one.flush(), other.flush())
    assert set((await stored(pool)).values()) == {NOON + timedelta(seconds=4)}


async def test_without_a_database_uses_are_kept_and_the_end_is_not_held_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(last_uses, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(last_uses, "LONGEST_LAST_FLUSH", 0.1)
    async with (
        postgres.pool("postgresql://127.0.0.1:1/none", "tests", size=1) as nowhere,
        PostgresLastUses(nowhere) as uses,
    ):
        uses.note(ANN, NOON)
        await asyncio.sleep(0.1)
    assert "last uses lost" in caplog.text
    assert "count=1" in caplog.text


async def test_what_could_not_be_stored_is_stored_when_the_database_is_back(
    pool: AsyncConnectionPool,
) -> None:
    uses = PostgresLastUses(pool)
    uses.note(ANN, NOON)
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE last_uses RENAME TO away")
    with pytest.raises(UndefinedTable):
        await uses.flush()
    uses.note(BOB, NOON)
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE away RENAME TO last_uses")
    await uses.flush()
    assert await stored(pool) == {ANN: NOON, BOB: NOON}


async def test_memory_is_bounded(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_uses, "MOST_NOTED", 2)
    uses = PostgresLastUses(pool)
    for number in range(4):
        uses.note(UUID(int=number), NOON)
    uses.note(UUID(int=0), LATER)
    assert await uses.of(UUID(int=number) for number in range(4)) == {
        UUID(int=0): LATER,
        UUID(int=1): NOON,
    }


async def test_ids_that_were_not_used_for_long_are_removed_at_a_start(
    pool: AsyncConnectionPool,
) -> None:
    await put(pool, ANN, timedelta(days=401))
    await put(pool, BOB, timedelta(days=399))
    async with PostgresLastUses(pool), asyncio.timeout(10):
        while ANN in await stored(pool):
            await asyncio.sleep(0.01)
    assert set(await stored(pool)) == {BOB}
