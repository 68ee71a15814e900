import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from application.execute import MAX_ATTEMPTS, Context, Executed, Executor
from application.ports import (
    Appended,
    CommandIdReused,
    NewEvents,
    StoreBusy,
    UnreadableStream,
    VersionConflict,
)
from domain.api_keys import MakeApiKey, RevokeApiKey, UnknownApiKey, api_keys
from domain.kernel import Unreadable
from domain.media_requests import (
    AlreadyRequested,
    Media,
    MediaRequest,
    MediaType,
    NotRequested,
    RecordForwarding,
    RequestMedia,
    media_request_id,
    media_requests,
)
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import GroupCommitWriter
from tests.events import NOON, new_events
from tests.fakes import InMemoryEventStore, new_id

ANN = UUID(int=1)
MATRIX = Media(MediaType.MOVIE, 603)
STREAM = media_request_id(MATRIX)


def executor(store: InMemoryEventStore) -> Executor:
    return Executor(store, lambda: NOON, new_id)


def context(command_id: UUID | None = None) -> Context:
    return Context(f"account:{ANN}", "click-1", command_id or uuid4(), causation_id=None)


def ask(title: str = "The Matrix") -> RequestMedia:
    return RequestMedia(MATRIX, title, ANN)


async def request(executor: Executor, context: Context) -> Executed[MediaRequest]:
    return await executor.execute(media_requests, STREAM, ask(), context)


async def test_a_command_is_stored_with_who_when_and_why() -> None:
    store = InMemoryEventStore()
    asked = context()
    executed = await request(executor(store), asked)
    (recorded,) = store.events
    assert executed.position == recorded.position
    assert executed.state.title == "The Matrix"
    assert recorded.metadata.at == NOON
    assert recorded.metadata.actor == f"account:{ANN}"
    assert recorded.metadata.correlation_id == "click-1"
    assert recorded.metadata.command_id == asked.command_id


async def test_a_repeated_command_answers_with_its_first_result() -> None:
    store, asked = InMemoryEventStore(), context()
    first = await request(executor(store), asked)
    await executor(store).execute(media_requests, STREAM, RecordForwarding(7), context())
    again = await request(executor(store), asked)
    assert again.repeated
    assert again.position == first.position
    assert len(store.events) == 2


async def test_what_is_already_so_is_stored_no_second_time() -> None:
    store = InMemoryEventStore()
    await request(executor(store), context())
    forward = RecordForwarding(7)
    first = await executor(store).execute(media_requests, STREAM, forward, context())
    second = await executor(store).execute(media_requests, STREAM, forward, context())
    assert second == first
    assert len(store.events) == 2


async def test_a_refusal_stores_nothing() -> None:
    store = InMemoryEventStore()
    with pytest.raises(NotRequested):
        await executor(store).execute(media_requests, STREAM, RecordForwarding(7), context())
    assert store.events == []


async def test_of_many_at_once_one_is_stored_and_the_others_are_refused() -> None:
    store = InMemoryEventStore()
    results = await asyncio.gather(
        *(request(executor(store), context()) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, Executed) for result in results) == 1
    assert sum(isinstance(result, AlreadyRequested) for result in results) == 49


async def test_the_same_holds_on_postgresql(reader: EventReader, writer: GroupCommitWriter) -> None:
    real = Executor(PostgresEventStore(writer, reader), lambda: NOON, new_id)
    results = await asyncio.gather(
        *(request(real, context()) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(result, Executed) for result in results) == 1
    assert sum(isinstance(result, AlreadyRequested) for result in results) == 49
    assert len(await reader.read_log(0, 10)) == 1


async def test_one_command_sent_many_times_at_once_has_one_result(
    reader: EventReader, writer: GroupCommitWriter
) -> None:
    real, asked = Executor(PostgresEventStore(writer, reader), lambda: NOON, new_id), context()
    results = await asyncio.gather(*(request(real, asked) for _ in range(20)))
    assert len({(result.position, result.state) for result in results}) == 1
    assert len(await reader.read_log(0, 10)) == 1


async def test_losing_every_race_is_told_as_busy() -> None:
    class Overtaken(InMemoryEventStore):
        attempts = 0

        async def append(self, new: NewEvents) -> Appended:
            self.attempts += 1
            raise VersionConflict

    store = Overtaken()
    with pytest.raises(StoreBusy):
        await request(executor(store), context())
    assert store.attempts == MAX_ATTEMPTS


async def test_a_command_id_is_not_for_two_commands() -> None:
    store, asked = InMemoryEventStore(), context()
    await request(executor(store), asked)
    other = Media(MediaType.MOVIE, 604)
    with pytest.raises(CommandIdReused):
        await executor(store).execute(
            media_requests, media_request_id(other), RequestMedia(other, "Other", ANN), asked
        )


async def test_nothing_is_decided_on_half_a_history() -> None:
    store = InMemoryEventStore()
    await store.append(new_events(Unreadable("media_request.dreamt_of", "new"), stream=STREAM))
    with pytest.raises(UnreadableStream):
        await request(executor(store), context())


async def test_the_stream_of_another_kind_is_no_stream_to_whoever_guesses_its_id() -> None:
    store = InMemoryEventStore()
    await request(executor(store), context())
    revoke, make = RevokeApiKey(ANN), MakeApiKey(ANN, "a", (), "d", NOON, NOON + timedelta(1))
    assert await executor(store).state(api_keys, STREAM) is None
    with pytest.raises(UnknownApiKey):
        await executor(store).execute(api_keys, STREAM, revoke, context())
    with pytest.raises(TypeError, match="is not the stream of any api_key"):
        await executor(store).execute(api_keys, STREAM, make, context())
    assert len(store.events) == 1
