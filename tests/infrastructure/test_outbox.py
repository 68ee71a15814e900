from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool

from application.effects import FollowUpstream, ForwardRequest, Job
from infrastructure.outbox import Outbox


async def put(pool: AsyncConnectionPool, *, due_in: timedelta = timedelta()) -> UUID:
    job = Job(uuid4(), ForwardRequest(uuid4()), "test", uuid4())
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO outbox (id, job, due_at) VALUES (%s, %s, now() + %s)",
            (job.id, msgspec.json.encode(job).decode(), due_in),
        )
    return job.id


@pytest.fixture
def outbox(pool: AsyncConnectionPool) -> Outbox:
    return Outbox(pool)


async def test_jobs_that_are_added_are_due_at_once_and_once(outbox: Outbox) -> None:
    jobs = [Job(uuid4(), FollowUpstream(uuid4()), "test", uuid4()) for _ in range(2)]
    await outbox.add(jobs)
    await outbox.add(jobs)
    leases = await outbox.take_due(10)
    assert {lease.id: lease.job for lease in leases} == {job.id: job for job in jobs}
    assert len(leases) == 2


async def test_a_job_that_is_under_way_is_not_added_again(outbox: Outbox) -> None:
    job = Job(uuid4(), FollowUpstream(uuid4()), "test", uuid4())
    await outbox.add([job])
    lease = await outbox.take(job.id)
    assert lease is not None
    await outbox.add([job])
    assert await outbox.take(job.id) is None
    assert await outbox.complete(lease)


async def test_a_job_is_taken_by_one_worker(outbox: Outbox, pool: AsyncConnectionPool) -> None:
    job_id = await put(pool)
    lease = await outbox.take(job_id)
    assert lease is not None
    assert lease.id == lease.job.id == job_id
    assert await outbox.take(job_id) is None
    assert await outbox.take_due(10) == []


async def test_a_job_that_is_not_due_is_not_taken(
    outbox: Outbox, pool: AsyncConnectionPool
) -> None:
    job_id = await put(pool, due_in=timedelta(hours=1))
    assert await outbox.take(job_id) is None
    assert await outbox.take_due(10) == []


async def test_the_longest_due_come_first(outbox: Outbox, pool: AsyncConnectionPool) -> None:
    jobs = [await put(pool, due_in=timedelta(minutes=-minutes)) for minutes in (1, 3, 2)]
    taken = {lease.id for lease in await outbox.take_due(2)}
    assert taken == {jobs[1], jobs[2]}


async def test_a_job_that_is_done_is_gone(outbox: Outbox, pool: AsyncConnectionPool) -> None:
    lease = await outbox.take(await put(pool))
    assert lease is not None
    assert await outbox.complete(lease)
    assert await outbox.take(lease.id) is None
    assert not await outbox.complete(lease)


async def test_a_job_given_back_is_due_again_later(
    outbox: Outbox, pool: AsyncConnectionPool
) -> None:
    lease = await outbox.take(await put(pool))
    assert lease is not None
    assert await outbox.postpone(lease, timedelta(hours=1))
    assert await outbox.take(lease.id) is None
    lease = await outbox.take(await put(pool))
    assert lease is not None
    assert await outbox.postpone(lease, timedelta())
    again = await outbox.take(lease.id)
    assert again is not None
    assert again.fence == 2


async def test_a_worker_that_fell_silent_cannot_touch_a_job_that_another_took_over(
    pool: AsyncConnectionPool,
) -> None:
    silent, other = Outbox(pool, lease=timedelta()), Outbox(pool)
    stale = await silent.take(await put(pool))
    assert stale is not None
    current = await other.take(stale.id)
    assert current is not None
    assert not await silent.renew(stale)
    assert not await silent.postpone(stale, timedelta())
    assert not await silent.complete(stale)
    assert await other.renew(current)
    assert await other.complete(current)
