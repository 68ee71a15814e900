"""Makes everything MediaNest keeps in PostgreSQL."""

import asyncio

from application.reactors import REACTORS
from infrastructure import idempotency, last_uses, outbox
from infrastructure.errors import log as error_log
from infrastructure.event_store.recorder import LockingRecorder, datastore
from infrastructure.event_store.schema import LOCK_CLASS
from infrastructure.postgres import connect
from infrastructure.security import keyring, personal_data
from infrastructure.subscriptions import schema as subscriptions
from projections.registry import READ_MODELS


async def migrate(database_url: str) -> None:
    """Make what is missing; may run again, and beside another migration."""
    async with await connect(database_url, "migrate") as connection:
        await connection.execute("SELECT pg_advisory_lock(%s, hashtext('migrate'))", (LOCK_CLASS,))
        await asyncio.to_thread(_create_event_store, database_url)
        await subscriptions.create_tables(connection)
        await outbox.create_tables(connection)
        for tables in (keyring, personal_data, last_uses, idempotency):
            await tables.create_tables(connection)
        await error_log.create_tables(connection)
        for model in READ_MODELS:
            await connection.execute(model.ddl().encode(), prepare=False)
        for reactor in REACTORS:
            await subscriptions.start_at_head(connection, reactor.name)


def _create_event_store(database_url: str) -> None:
    with datastore(database_url, pool_size=1) as store:
        LockingRecorder(store).create_table()
