import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from domain.kernel import Recorded
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.subscriptions.hub import SubscriptionHub
from tests.events import new_events
from tests.relay import Relay


@asynccontextmanager
async def hub(
    database_url: str, reader: EventReader, ring_size: int = 10_000
) -> AsyncGenerator[SubscriptionHub]:
    async with SubscriptionHub(database_url, reader, ring_size=ring_size) as opened:
        yield opened


async def take(
    pages: AsyncIterator[Sequence[Recorded[Any]]], count: int, seconds: float = 10
) -> list[int]:
    """The positions of the next ``count`` events."""
    positions: list[int] = []
    async with asyncio.timeout(seconds):
        async for page in pages:
            positions += [recorded.position for recorded in page]
            if len(positions) >= count:
                break
    return positions


async def append(writer: GroupCommitWriter, count: int) -> list[int]:
    results = await asyncio.gather(*(writer.append(new_events()) for _ in range(count)))
    return sorted(result.position for result in results)


async def test_a_follower_without_a_position_gets_what_comes_next(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    await append(writer, 5)
    async with hub(database_url, reader) as feed:
        pages = feed.subscribe()
        following = asyncio.create_task(take(pages, 3))
        await asyncio.sleep(0)
        appended = await append(writer, 3)
        assert await following == appended


@pytest.mark.parametrize("ring_size", [3, 10_000])
async def test_history_is_spliced_into_the_live_events_without_gap_or_repeat(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, ring_size: int
) -> None:
    before = await append(writer, 50)
    async with hub(database_url, reader, ring_size) as feed:
        following = [
            asyncio.create_task(take(feed.subscribe(start, page_size=7), 250 - index))
            for index, start in enumerate([0, *before[:20]])
        ]
        appended: list[int] = []
        for _ in range(20):
            appended += await append(writer, 10)
        for index, follower in enumerate(following):
            assert await follower == (before + appended)[index:]


async def test_a_slow_follower_falls_out_of_the_ring_and_misses_nothing(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    async with hub(database_url, reader, ring_size=5) as feed:
        pages = feed.subscribe(0, page_size=4)
        first = await append(writer, 3)
        assert await take(pages, 3) == first
        rest = await append(writer, 100)
        assert await take(feed.subscribe(first[-1], page_size=4), 100) == rest


async def test_positions_that_no_event_has_are_no_obstacle(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT setval('events_notification_id_seq', 1000)")
    appended = await append(writer, 2)
    assert appended == [1001, 1002]
    async with hub(database_url, reader) as feed:
        assert await take(feed.subscribe(0), 2) == appended


async def test_a_lost_connection_is_made_up_for(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    async with hub(database_url, reader) as feed:
        following = asyncio.create_task(take(feed.subscribe(0), 20))
        appended = await append(writer, 10)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'medianest hub' AND datname = current_database()"
            )
        appended += await append(writer, 10)
        assert await following == appended


async def test_a_lost_notification_is_made_up_for_by_polling(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> None:
    async with hub(database_url, reader) as feed:
        await append(writer, 1)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(  # as an event that nobody announces
                "INSERT INTO events (originator_id, originator_version, topic, state)"
                " SELECT gen_random_uuid(), 1, topic, state FROM events"
            )
        assert len(await take(feed.subscribe(0), 2, seconds=5)) == 2


async def test_progress_is_awaited_and_not_longer_than_allowed(
    database_url: str, reader: EventReader
) -> None:
    async with hub(database_url, reader) as feed:
        waiting = asyncio.create_task(feed.reached("things_v1", 7, timedelta(seconds=5)))
        assert not await feed.reached("things_v1", 7, timedelta(milliseconds=20))
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("INSERT INTO checkpoints VALUES ('things_v1', 7)")
            connection.execute("NOTIFY checkpoints, 'things_v1 7'")
        assert await waiting
        assert await feed.reached("things_v1", 7, timedelta())
        assert not await feed.reached("things_v1", 8, timedelta(milliseconds=20))


async def test_after_a_long_outage_it_hears_again_within_a_second(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, tmp_path: Path
) -> None:
    socket = Path(str(conninfo_to_dict(database_url)["host"]), ".s.PGSQL.5432")
    relayed = make_conninfo(database_url, host=str(tmp_path))
    async with Relay(socket, tmp_path / socket.name) as relay, hub(relayed, reader) as feed:
        relay.cut()
        await asyncio.sleep(3.5)  # pauses that only double would be longer than a second by now
        appended = await append(writer, 3)
        await relay.mend()
        assert await take(feed.subscribe(0), 3, seconds=1) == appended
