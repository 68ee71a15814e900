"""Sweeps against the real database: who of several workers makes them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import psycopg
import pytest

from application.upstream_news import RequestsThere, UpstreamNews
from infrastructure import ownership
from infrastructure.loops import keep_running
from infrastructure.sweep import NAME, UpstreamSweep


class Sweeps:
    """Counts the sweeps of one worker."""

    def __init__(self) -> None:
        self.made = 0
        self.failures = 0

    async def sweep(self, _: RequestsThere) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("no")
        self.made += 1


@asynccontextmanager
async def sweeping(database_url: str, sweeps: Sweeps) -> AsyncGenerator[None]:
    sweep = UpstreamSweep(
        database_url, cast("UpstreamNews", sweeps), cast("RequestsThere", None), seconds=0.01
    )
    task = asyncio.create_task(keep_running("sweep", sweep.run))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until(sweeps: Sweeps, made: int) -> None:
    async with asyncio.timeout(20):
        while sweeps.made < made:
            await asyncio.sleep(0.005)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "STANDBY_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
async def test_of_two_workers_one_sweeps_until_it_stops(database_url: str) -> None:
    first, second = Sweeps(), Sweeps()
    async with AsyncExitStack() as standby:
        async with sweeping(database_url, first):
            await until(first, 1)
            await standby.enter_async_context(sweeping(database_url, second))
            await until(first, first.made + 20)
            assert second.made == 0
        await until(second, 2)


@pytest.mark.usefixtures("quick")
async def test_who_lost_its_connection_does_not_go_on_beside_the_new_owner(
    database_url: str,
) -> None:
    first, second = Sweeps(), Sweeps()
    async with sweeping(database_url, first):
        await until(first, 1)
        async with sweeping(database_url, second):
            cut(database_url)
            async with asyncio.timeout(20):
                while owners(database_url) != 1:
                    await asyncio.sleep(0.01)
            before = first.made, second.made
            async with asyncio.timeout(20):
                while max(first.made - before[0], second.made - before[1]) < 20:
                    await asyncio.sleep(0.005)
            assert min(first.made - before[0], second.made - before[1]) <= 1, "one under way"


@pytest.mark.usefixtures("quick")
async def test_a_sweep_that_fails_is_made_again(database_url: str) -> None:
    sweeps = Sweeps()
    sweeps.failures = 2
    async with sweeping(database_url, sweeps):
        await until(sweeps, 2)


def cut(database_url: str) -> None:
    """End the connection of the owner."""
    run(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND application_name LIKE %s",
    )


def owners(database_url: str) -> int:
    return len(
        run(
            database_url,
            "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND application_name LIKE %s"
            " AND datname = current_database()",
        )
    )


def run(database_url: str, query: Any) -> list[Any]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(query, (f"%{NAME}%",)).fetchall()
