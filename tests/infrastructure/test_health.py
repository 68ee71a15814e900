import asyncio
from contextlib import aclosing

from psycopg_pool import AsyncConnectionPool

from infrastructure import postgres
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.health import TOLERATED_LAG, HealthCheck, Part
from tests.events import new_events

NOWHERE = "redis://127.0.0.1:1"


async def parts(pool: AsyncConnectionPool, redis_url: str) -> dict[str, Part]:
    async with aclosing(HealthCheck(pool, redis_url)) as health:
        return {part.name: part for part in await health.check()}


async def test_all_is_well(pool: AsyncConnectionPool, redis_url: str) -> None:
    told = await parts(pool, redis_url)
    assert {name: part.ok for name, part in told.items()} == {
        "postgres": True,
        "redis": True,
        "projector": True,
    }
    assert told["projector"].detail == "0 events behind"


async def test_redis_away_is_told_and_nothing_else(pool: AsyncConnectionPool) -> None:
    told = await parts(pool, NOWHERE)
    assert [name for name, part in told.items() if not part.ok] == ["redis"]
    assert told["redis"].detail == "not reachable"


async def test_postgresql_away_is_told_within_the_deadline(redis_url: str) -> None:
    nowhere = postgres.pool("postgresql://127.0.0.1:1/none", "tests", size=1)
    async with nowhere, asyncio.timeout(2):
        told = await parts(nowhere, redis_url)
    assert [name for name, part in told.items() if not part.ok] == ["postgres", "projector"]


async def test_a_projector_that_is_far_behind_is_told(
    pool: AsyncConnectionPool, redis_url: str, writer: GroupCommitWriter
) -> None:
    await asyncio.gather(*(writer.append(new_events()) for _ in range(TOLERATED_LAG + 1)))
    told = await parts(pool, redis_url)
    assert not told["projector"].ok
    assert told["projector"].detail == f"{TOLERATED_LAG + 1} events behind"


async def test_a_read_model_of_an_older_version_does_not_count(
    pool: AsyncConnectionPool, redis_url: str, writer: GroupCommitWriter
) -> None:
    async with pool.connection() as connection:
        await connection.execute("INSERT INTO checkpoints VALUES ('media_requests_v0', -5000)")
    await writer.append(new_events())
    assert (await parts(pool, redis_url))["projector"].detail == "1 events behind"
