# pyright: reportPrivateUsage=false
import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports import (
    Appended,
    StoreBusy,
    StoreUnavailable,
    VersionConflict,
)
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import MAX_BATCH, GroupCommitWriter
from infrastructure.postgres import connect
from tests.events import new_events, requested

HOLD_THE_LOCK = "SELECT pg_advisory_lock(19790, 'public.events'::regclass::oid::integer)"
RELEASE_THE_LOCK = "SELECT pg_advisory_unlock(19790, 'public.events'::regclass::oid::integer)"
END_THE_WRITER = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'medianest writer' AND datname = current_database()"
)


async def test_events_of_a_command_follow_each_other(
    writer: GroupCommitWriter, reader: EventReader
) -> None:
    stream = uuid4()
    appended = await writer.append(new_events(requested(1), requested(2), stream=stream))
    stored = await reader.read_stream(stream)
    assert [event.version for event in stored] == [1, 2]
    assert [event.event for event in stored] == [requested(1), requested(2)]
    assert appended == Appended(stored[-1].position)


async def test_a_stream_grows_only_from_its_end(writer: GroupCommitWriter) -> None:
    stream = uuid4()
    await writer.append(new_events(stream=stream))
    await writer.append(new_events(stream=stream, after=1))
    for wrong in (0, 1, 3):
        with pytest.raises(VersionConflict):
            await writer.append(new_events(stream=stream, after=wrong))


async def test_a_conflict_fails_only_its_own_command(
    writer: GroupCommitWriter, reader: EventReader
) -> None:
    taken = uuid4()
    await writer.append(new_events(stream=taken))
    results = await asyncio.gather(
        *(writer.append(new_events()) for _ in range(20)),
        writer.append(new_events(stream=taken)),
        *(writer.append(new_events()) for _ in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, VersionConflict) for result in results) == 1
    assert len(await reader.read_log(0, 100)) == 41


async def test_of_many_at_once_on_one_stream_one_wins(writer: GroupCommitWriter) -> None:
    stream = uuid4()
    results = await asyncio.gather(
        *(writer.append(new_events(stream=stream)) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, Appended) for result in results) == 1
    assert sum(isinstance(result, VersionConflict) for result in results) == 49


async def test_a_repeated_command_id_answers_with_the_first_result(
    writer: GroupCommitWriter, reader: EventReader
) -> None:
    command = new_events(requested(1), requested(2))
    first = await writer.append(command)
    await writer.append(new_events())
    assert await writer.append(command) == Appended(first.position, repeated=True)
    assert len(await reader.read_log(0, 100)) == 3


async def test_a_command_id_repeated_at_the_same_time_is_stored_once(
    writer: GroupCommitWriter, reader: EventReader
) -> None:
    command = new_events()
    results = await asyncio.gather(*(writer.append(command) for _ in range(10)))
    assert sorted(result.repeated for result in results) == [False] + [True] * 9
    assert len({result.position for result in results}) == 1
    assert len(await reader.read_log(0, 100)) == 1


async def test_more_commands_than_one_call_takes_are_all_stored(
    writer: GroupCommitWriter, reader: EventReader
) -> None:
    many = 2 * MAX_BATCH + 7
    results = await asyncio.gather(*(writer.append(new_events()) for _ in range(many)))
    assert sorted(result.position for result in results) == [
        event.position for event in await reader.read_log(0, many + 1)
    ]


async def test_a_connection_lost_with_commands_under_way_loses_and_doubles_none(
    writer: GroupCommitWriter, reader: EventReader, database_url: str
) -> None:
    async with await connect(database_url, "tests") as other:
        await writer.append(new_events())
        await other.execute(HOLD_THE_LOCK)
        waiting = [asyncio.create_task(writer.append(new_events())) for _ in range(10)]
        await until_waiting_for_the_lock(other)
        await other.execute(END_THE_WRITER)
        await other.execute(RELEASE_THE_LOCK)
        appended = await asyncio.gather(*waiting)
    assert sorted(result.position for result in appended) == [
        event.position for event in (await reader.read_log(0, 100))[1:]
    ]


async def test_a_connection_lost_after_the_commit_answers_with_the_first_result(
    writer: GroupCommitWriter, reader: EventReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = writer._call

    async def call_and_lose_the_answer(connection: AsyncConnection, batch: Any) -> Any:
        await call(connection, batch)
        monkeypatch.undo()
        await connection.close()
        raise psycopg.OperationalError("the connection was lost")

    monkeypatch.setattr(writer, "_call", call_and_lose_the_answer)
    appended = await writer.append(new_events())
    assert appended.repeated
    assert [event.position for event in await reader.read_log(0, 100)] == [appended.position]


async def test_a_full_queue_refuses_at_once_and_stores_nothing_of_it(
    database_url: str, reader: EventReader
) -> None:
    async with (
        GroupCommitWriter(database_url, EventCodec(), max_pending=5) as writer,
        await connect(database_url, "tests") as other,
    ):
        await other.execute(HOLD_THE_LOCK)
        under_way = asyncio.create_task(writer.append(new_events()))
        await until_waiting_for_the_lock(other)
        queued = [asyncio.create_task(writer.append(new_events())) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(StoreBusy) as refusal:
            await writer.append(new_events())
        assert refusal.value.retry_after == timedelta(seconds=1)
        await other.execute(RELEASE_THE_LOCK)
        await asyncio.gather(under_way, *queued)
    assert len(await reader.read_log(0, 100)) == 6


async def test_a_store_that_does_not_answer_in_time_is_unavailable(
    database_url: str, reader: EventReader
) -> None:
    patience = timedelta(milliseconds=200)
    async with (
        GroupCommitWriter(database_url, EventCodec(), patience=patience) as writer,
        await connect(database_url, "tests") as other,
    ):
        await other.execute(HOLD_THE_LOCK)
        under_way = asyncio.create_task(writer.append(new_events()))
        await until_waiting_for_the_lock(other)
        given_up_in_the_queue = new_events()
        with pytest.raises(StoreUnavailable):
            await writer.append(given_up_in_the_queue)
        with pytest.raises(StoreUnavailable):
            await under_way
        await other.execute(RELEASE_THE_LOCK)
        await writer.append(new_events())
    streams = {event.stream_id for event in await reader.read_log(0, 100)}
    assert len(streams) == 2
    assert given_up_in_the_queue.stream_id not in streams


async def test_an_event_that_cannot_be_stored_fails_alone(
    writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    async with pool.connection() as connection:
        await connection.execute(
            "ALTER TABLE events ADD CONSTRAINT small CHECK (length(state) < 2000)"
        )
    good = [writer.append(new_events()) for _ in range(5)]
    bad = writer.append(new_events(requested(title="long" * 1000)))
    *stored, refused = await asyncio.gather(*good, bad, return_exceptions=True)
    assert all(isinstance(result, Appended) for result in stored)
    assert isinstance(refused, StoreUnavailable)


async def test_stopping_tells_those_who_wait(database_url: str) -> None:
    async with await connect(database_url, "tests") as other:
        await other.execute(HOLD_THE_LOCK)
        async with GroupCommitWriter(database_url, EventCodec()) as writer:
            waiting = asyncio.create_task(writer.append(new_events()))
            await until_waiting_for_the_lock(other)
        with pytest.raises(StoreUnavailable):
            await waiting


async def test_a_caller_that_is_cancelled_disturbs_nobody(
    writer: GroupCommitWriter, reader: EventReader
) -> None:
    impatient = [asyncio.create_task(writer.append(new_events())) for _ in range(10)]
    patient = [asyncio.create_task(writer.append(new_events())) for _ in range(10)]
    await asyncio.sleep(0)
    for task in impatient:
        task.cancel()
    await asyncio.gather(*impatient, return_exceptions=True)
    positions = {result.position for result in await asyncio.gather(*patient)}
    assert positions <= {event.position for event in await reader.read_log(0, 100)}


async def until_waiting_for_the_lock(connection: psycopg.AsyncConnection) -> None:
    async with asyncio.timeout(10):
        while True:
            cursor = await connection.execute(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE application_name = 'medianest writer' AND wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            if await cursor.fetchone():
                return
            await asyncio.sleep(0.01)
