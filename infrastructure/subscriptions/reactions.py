"""Runs a reactor: its effects go into the outbox in the same statement as its checkpoint."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from application.effects import Job, Reactor, job_id
from domain.kernel import Recorded
from infrastructure.subscriptions.subscriber import Fenced

_WRITE = """
WITH moved AS (
    UPDATE checkpoints SET position = %(after)s
    WHERE subscriber = %(subscriber)s AND position = %(before)s RETURNING position
), stored AS (
    INSERT INTO outbox (id, job, due_at)
    SELECT due.id, due.job, coalesce(due.due_at, now())
    FROM moved, unnest(%(ids)s::uuid[], %(jobs)s::jsonb[], %(due)s::timestamptz[])
         AS due(id, job, due_at)
    ON CONFLICT (id) DO NOTHING -- the same effect of the same event, met again
)
SELECT position FROM moved
"""


class Reaction:
    """A subscription that draws effects from events; ``ring`` is told of those due at once."""

    def __init__(self, reactor: Reactor, ring: Callable[[Sequence[UUID]], Awaitable[None]]) -> None:
        self._reactor = reactor
        self._ring = ring
        self._drawn: list[tuple[Job, datetime | None]] = []

    @property
    def name(self) -> str:
        """The reactor's name."""
        return self._reactor.name

    @property
    def events(self) -> None:
        """A reactor does not say which events it reacts to."""

    def forget(self) -> None:
        """Drop the effects that were drawn."""
        self._drawn = []

    async def fold(self, _: AsyncConnection, page: Sequence[Recorded[Any]]) -> None:
        """Draw the effects of ``page``; see ``Subscription``."""
        self._drawn += [
            (self._job(recorded, number, due.effect), due.at)
            for recorded in page
            for number, due in enumerate(self._reactor.react(recorded))
        ]

    async def write(self, connection: AsyncConnection, before: int, after: int) -> None:
        """Store the effects with the checkpoint; see ``Subscription``."""
        jobs, self._drawn = self._drawn, []
        cursor = await connection.execute(
            _WRITE,
            {
                "subscriber": self.name,
                "before": before,
                "after": after,
                "ids": [job.id for job, _ in jobs],
                "jobs": [msgspec.json.encode(job).decode() for job, _ in jobs],
                "due": [at for _, at in jobs],
            },
        )
        if cursor.rowcount != 1:
            raise Fenced(self.name)
        at_once = [job.id for job, at in jobs if at is None]
        if at_once:
            await self._ring(at_once)

    def _job(self, cause: Recorded[Any], number: int, effect: Any) -> Job:
        return Job(
            id=job_id(self.name, cause, number),
            effect=effect,
            correlation_id=cause.metadata.correlation_id,
            causation_id=cause.metadata.event_id,
        )
