"""The read models of people and requests, kept by their projectors on a real PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from application.ports import NewEvents
from domain.kernel import Event, Metadata
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.loops import keep_running
from infrastructure.subscriptions.hub import SubscriptionHub
from infrastructure.subscriptions.projector import Projector
from infrastructure.subscriptions.subscriber import Subscriber
from projections.accounts import ACCOUNTS
from projections.activity import ACTIVITY
from projections.api_keys import API_KEYS
from projections.deliveries import DELIVERIES
from projections.kernel import AnyReadModel
from projections.media_requests import MEDIA_REQUESTS
from projections.notifications import INBOXES, NOTIFICATIONS
from projections.sessions import SESSIONS
from tests.events import NOON

MODELS: tuple[AnyReadModel, ...] = (
    MEDIA_REQUESTS,
    ACCOUNTS,
    SESSIONS,
    API_KEYS,
    ACTIVITY,
    NOTIFICATIONS,
    INBOXES,
    DELIVERIES,
)


class Projected:
    """Stores events, and waits until every read model shows them."""

    def __init__(self, writer: GroupCommitWriter, hub: SubscriptionHub) -> None:
        self._writer = writer
        self._hub = hub
        self._versions = Counter[UUID]()

    async def put(self, stream: UUID, *events: Event, at: datetime = NOON) -> int:
        """Add ``events`` to a stream; the position of the last."""
        command_id = uuid4()
        about = Metadata(uuid4(), at, "account:test", "test", command_id)
        stored = [(about, event) for event in events]
        new = NewEvents(stream, self._versions[stream], command_id, stored)
        position = (await self._writer.append(new)).position
        self._versions[stream] += len(events)
        for model in MODELS:
            assert await self._hub.reached(model.table, position, timedelta(seconds=10))
        return position


@pytest.fixture
async def projected(
    database_url: str, reader: EventReader, writer: GroupCommitWriter
) -> AsyncGenerator[Projected]:
    async with SubscriptionHub(database_url, reader) as hub:
        subscribers = [Subscriber(Projector(model), database_url, hub) for model in MODELS]
        tasks = [asyncio.create_task(keep_running(each.name, each.run)) for each in subscribers]
        try:
            yield Projected(writer, hub)
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
