"""The worker: performs the jobs of the outbox, each under a lease that it keeps alive."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from application.effects import Job
from application.ports import Retriable
from infrastructure.loops import keep_running
from infrastructure.outbox import Lease, Outbox

log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""How often due jobs are looked for without being called: retries, lost bells, expired leases."""
FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=5)


class Worker:
    """Performs at most ``concurrency`` jobs at once."""

    def __init__(
        self,
        outbox: Outbox,
        perform: Callable[[Job], Coroutine[Any, Any, None]],
        redis_url: str,
        *,
        concurrency: int = 20,
    ) -> None:
        self._outbox = outbox
        self._perform = perform
        self._redis_url = redis_url
        self._concurrency = concurrency
        self._running: set[asyncio.Task[None]] = set()
        self._free = concurrency
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; what is under way is then given back at the end of its lease."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_running("bell", self._answer_bell))
                group.create_task(keep_running("due jobs", self._look))
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _answer_bell(self) -> None:
        # taskiq takes half a second to import; a worker finds jobs meanwhile without it.
        tasks = await asyncio.to_thread(import_module, "infrastructure.tasks")
        await tasks.answer_bell(self._redis_url, self._take, concurrency=self._concurrency)

    async def _look(self) -> None:
        while True:
            wanted = self._free
            more = wanted == await self._fill(wanted, self._outbox.take_due)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    if not more:
                        await asyncio.Event().wait()
                    self._done.clear()
                    await self._done.wait()  # then there is room for what may be waiting

    async def _take(self, job_id: UUID) -> None:
        async def take(_: int) -> Sequence[Lease]:
            lease = await self._outbox.take(job_id)
            return () if lease is None else (lease,)

        if self._free:  # else it is found when there is room
            await self._fill(1, take)

    async def _fill(self, room: int, take: Callable[[int], Awaitable[Sequence[Lease]]]) -> int:
        """Start the jobs that ``take`` gives; ``room`` is kept for so many meanwhile."""
        self._free -= room
        started = 0
        try:
            for lease in await take(room):
                self._start(lease)
                started += 1
        finally:
            self._free += room - started
        return started

    def _start(self, lease: Lease) -> None:
        task = asyncio.create_task(self._work(lease), name=f"job {lease.id}")
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free += 1
        self._done.set()

    async def _work(self, lease: Lease) -> None:
        with bound_contextvars(job_id=str(lease.id)):
            try:
                job = lease.job
            except msgspec.ValidationError as error:
                await self._put_off(lease, error)
                return
            with bound_contextvars(correlation_id=job.correlation_id):
                await self._perform_under(lease, job)

    async def _perform_under(self, lease: Lease, job: Job) -> None:
        performing = asyncio.create_task(self._perform(job))
        heart = asyncio.create_task(self._keep(lease, performing))
        try:
            await performing
            await self._outbox.complete(lease)
        except asyncio.CancelledError:
            if not heart.done():  # we are stopping, and leave the job to the end of its lease
                performing.cancel()
                raise
            log.warning("lease lost")
        except Exception as error:  # noqa: BLE001 - a job may raise anything
            await self._put_off(lease, error)
        finally:
            heart.cancel()

    async def _put_off(self, lease: Lease, error: Exception) -> None:
        delay = min(FIRST_DELAY * 2 ** min(lease.fence - 1, 20), LONGEST_DELAY)
        if isinstance(error, Retriable):  # known, and no news with a traceback
            log.warning("job put off", reason=str(error), retry_in=delay.total_seconds())
        else:
            log.error("job failed", retry_in=delay.total_seconds(), exc_info=error)
        with suppress(Exception):  # without the store the lease simply ends
            await self._outbox.postpone(lease, delay)

    async def _keep(self, lease: Lease, performing: asyncio.Task[None]) -> None:
        """Renew the lease three times in its life; stop the job when another worker has it."""
        while True:
            await asyncio.sleep(self._outbox.lease.total_seconds() / 3)
            try:
                ours = await self._outbox.renew(lease)
            except Exception as error:  # noqa: BLE001 - the next beat may reach the store again
                log.warning("lease not renewed", error=str(error))
                continue
            if not ours:
                performing.cancel()
                return
