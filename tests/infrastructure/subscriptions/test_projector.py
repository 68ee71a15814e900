import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from domain.kernel import Recorded
from domain.media_requests import (
    ForwardingFailed,
    ForwardingProblem,
    MediaRequested,
    MediaRequestForwarded,
)
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.loops import keep_running
from infrastructure.subscriptions import projector as projector_module
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.subscriber import Fenced, Subscriber
from projections.kernel import Key, ReadModel
from projections.media_requests import MEDIA_REQUESTS
from tests.events import NOON, new_events, requested


class Shelf(msgspec.Struct, frozen=True):
    owner: UUID
    slot: str
    titles: tuple[str, ...]
    note: str | None = None


def shelf_keys(recorded: Recorded[MediaRequested]) -> list[Key]:
    return [] if recorded.event.title == "nowhere" else [(recorded.event.requested_by, "all")]


def shelf_fold(row: Shelf | None, recorded: Recorded[MediaRequested]) -> Shelf | None:
    title = recorded.event.title
    if title == "poison":
        raise ValueError("this cannot be folded")
    if title == "clear":
        return None
    before = row.titles if row else ()
    return Shelf(recorded.event.requested_by, "all", (*before, title))


SHELVES: ReadModel[Shelf] = ReadModel(
    name="shelves",
    version=2,
    row=Shelf,
    key=("owner", "slot"),
    events=(MediaRequested,),
    keys=shelf_keys,
    fold=shelf_fold,
)
OWNER = UUID(int=1)


@pytest.fixture
def query(database_url: str) -> Callable[[str], list[Any]]:
    def run(statement: str) -> list[Any]:
        with psycopg.connect(database_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    run(SHELVES.ddl())
    return run


@asynccontextmanager
async def projecting(
    model: ReadModel[Any], database_url: str, reader: EventReader, page_size: int = 5000
) -> AsyncGenerator[SubscriptionHub]:
    async with SubscriptionHub(database_url, reader) as hub:
        subscriber = Subscriber(Projector(model), database_url, hub, page_size=page_size)
        task = asyncio.create_task(keep_running(subscriber.name, subscriber.run))
        try:
            yield hub
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def put(writer: GroupCommitWriter, *titles: str) -> int:
    position = 0
    for title in titles:
        position = (await writer.append(new_events(requested(title=title)))).position
    return position


async def shown(hub: SubscriptionHub, model: ReadModel[Any], position: int) -> None:
    assert await hub.reached(model.table, position, timedelta(seconds=10))


async def test_a_request_becomes_a_row_and_follows_its_events(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    stream = uuid4()
    failed = ForwardingFailed(1, ForwardingProblem.THROTTLED, "Later.", NOON, NOON)
    async with projecting(MEDIA_REQUESTS, database_url, reader) as hub:
        first = await writer.append(new_events(stream=stream))
        await shown(hub, MEDIA_REQUESTS, first.position)
        assert query("SELECT id, status, attempts, problem FROM media_requests_v2") == [
            (stream, "pending", 0, None)
        ]
        second = await writer.append(new_events(failed, stream=stream, after=1))
        await shown(hub, MEDIA_REQUESTS, second.position)
        assert query("SELECT status, attempts, problem, version FROM media_requests_v2") == [
            ("pending", 1, "throttled", 2)
        ]
        third = await writer.append(new_events(MediaRequestForwarded(7), stream=stream, after=2))
        await shown(hub, MEDIA_REQUESTS, third.position)
        assert query(
            "SELECT status, overseerr_id, problem, next_attempt_at, version FROM media_requests_v2"
        ) == [("forwarded", 7, None, None, 3)]


@pytest.mark.parametrize("page_size", [1, 3, 5000])
async def test_pages_of_any_size_give_the_same_rows(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
    page_size: int,
) -> None:
    position = await put(writer, "a", "b", "nowhere", "clear", "c", "d")
    async with projecting(SHELVES, database_url, reader, page_size) as hub:
        await shown(hub, SHELVES, position)
    assert query("SELECT owner, titles FROM shelves_v2") == [(OWNER, ["c", "d"])]


@pytest.mark.parametrize("page_size", [1, 4])
async def test_more_rows_than_are_kept_in_memory_come_out_right(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    page_size: int,
) -> None:
    monkeypatch.setattr(projector_module, "CACHED_ROWS", 2)
    owners = [UUID(int=number) for number in range(5)]
    position = 0
    for title in "abcdef":
        for owner in owners:
            event = msgspec.structs.replace(requested(title=title), requested_by=owner)
            position = (await writer.append(new_events(event))).position
    async with projecting(SHELVES, database_url, reader, page_size) as hub:
        await shown(hub, SHELVES, position)
        assert query("SELECT owner, titles FROM shelves_v2 ORDER BY owner") == [
            (owner, list("abcdef")) for owner in owners
        ]
        await shown(hub, SHELVES, await put(writer, "g"))
        assert query(f"SELECT titles FROM shelves_v2 WHERE owner = '{OWNER}'") == [
            (list("abcdefg"),)
        ]


async def test_a_row_is_not_read_again_while_its_write_is_under_way(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projector_module, "CACHED_ROWS", 0)
    async with projecting(SHELVES, database_url, reader) as hub:
        await shown(hub, SHELVES, await put(writer, "a"))
        async with await psycopg.AsyncConnection.connect(database_url) as blocking:
            await blocking.execute("LOCK TABLE shelves_v2 IN SHARE MODE")
            await put(writer, "b")
            await asyncio.sleep(0.2)
            position = await put(writer, "c")
            await asyncio.sleep(0.2)
        await shown(hub, SHELVES, position)
    assert query("SELECT titles FROM shelves_v2") == [(["a", "b", "c"],)]


async def test_a_row_that_did_not_change_is_not_written_again(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    async with projecting(SHELVES, database_url, reader) as hub:
        await shown(hub, SHELVES, await put(writer, "a"))
        written = query("SELECT xmin FROM shelves_v2")
        unrelated = await writer.append(new_events(MediaRequestForwarded(1)))
        await shown(hub, SHELVES, unrelated.position)
        assert query("SELECT xmin FROM shelves_v2") == written


async def test_a_row_can_be_deleted_and_come_back(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    async with projecting(SHELVES, database_url, reader) as hub:
        await shown(hub, SHELVES, await put(writer, "a", "clear"))
        assert query("SELECT * FROM shelves_v2") == []
        await shown(hub, SHELVES, await put(writer, "b"))
        assert query("SELECT titles FROM shelves_v2") == [(["b"],)]


async def test_it_goes_on_where_it_stopped(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    for title in ("a", "b", "c"):
        async with projecting(SHELVES, database_url, reader) as hub:
            await shown(hub, SHELVES, await put(writer, title))
    assert query("SELECT titles FROM shelves_v2") == [(["a", "b", "c"],)]


async def test_events_it_does_not_listen_to_move_it_on(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    async with projecting(SHELVES, database_url, reader) as hub:
        appended = await writer.append(new_events(MediaRequestForwarded(1)))
        await shown(hub, SHELVES, appended.position)
    assert query("SELECT count(*) FROM shelves_v2") == [(0,)]


async def test_events_it_does_not_listen_to_move_it_on_when_it_catches_up(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    await put(writer, "a")
    last = await writer.append(new_events(MediaRequestForwarded(1)))
    async with projecting(SHELVES, database_url, reader) as hub:
        await shown(hub, SHELVES, last.position)
    assert query("SELECT titles FROM shelves_v2") == [(["a"],)]


@pytest.mark.parametrize("page_size", [1, 2, 5000])
async def test_a_poison_event_is_parked_and_stops_nothing_else(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
    page_size: int,
) -> None:
    position = await put(writer, "a", "b", "poison", "c", "d\0", "e")
    async with projecting(SHELVES, database_url, reader, page_size) as hub:
        await shown(hub, SHELVES, position)
    assert query("SELECT titles FROM shelves_v2") == [(["a", "b", "c", "e"],)]
    parked = query("SELECT subscriber, position, error FROM parked_events ORDER BY position")
    assert [(name, at) for name, at, _ in parked] == [("shelves_v2", 3), ("shelves_v2", 5)]
    assert parked[0][2] == "ValueError: this cannot be folded"


async def test_an_event_of_a_newer_version_is_parked(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    await put(writer, "a")
    query(
        "INSERT INTO events (originator_id, originator_version, topic, state)"
        " SELECT gen_random_uuid(), 1, 'media_request.dreamt_of', state FROM events"
    )
    async with projecting(SHELVES, database_url, reader) as hub:
        await shown(hub, SHELVES, 2)
    assert query("SELECT position, error FROM parked_events") == [
        (2, "UnreadableEvent: media_request.dreamt_of: unknown event")
    ]


async def test_of_two_owners_one_works_and_the_other_takes_over(
    database_url: str,
    reader: EventReader,
    writer: GroupCommitWriter,
    query: Callable[[str], list[Any]],
) -> None:
    async with projecting(SHELVES, database_url, reader) as hub:
        await shown(hub, SHELVES, await put(writer, "a"))
        async with projecting(SHELVES, database_url, reader):
            await asyncio.sleep(0.2)
            assert query(_OWNERS) == [(1,)]
            query(_END_THE_OWNER)
            await shown(hub, SHELVES, await put(writer, "b", "c"))
            assert query(_OWNERS) == [(1,)]
    assert query("SELECT titles FROM shelves_v2") == [(["a", "b", "c"],)]


async def test_an_owner_whose_checkpoint_was_moved_writes_nothing(
    database_url: str, writer: GroupCommitWriter, query: Callable[[str], list[Any]]
) -> None:
    await put(writer, "a")
    query("INSERT INTO checkpoints VALUES ('shelves_v2', 1)")
    recorded = Recorded(1, uuid4(), 1, new_events().events[0][0], requested(title="a"))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        projector = Projector(SHELVES)
        await projector.fold(connection, [recorded])
        with pytest.raises(Fenced):
            await projector.write(connection, before=0, after=1)
    assert query("SELECT * FROM shelves_v2") == []
    assert query("SELECT position FROM checkpoints WHERE subscriber = 'shelves_v2'") == [(1,)]


def test_columns_follow_from_the_row() -> None:
    assert SHELVES.ddl().split(";\n")[0] == (
        "CREATE TABLE IF NOT EXISTS shelves_v2 (owner uuid NOT NULL, slot text NOT NULL,"
        " titles jsonb NOT NULL, note text, PRIMARY KEY (owner, slot))"
    )


_OWNERS = (
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND application_name = 'medianest shelves_v2'"
    " AND datname = current_database() AND granted"
)
_END_THE_OWNER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND application_name = 'medianest shelves_v2'"
    " AND datname = current_database()"
)
