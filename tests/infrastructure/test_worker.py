import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, MutableMapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from application.effects import Job
from application.ports import StoreUnavailable
from infrastructure.outbox import Outbox
from infrastructure.tasks import QUEUE, WorkerBell
from infrastructure.worker import LOOK_SECONDS, Worker
from tests.infrastructure.test_outbox import put

NOWHERE = "redis://127.0.0.1:1"


class Performed:
    """Counts the runs of each job, and lets a test decide how each run goes."""

    def __init__(self, run: Callable[[Job], Coroutine[Any, Any, None]] | None = None) -> None:
        self.jobs: list[UUID] = []
        self._run = run
        self._news = asyncio.Event()

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job.id)
        self._news.set()
        if self._run is not None:
            await self._run(job)

    async def times(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.jobs) < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def working(
    outbox: Outbox, perform: Performed, redis_url: str = NOWHERE, **options: int
) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.create_task(Worker(outbox, perform, redis_url, **options).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_put_off(pool: AsyncConnectionPool, job_id: UUID) -> None:
    async with asyncio.timeout(10):
        while True:
            async with pool.connection() as connection:
                cursor = await connection.execute(
                    "SELECT due_at > now() AND leased_until IS NULL FROM outbox WHERE id = %s",
                    (job_id,),
                )
                if await cursor.fetchone() == (True,):
                    return
            await asyncio.sleep(0.02)


def _of_jobs(lines: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"].startswith("job")]


async def until_empty(pool: AsyncConnectionPool) -> None:
    async with asyncio.timeout(10):
        while True:
            async with pool.connection() as connection:
                cursor = await connection.execute("SELECT count(*) FROM outbox")
                if await cursor.fetchone() == (0,):
                    return
            await asyncio.sleep(0.02)


async def test_the_bell_wakes_a_worker_at_once(pool: AsyncConnectionPool, redis_url: str) -> None:
    performed, bell = Performed(), WorkerBell(redis_url)
    loop = asyncio.get_running_loop()
    async with working(Outbox(pool), performed, redis_url):
        await asyncio.sleep(0.3)  # it has looked for due jobs, and looks again in a second
        job_id = await put(pool)
        rung_at = loop.time()
        await bell.ring([job_id])
        await performed.times(1)
        assert loop.time() - rung_at < LOOK_SECONDS / 2
        await until_empty(pool)
    await bell.aclose()
    assert performed.jobs == [job_id]


async def test_a_bell_rung_twice_performs_once(pool: AsyncConnectionPool, redis_url: str) -> None:
    performed, bell = Performed(), WorkerBell(redis_url)
    async with working(Outbox(pool), performed, redis_url):
        job_id = await put(pool)
        await bell.ring([job_id] * 5)
        await until_empty(pool)
        await asyncio.sleep(LOOK_SECONDS * 1.2)
    await bell.aclose()
    assert performed.jobs == [job_id]


async def test_without_redis_jobs_are_found_all_the_same(pool: AsyncConnectionPool) -> None:
    performed = Performed()
    await WorkerBell(NOWHERE).ring([await put(pool)])
    async with working(Outbox(pool), performed):
        await performed.times(1)
        await put(pool, due_in=timedelta(seconds=0.2))
        await performed.times(2)
        await until_empty(pool)


async def test_a_flushed_redis_is_listened_to_again(
    pool: AsyncConnectionPool, redis_url: str
) -> None:
    performed, bell = Performed(), WorkerBell(redis_url)
    with capture_logs() as lines:
        async with working(Outbox(pool), performed, redis_url), Redis.from_url(redis_url) as redis:  # pyright: ignore[reportUnknownMemberType] - its keyword arguments are untyped
            await bell.ring([await put(pool)])
            await performed.times(1)  # so it listens
            await redis.delete(QUEUE)
            for count in range(2, 5):
                await bell.ring([await put(pool)])
                await performed.times(count)
            await until_empty(pool)
            async with asyncio.timeout(10):
                while not lines:
                    await asyncio.sleep(0.02)
    await bell.aclose()
    assert [(line["event"], line["log_level"]) for line in lines] == [("loop ended", "warning")]


async def test_a_job_that_fails_unexpectedly_is_tried_again(pool: AsyncConnectionPool) -> None:
    async def fail_once(_: Job) -> None:
        if len(performed.jobs) == 1:
            raise RuntimeError("this was not foreseen")

    performed = Performed(fail_once)
    job_id = await put(pool)
    async with working(Outbox(pool), performed):
        await performed.times(2)
        await until_empty(pool)
    assert performed.jobs == [job_id, job_id]


async def test_a_long_job_keeps_its_lease(pool: AsyncConnectionPool) -> None:
    async def take_long(_: Job) -> None:
        await asyncio.sleep(2.5)

    outbox, performed = Outbox(pool, lease=timedelta(seconds=0.9)), Performed(take_long)
    await put(pool)
    async with working(outbox, performed), working(outbox, performed):
        await until_empty(pool)
    assert len(performed.jobs) == 1


async def test_a_job_whose_worker_died_is_taken_over_when_its_lease_ends(
    pool: AsyncConnectionPool,
) -> None:
    lease = await Outbox(pool, lease=timedelta(seconds=0.5)).take(await put(pool))
    assert lease is not None
    performed = Performed()
    async with working(Outbox(pool), performed):
        await performed.times(1)
        await until_empty(pool)


async def test_a_worker_that_lost_its_lease_stops_the_job(pool: AsyncConnectionPool) -> None:
    stopped = asyncio.Event()

    async def hang(_: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    performed = Performed(hang)
    job_id = await put(pool)
    async with working(Outbox(pool, lease=timedelta(seconds=0.3)), performed):
        await performed.times(1)
        async with pool.connection() as connection:
            await connection.execute(
                "UPDATE outbox SET fence = fence + 1, leased_until = 'infinity'"
            )
        async with asyncio.timeout(5):
            await stopped.wait()
    assert performed.jobs == [job_id]


async def test_no_more_jobs_than_allowed_run_at_once(pool: AsyncConnectionPool) -> None:
    running, most = 0, 0

    async def count(_: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1

    performed = Performed(count)
    for _ in range(5):
        await put(pool)
    async with working(Outbox(pool), performed, concurrency=2):
        await until_empty(pool)
    assert most == 2


async def test_stopping_stops_what_is_under_way(pool: AsyncConnectionPool) -> None:
    stopped = asyncio.Event()

    async def hang(_: Job) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    performed = Performed(hang)
    await put(pool)
    async with working(Outbox(pool), performed):
        await performed.times(1)
    assert stopped.is_set()


@pytest.fixture(autouse=True)
async def _empty_queue(redis_url: str) -> AsyncGenerator[None]:
    yield
    async with Redis.from_url(redis_url) as redis:  # pyright: ignore[reportUnknownMemberType]
        await redis.delete(QUEUE)


async def test_a_backlog_is_worked_off_without_waiting_between_jobs(
    pool: AsyncConnectionPool,
) -> None:
    performed = Performed()
    for _ in range(30):
        await put(pool)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with working(Outbox(pool), performed, concurrency=3):
        await until_empty(pool)
    assert len(performed.jobs) == 30
    assert loop.time() - started < 10 * LOOK_SECONDS / 2  # ten rounds of three, each at once


async def test_a_job_that_this_version_does_not_know_is_put_off_and_stops_no_other(
    pool: AsyncConnectionPool,
) -> None:
    unknown = await put(pool)
    async with pool.connection() as connection:
        await connection.execute("""UPDATE outbox SET job = '{"effect": {"type": "Teleport"}}'""")
    known = await put(pool)
    performed = Performed()
    with capture_logs([merge_contextvars]) as lines:
        async with working(Outbox(pool), performed):
            await performed.times(1)
            await until_put_off(pool, unknown)
    assert performed.jobs == [known]
    (line,) = _of_jobs(lines)
    assert (line["event"], line["job_id"]) == ("job failed", str(unknown))
    assert isinstance(line["exc_info"], msgspec.ValidationError)


async def test_what_waiting_mends_is_no_news_with_a_traceback(pool: AsyncConnectionPool) -> None:
    async def away(job: Job) -> None:
        raise StoreUnavailable("The database does not answer.")

    await put(pool)
    performed = Performed(away)
    with capture_logs() as lines:
        async with working(Outbox(pool), performed):
            await performed.times(2)
    assert {line["event"] for line in _of_jobs(lines)} == {"job put off"}
    assert all("exc_info" not in line for line in _of_jobs(lines))
