import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from application.effects import ForwardRequest, job_id
from application.reactors import REACTORS
from application.reactors.forward_requests import forward_requests
from domain.media_requests import ForwardingFailed, ForwardingProblem, MediaRequestForwarded
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.migrations import migrate
from infrastructure.outbox import Outbox
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.reactions import Reaction
from infrastructure.subscriptions.subscriber import Subscriber
from tests.events import NOON, new_events


class Bell:
    def __init__(self) -> None:
        self.rung: list[UUID] = []

    async def __call__(self, job_ids: Sequence[UUID]) -> None:
        self.rung += job_ids


async def react(database_url: str, reader: EventReader, until: int, *, rings: int) -> list[UUID]:
    """Run the reactor up to a position and ``rings`` of the bell; the jobs it rang for."""
    bell = Bell()
    async with SubscriptionHub(database_url, reader) as hub:
        subscriber = Subscriber(Reaction(forward_requests, bell), database_url, hub)
        task = asyncio.create_task(subscriber.run())
        while True:
            with psycopg.connect(database_url, autocommit=True) as connection:
                cursor = connection.execute(
                    "SELECT position FROM checkpoints WHERE subscriber = 'forward_requests'"
                )
                if cursor.fetchone() == (until,) and len(bell.rung) >= rings:
                    break
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return bell.rung


async def test_a_request_is_due_at_once_and_a_failed_one_at_its_next_attempt(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    later = NOON + timedelta(days=36500)
    failed = ForwardingFailed(1, ForwardingProblem.UNREACHABLE, "No answer.", NOON, later)
    request = new_events()
    await writer.append(request)
    await writer.append(new_events(failed, stream=request.stream_id, after=1))
    settled = new_events(MediaRequestForwarded(7), stream=request.stream_id, after=2)
    until = (await writer.append(settled)).position

    rung = await react(database_url, reader, until, rings=1)

    (recorded, *_) = await reader.read_log(0, 1)
    assert rung == [job_id("forward_requests", recorded, 0)]
    outbox = Outbox(pool)
    (lease,) = await outbox.take_due(10)
    assert lease.job.effect == ForwardRequest(request.stream_id, attempt=0)
    assert lease.job.causation_id == recorded.metadata.event_id
    assert lease.job.correlation_id == recorded.metadata.correlation_id
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT due_at FROM outbox ORDER BY due_at DESC")
        assert (await cursor.fetchone()) == (later,)


async def test_meeting_the_same_events_again_adds_no_job(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    until = (await writer.append(new_events())).position
    await react(database_url, reader, until, rings=1)
    async with pool.connection() as connection:
        await connection.execute("UPDATE checkpoints SET position = 0")
    await react(database_url, reader, until, rings=1)
    assert len(await Outbox(pool).take_due(10)) == 1


async def test_a_new_reactor_does_not_fire_for_what_happened_before_it_existed(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    await writer.append(new_events())
    async with pool.connection() as connection:
        await connection.execute("DELETE FROM checkpoints")
    await migrate(database_url)
    until = (await writer.append(new_events())).position
    assert len(await react(database_url, reader, until, rings=1)) == 1
    assert len(await Outbox(pool).take_due(10)) == 1


async def test_migrating_again_leaves_the_reactors_where_they_are(
    database_url: str, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    await writer.append(new_events())
    await migrate(database_url)
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT subscriber, position FROM checkpoints")
        assert dict(await cursor.fetchall()) == {reactor.name: 0 for reactor in REACTORS}
