"""The outbox: effects that are due, kept in PostgreSQL until they are done.

It is the queue of record. A worker takes a job by a lease with a fencing number: a worker that has
stopped, or lost its lease, cannot end a job that another one has taken over.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.effects import Job, JobQueue

_TABLE = """
CREATE TABLE IF NOT EXISTS outbox (
    id uuid PRIMARY KEY,
    job jsonb NOT NULL,
    due_at timestamptz NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    leased_until timestamptz
);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_at)
"""

_ADD = """
INSERT INTO outbox (id, job, due_at)
SELECT added.id, added.job, now() FROM unnest(%s::uuid[], %s::jsonb[]) AS added(id, job)
ON CONFLICT (id) DO NOTHING
"""

_TAKE = """
UPDATE outbox SET fence = fence + 1, leased_until = now() + %s
WHERE id IN (
    SELECT id FROM outbox
    WHERE due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
      AND (%s::uuid IS NULL OR id = %s)
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
)
RETURNING id, fence, job::text
"""


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_TABLE, prepare=False)


class Lease(NamedTuple):
    """A job that is ours until the lease ends; ``fence`` counts the leases it has had."""

    id: UUID
    fence: int
    document: str

    @property
    def job(self) -> Job:
        """Raises msgspec.ValidationError for one that this version does not know."""
        return msgspec.json.decode(self.document, type=Job)


class Outbox(JobQueue):
    """Keeps, takes and ends jobs. ``lease`` is how long a silent worker keeps others waiting."""

    def __init__(
        self, pool: AsyncConnectionPool, *, lease: timedelta = timedelta(seconds=15)
    ) -> None:
        self._pool = pool
        self.lease = lease

    async def add(self, jobs: Sequence[Job]) -> None:
        """Keep the jobs, which workers find when they look. Raises StoreUnavailable."""
        async with self._pool.connection() as connection:
            await connection.execute(
                _ADD,
                ([job.id for job in jobs], [msgspec.json.encode(job).decode() for job in jobs]),
            )

    async def take(self, job_id: UUID) -> Lease | None:
        """This job, unless it is done, not due yet, or with another worker."""
        leases = await self._take(job_id, 1)
        return leases[0] if leases else None

    async def take_due(self, limit: int) -> Sequence[Lease]:
        """At most ``limit`` jobs that are due and with nobody, the longest due first."""
        return await self._take(None, limit)

    async def renew(self, lease: Lease) -> bool:
        """Keep the lease for its whole time again; ``False`` when another worker has the job."""
        return await self._change(
            "UPDATE outbox SET leased_until = now() + %s WHERE id = %s AND fence = %s",
            (self.lease, lease.id, lease.fence),
        )

    async def complete(self, lease: Lease) -> bool:
        """The job is done; ``False`` when another worker has it now."""
        return await self._change(
            "DELETE FROM outbox WHERE id = %s AND fence = %s", (lease.id, lease.fence)
        )

    async def postpone(self, lease: Lease, delay: timedelta) -> bool:
        """Give the job back, due again after ``delay``; ``False`` when another worker has it."""
        return await self._change(
            "UPDATE outbox SET due_at = now() + %s, leased_until = NULL"
            " WHERE id = %s AND fence = %s",
            (delay, lease.id, lease.fence),
        )

    async def _take(self, job_id: UUID | None, limit: int) -> Sequence[Lease]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_TAKE, (self.lease, job_id, job_id, limit))
            return [Lease(*row) for row in await cursor.fetchall()]

    async def _change(
        self, statement: LiteralString, values: tuple[UUID | int | timedelta, ...]
    ) -> bool:
        async with self._pool.connection() as connection:
            return (await connection.execute(statement, values)).rowcount == 1
