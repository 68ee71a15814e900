"""Waking workers through taskiq on Redis streams.

A message carries a job's id and nothing else. It may be lost or come twice: the outbox is the queue
of record, its lease decides who performs a job, and workers look into it themselves every second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import structlog
from redis.exceptions import RedisError, ResponseError
from taskiq.acks import AcknowledgeType
from taskiq.exceptions import TaskiqError
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from infrastructure.errors.description import leaves_of

log = structlog.get_logger()

QUEUE = "medianest:jobs"
TASK = "perform"
MAX_WAITING = 10_000
"""Messages kept in the stream, which nothing else would ever shorten."""
LONGEST_RING = 1.0
"""Seconds; a Redis that hangs must not hold up the reactors."""


def _broker(redis_url: str) -> RedisStreamBroker:
    return RedisStreamBroker(
        redis_url,
        queue_name=QUEUE,
        consumer_group_name="workers",
        consumer_id="0",  # a group made after the first message still reads it
        maxlen=MAX_WAITING,
    )


class WorkerBell:
    """Tells the workers that jobs are due."""

    def __init__(self, redis_url: str) -> None:
        self._broker = _broker(redis_url)
        self._kicker: AsyncKicker[[str], None] = AsyncKicker(TASK, self._broker, labels={})

    async def ring(self, job_ids: Iterable[UUID]) -> None:
        """Wake a worker for each job; with Redis away, workers find them within a second."""
        try:
            async with asyncio.timeout(LONGEST_RING):
                for job_id in job_ids:
                    await self._kicker.kiq(str(job_id))
        except (TaskiqError, RedisError, OSError, TimeoutError) as error:
            log.warning("bell not heard", error=str(error))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._broker.shutdown()


async def answer_bell(
    redis_url: str, perform: Callable[[UUID], Awaitable[None]], *, concurrency: int
) -> None:
    """Perform the jobs that workers are woken for, until cancelled.

    Ends when Redis has been emptied, and raises when it is lost: either way, to be run again.
    """
    broker = _broker(redis_url)
    broker.is_worker_process = True

    async def task(job_id: str) -> None:
        await perform(UUID(job_id))

    broker.register_task(task, task_name=TASK)
    try:
        with ThreadPoolExecutor(max_workers=1) as executor:  # taskiq wants one; our task is async
            receiver = Receiver(
                broker,
                executor=executor,
                run_startup=True,
                max_async_tasks=concurrency,
                # A message is only a bell: acknowledged when heard, never delivered again.
                ack_type=AcknowledgeType.WHEN_RECEIVED,
            )
            await receiver.listen(asyncio.Event())
    except* ResponseError as errors:
        if not all("NOGROUP" in str(error) for error in leaves_of(errors)):
            raise
    finally:
        await broker.shutdown()
