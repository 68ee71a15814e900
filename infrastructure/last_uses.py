"""When sessions and API keys were last used: noted in memory, stored every few seconds."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from infrastructure.loops import keep_running

log = structlog.get_logger()

FLUSH_SECONDS = 10.0
LONGEST_LAST_FLUSH = 2.0
"""Seconds; a database that is away must not hold up the end of a process."""
MOST_NOTED = 50_000
"""Of so many ids (about 10 MB) uses are kept while the database is away, of others lost."""

_TABLE = """
CREATE TABLE IF NOT EXISTS last_uses (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL
)
"""

# In the order of the ids, so that two processes cannot lock each other's rows in turn.
_STORE = """
INSERT INTO last_uses (id, at)
SELECT id, at FROM unnest(%s::uuid[], %s::timestamptz[]) AS noted (id, at) ORDER BY id
ON CONFLICT (id) DO UPDATE SET at = greatest(last_uses.at, excluded.at)
"""

# Sessions end long before, and so the table does not grow for ever.
_CLEAN = "DELETE FROM last_uses WHERE at < now() - interval '400 days'"


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_TABLE, prepare=False)


class PostgresLastUses:
    """``application.ports.LastUses``. Stores while it is entered, and once more at the end."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._noted: dict[UUID, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(keep_running("last uses", self._keep), name="last uses")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        try:
            async with asyncio.timeout(LONGEST_LAST_FLUSH):
                await self.flush()
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not hinder the end
            log.warning("last uses lost", count=len(self._noted), error=str(failure))

    def note(self, of: UUID, at: datetime) -> None:
        """It is used now; see the port."""
        noted = self._noted.get(of)
        if noted is None and len(self._noted) >= MOST_NOTED:
            return
        if noted is None or noted < at:
            self._noted[of] = at

    async def of(self, ids: Iterable[UUID]) -> dict[UUID, datetime]:
        """When each was last used; see the port."""
        wanted = list(ids)
        noted = {of: self._noted[of] for of in wanted if of in self._noted}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT id, at FROM last_uses WHERE id = ANY(%s)", (wanted,)
            )
            stored: dict[UUID, datetime] = dict(await cursor.fetchall())
        return stored | {of: max(at, stored.get(of, at)) for of, at in noted.items()}

    async def flush(self) -> None:
        """Store what is noted. What cannot be stored stays noted."""
        storing = list(self._noted.items())
        if not storing:
            return
        async with self._pool.connection() as connection:
            await connection.execute(_STORE, ([of for of, _ in storing], [at for _, at in storing]))
        for of, at in storing:
            if self._noted.get(of) == at:
                del self._noted[of]

    async def _keep(self) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_CLEAN)
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()
