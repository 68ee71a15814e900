"""Who of many processes does what only one shall do at a time."""

import asyncio

from psycopg import AsyncConnection

from infrastructure.event_store.schema import LOCK_CLASS

STANDBY_SECONDS = 1.0
"""How soon a standby notices that the owner is gone."""


async def own(connection: AsyncConnection, name: str) -> None:
    """Wait until nobody else owns ``name``; it is then ours for as long as the connection lives."""
    while True:
        cursor = await connection.execute(
            "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LOCK_CLASS, name)
        )
        if await cursor.fetchone() == (True,):
            return
        await asyncio.sleep(STANDBY_SECONDS)
