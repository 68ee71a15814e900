import asyncio
from uuid import uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from application.ports import StoreUnavailable
from domain.media_requests import MediaRequested, MediaRequestForwarded
from infrastructure import postgres
from infrastructure.event_store import reader as reader_module
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from tests.events import new_events, requested


async def test_streams_read_at_the_same_time_get_each_their_own_events(
    reader: EventReader, writer: GroupCommitWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_BATCH", 7)
    streams = [uuid4() for _ in range(20)]
    for number, stream in enumerate(streams):
        events = [requested(title=f"{number}"), MediaRequestForwarded(number)]
        await writer.append(new_events(*events, stream=stream))
    whole, ends, nothing = await asyncio.gather(
        asyncio.gather(*(reader.read_stream(stream) for stream in streams)),
        asyncio.gather(*(reader.read_stream(stream, after_version=1) for stream in streams)),
        reader.read_stream(uuid4()),
    )
    for number, (stream, events, end) in enumerate(zip(streams, whole, ends, strict=True)):
        assert [event.version for event in events] == [1, 2]
        assert {event.stream_id for event in events} == {stream}
        assert [event.event for event in end] == [MediaRequestForwarded(number)]
    assert nothing == []


async def test_a_stream_is_read_as_it_is_when_it_is_asked_for(
    reader: EventReader, writer: GroupCommitWriter
) -> None:
    async def append_and_read() -> None:
        added = new_events()
        await writer.append(added)
        assert len(await reader.read_stream(added.stream_id)) == 1

    await asyncio.gather(*(append_and_read() for _ in range(50)))


async def test_everyone_who_waits_is_told_of_a_lost_database_and_may_ask_again(
    database_url: str,
) -> None:
    pool = postgres.pool(database_url, "tests", size=1)
    reader = EventReader(pool, EventCodec())
    answers = await asyncio.gather(
        *(reader.read_stream(uuid4()) for _ in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    async with pool:
        assert await reader.read_stream(uuid4()) == []


async def test_one_who_gives_up_does_not_disturb_the_others(
    reader: EventReader, writer: GroupCommitWriter
) -> None:
    added = new_events()
    await writer.append(added)
    impatient = asyncio.create_task(reader.read_stream(added.stream_id))
    patient = asyncio.create_task(reader.read_stream(added.stream_id))
    await asyncio.sleep(0)
    impatient.cancel()
    assert len(await patient) == 1


async def test_events_that_are_not_needed_are_left_out_but_for_the_landmark(
    reader: EventReader, writer: GroupCommitWriter
) -> None:
    stream = uuid4()
    await writer.append(new_events(requested(), MediaRequestForwarded(1), stream=stream))
    await writer.append(new_events(MediaRequestForwarded(2)))
    needed = {MediaRequested}
    assert [event.position for event in await reader.read_log(0, 9, needed=needed)] == [1]
    to_the_end = await reader.read_log(0, 9, needed=needed, landmark=3)
    assert [event.position for event in to_the_end] == [1, 3]


async def test_an_event_of_a_newer_version_is_never_left_out(
    reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    await writer.append(new_events())
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO events (originator_id, originator_version, topic, state)"
            " SELECT gen_random_uuid(), 1, 'media_request.dreamt_of', state FROM events"
        )
    assert [event.position for event in await reader.read_log(0, 9, needed=())] == [2]
