"""Makes and checks everything MediaNest keeps in PostgreSQL."""

import asyncio

from psycopg import AsyncConnection

from application.reactors import REACTORS
from infrastructure import outbox
from infrastructure.event_store import schema as event_store
from infrastructure.event_store.recorder import LockingRecorder, datastore
from infrastructure.postgres import connect
from infrastructure.subscriptions import schema as subscriptions
from projections.registry import READ_MODELS


class SchemaOutdated(Exception):
    """The database was not migrated to this version; ``medianest migrate`` does it."""

    def __init__(self) -> None:
        super().__init__(
            "The database has another schema than this version of MediaNest needs."
            " Run: medianest migrate"
        )


async def migrate(database_url: str) -> None:
    """Make what is missing; may run again, and beside another migration."""
    async with await connect(database_url, "migrate") as connection:
        await connection.execute(
            "SELECT pg_advisory_lock(%s, hashtext('migrate'))", (event_store.LOCK_CLASS,)
        )
        await asyncio.to_thread(_create_event_store, database_url)
        await subscriptions.create_tables(connection)
        await outbox.create_tables(connection)
        for model in READ_MODELS:
            await connection.execute(model.ddl().encode(), prepare=False)
        for reactor in REACTORS:
            await subscriptions.start_at_head(connection, reactor.name)


async def check(connection: AsyncConnection) -> None:
    """Raises SchemaOutdated unless this version's append function is what is installed.

    An older one might not take the lock that keeps positions in commit order.
    """
    cursor = await connection.execute(event_store.installed_check(event_store.EVENTS_TABLE))
    if await cursor.fetchone() != (True,):
        raise SchemaOutdated


def _create_event_store(database_url: str) -> None:
    with datastore(database_url, pool_size=1) as store:
        LockingRecorder(store).create_table()
