"""One MediaNest with two API processes for all journeys; each journey uses titles of its own."""

from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.journeys.people import Person, add_person
from tests.running import Running, medianest


@pytest.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Running]:
    path: Path = tmp_path_factory.mktemp("journeys")
    async with medianest(path, "--api", "2") as started:
        yield started


@pytest.fixture
async def user(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    async with running.client("user") as client:
        yield client


@pytest.fixture
async def admin(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    async with running.client("admin") as client:
        yield client


_ids = count(300_000)


@pytest.fixture
def tmdb_id() -> int:
    """A title that nobody has asked for."""
    return next(_ids)


@pytest.fixture
async def person(running: Running) -> Person:
    """Somebody whom no other journey knows."""
    return await add_person(running)


@pytest.fixture
async def here(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of one of the two API processes."""
    async with running.client_at(running.pids("api")[0]) as client:
        yield client


@pytest.fixture
async def there(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the other API process."""
    async with running.client_at(running.pids("api")[1]) as client:
        yield client
