"""The store, opened on a database of its own."""

from collections.abc import AsyncGenerator

import pytest
from psycopg_pool import AsyncConnectionPool

from infrastructure import postgres
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter


@pytest.fixture
async def pool(database_url: str) -> AsyncGenerator[AsyncConnectionPool]:
    async with postgres.pool(database_url, "tests", size=4) as opened:
        yield opened


@pytest.fixture
def reader(pool: AsyncConnectionPool) -> EventReader:
    return EventReader(pool, EventCodec())


@pytest.fixture
async def writer(database_url: str) -> AsyncGenerator[GroupCommitWriter]:
    async with GroupCommitWriter(database_url, EventCodec()) as opened:
        yield opened
