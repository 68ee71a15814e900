"""The read model of alerts, kept by the real projector in the real PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.alerts import AlertAcknowledged, AlertEvent, AlertRaised, AlertRepeated, AlertResolved
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.subscriber import Subscriber
from projections.alerts import ALERTS, AlertQueries, AlertRow
from tests.events import NOON, new_events

ANN = UUID(int=1)
FIRST, SECOND, THIRD = UUID(int=11), UUID(int=12), UUID(int=13)
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
async def hub(database_url: str, reader: EventReader) -> AsyncGenerator[SubscriptionHub]:
    async with SubscriptionHub(database_url, reader) as hub:
        running = asyncio.create_task(Subscriber(Projector(ALERTS), database_url, hub).run())
        yield hub
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def queries(pool: AsyncConnectionPool) -> AlertQueries:
    return AlertQueries(pool)


def raised(subject: str = "disk", times: int = 1) -> AlertRaised:
    return AlertRaised("error", subject, "The disk is full", "No space left.", NOON, times)


class Alarms:
    """Appends to alerts, and waits until it shows."""

    def __init__(self, writer: GroupCommitWriter, hub: SubscriptionHub) -> None:
        self._writer = writer
        self._hub = hub
        self._versions: dict[UUID, int] = {}

    async def put(self, stream: UUID, *events: AlertEvent) -> int:
        after = self._versions.get(stream, 0)
        appended = await self._writer.append(new_events(*events, stream=stream, after=after))
        self._versions[stream] = after + len(events)
        assert await self._hub.reached(ALERTS.table, appended.position, timedelta(seconds=10))
        return appended.position


@pytest.fixture
def alarms(writer: GroupCommitWriter, hub: SubscriptionHub) -> Alarms:
    return Alarms(writer, hub)


async def only(queries: AlertQueries) -> AlertRow:
    (row,) = await queries.page(is_open=None, before=None, limit=10)
    return row


async def test_an_alert_follows_its_events_and_begins_anew_when_raised_again(
    alarms: Alarms, queries: AlertQueries
) -> None:
    position = await alarms.put(FIRST, raised(times=2))
    assert await only(queries) == AlertRow(
        id=FIRST,
        raised_position=position,
        kind="error",
        subject="disk",
        title="The disk is full",
        detail="No space left.",
        raised_at=NOON,
        last_at=NOON,
        times=2,
        open=True,
        version=1,
        updated_at=NOON,
    )
    await alarms.put(FIRST, AlertRepeated(40, LATER), AlertAcknowledged(ANN))
    row = await only(queries)
    assert (row.times, row.last_at, row.version) == (42, LATER, 3)
    assert (row.acknowledged_by, row.acknowledged_at, row.open) == (ANN, NOON, True)
    await alarms.put(FIRST, AlertResolved())
    row = await only(queries)
    assert (row.open, row.resolved_at) == (False, NOON)
    position = await alarms.put(FIRST, raised())
    row = await only(queries)
    assert (row.raised_position, row.times, row.open, row.version) == (position, 1, True, 5)
    assert (row.acknowledged_by, row.resolved_at) == (None, None)


async def test_alerts_are_listed_newest_first_in_pages_and_by_what_is_over(
    alarms: Alarms, queries: AlertQueries
) -> None:
    for number, stream in enumerate((FIRST, SECOND, THIRD)):
        await alarms.put(stream, raised(f"disk {number}"))
    await alarms.put(SECOND, AlertResolved())

    async def ids(
        *, is_open: bool | None, before: int | None = None, limit: int = 10
    ) -> list[UUID]:
        rows = await queries.page(is_open=is_open, before=before, limit=limit)
        return [row.id for row in rows]

    assert await ids(is_open=None) == [THIRD, SECOND, FIRST]
    assert await ids(is_open=True) == [THIRD, FIRST]
    assert await ids(is_open=False) == [SECOND]
    (newest,) = await queries.page(is_open=True, before=None, limit=1)
    assert await ids(is_open=True, before=newest.raised_position) == [FIRST]
    assert await ids(is_open=None, limit=2) == [THIRD, SECOND]


async def test_what_happens_to_no_alert_is_a_fault(
    writer: GroupCommitWriter, hub: SubscriptionHub, pool: AsyncConnectionPool
) -> None:
    appended = await writer.append(new_events(AlertResolved(), stream=FIRST))
    assert await hub.reached(ALERTS.table, appended.position, timedelta(seconds=10))
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT subscriber, position FROM parked_events")
        assert await cursor.fetchall() == [(ALERTS.table, appended.position)]
