"""The read models of rate limits, kept by the projector and asked on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from psycopg_pool import AsyncConnectionPool

from application.ports import NewEvents
from domain.kernel import Event, Metadata
from domain.rate_limits import Policy, RateLimitChanged, RateLimitViolated
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.loops import keep_running
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.subscriber import Subscriber
from projections.kernel import AnyReadModel
from projections.rate_limits import (
    RATE_LIMIT_POLICIES,
    RATE_LIMIT_VIOLATIONS,
    RateLimitPolicyRow,
    RateLimitQueries,
    RateLimitViolationRow,
)
from tests.events import NOON

ADMIN = f"account:{UUID(int=1)}"
MODELS: tuple[AnyReadModel, ...] = (RATE_LIMIT_POLICIES, RATE_LIMIT_VIOLATIONS)


def subject(number: int) -> str:
    return f"address:{UUID(int=number)}"


def violated(
    number: int, times: int = 1, at: datetime = NOON, policy: Policy = Policy.AUTH
) -> RateLimitViolated:
    return RateLimitViolated(policy, subject(number), times, at)


@asynccontextmanager
async def projecting(database_url: str, reader: EventReader) -> AsyncGenerator[SubscriptionHub]:
    async with SubscriptionHub(database_url, reader) as hub:
        subscribers = [Subscriber(Projector(model), database_url, hub) for model in MODELS]
        tasks = [asyncio.create_task(keep_running(each.name, each.run)) for each in subscribers]
        try:
            yield hub
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def put(writer: GroupCommitWriter, *events: Event) -> int:
    """Store each event on a stream of its own; the position of the last."""
    position = 0
    for event in events:
        command_id = uuid4()
        about = Metadata(uuid4(), NOON, ADMIN, "test", command_id)
        new = NewEvents(uuid4(), 0, command_id, [(about, event)])
        position = (await writer.append(new)).position
    return position


async def shown(hub: SubscriptionHub, position: int) -> None:
    for model in MODELS:
        assert await hub.reached(model.table, position, timedelta(seconds=10))


async def test_a_policy_shows_the_last_change_and_who_made_it(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    queries = RateLimitQueries(pool)
    assert await queries.policies() == []
    async with projecting(database_url, reader) as hub:
        position = await put(
            writer,
            RateLimitChanged(Policy.AUTH, 3, 60),
            RateLimitChanged(Policy.DOWNLOAD, 50, 86400),
            RateLimitChanged(Policy.AUTH, 4, 90),
        )
        await shown(hub, position)
    rows = sorted(await queries.policies(), key=lambda row: row.policy)
    assert rows == [
        RateLimitPolicyRow(Policy.AUTH, 4, 90, NOON, ADMIN),
        RateLimitPolicyRow(Policy.DOWNLOAD, 50, 86400, NOON, ADMIN),
    ]


async def test_the_violations_of_a_subject_add_up_over_all_days(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    tomorrow = NOON + timedelta(days=1)
    async with projecting(database_url, reader) as hub:
        first = await put(writer, violated(1, 10), violated(1, 5, policy=Policy.GENERAL))
        await shown(hub, first)
        last = await put(writer, violated(1, 7, tomorrow))
        await shown(hub, last)
    queries = RateLimitQueries(pool)
    assert await queries.violations(None, before=None, limit=10) == [
        RateLimitViolationRow(Policy.AUTH, subject(1), 17, 2, NOON, tomorrow, last),
        RateLimitViolationRow(Policy.GENERAL, subject(1), 5, 1, NOON, NOON, first),
    ]


async def test_pages_of_violations_follow_each_other_newest_first(
    database_url: str, reader: EventReader, writer: GroupCommitWriter, pool: AsyncConnectionPool
) -> None:
    async with projecting(database_url, reader) as hub:
        position = await put(
            writer,
            *(violated(number) for number in range(7)),
            violated(9, policy=Policy.GENERAL),
            violated(0),
        )
        await shown(hub, position)
    queries = RateLimitQueries(pool)
    seen: list[str] = []
    before: int | None = None
    while page := await queries.violations(Policy.AUTH, before=before, limit=3):
        assert len(page) <= 3
        assert {row.policy for row in page} == {Policy.AUTH}
        seen += [row.subject for row in page]
        before = page[-1].last_position
    assert seen == [subject(number) for number in (0, 6, 5, 4, 3, 2, 1)]
