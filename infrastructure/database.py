"""The database of a process, once it is known to have this version's schema."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
from psycopg_pool import AsyncConnectionPool

from infrastructure import postgres
from infrastructure.event_store import schema
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.settings import Settings


class SchemaOutdated(Exception):
    """The database was not migrated to this version; ``medianest migrate`` does it."""

    def __init__(self) -> None:
        super().__init__(
            "The database has another schema than this version of MediaNest needs."
            " Run: medianest migrate"
        )


class Database(msgspec.Struct, frozen=True):
    """What a process needs to read the store."""

    url: str
    pool: AsyncConnectionPool
    codec: EventCodec
    reader: EventReader


@asynccontextmanager
async def open_database(
    settings: Settings, process: str, *, connections: int
) -> AsyncGenerator[Database]:
    """Connect, and make sure that the installed append function is this version's.

    An older one might not take the lock that keeps positions in commit order. Raises
    SchemaOutdated.
    """
    url = settings.required("database_url")
    codec = EventCodec()
    async with postgres.pool(url, process, size=connections) as pool:
        async with pool.connection() as connection:
            cursor = await connection.execute(schema.installed_check(schema.EVENTS_TABLE))
            if await cursor.fetchone() != (True,):
                raise SchemaOutdated
        yield Database(url, pool, codec, EventReader(pool, codec))
