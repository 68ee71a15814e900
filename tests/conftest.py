"""What every test may use: private servers for the session, a database of its own for each test."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import structlog
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from infrastructure import postgres
from infrastructure.embedded import DataFolder, EmbeddedServers, ServerUrls
from infrastructure.event_store.codec import EventCodec
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter
from infrastructure.migrations import migrate

TEMPLATE = "medianest_template"

# Through the standard library, where pytest shows it beside a failure. (The renderer that structlog
# takes for a terminal needs seconds for a traceback, and the event loop stands still meanwhile.)
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerUrls]:
    """A PostgreSQL and a Valkey, with a migrated template database.

    In an event loop of its own, which stands still meanwhile: tests have other loops, or none.
    """
    path: Path = tmp_path_factory.mktemp("servers")
    with DataFolder.claim(path) as folder, asyncio.Runner() as runner:
        embedded = EmbeddedServers(folder, postgres_settings={"max_connections": "300"})
        urls = runner.run(embedded.__aenter__())
        try:
            with psycopg.connect(urls.database_url, autocommit=True) as connection:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(TEMPLATE)))
            runner.run(migrate(sibling(urls.database_url, TEMPLATE)))
            yield urls
        finally:
            runner.run(embedded.__aexit__(None, None, None))


@pytest.fixture
def database_url(servers: ServerUrls) -> Generator[str]:
    """A new database with the present schema and nothing in it."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                Identifier(name), Identifier(TEMPLATE)
            )
        )
        yield sibling(servers.database_url, name)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def redis_url(servers: ServerUrls) -> str:
    return servers.redis_url


@pytest.fixture
async def pool(database_url: str) -> AsyncGenerator[AsyncConnectionPool]:
    async with postgres.pool(database_url, "tests", size=4) as opened:
        yield opened


@pytest.fixture
def reader(pool: AsyncConnectionPool) -> EventReader:
    return EventReader(pool, EventCodec())


@pytest.fixture
async def writer(database_url: str) -> AsyncGenerator[GroupCommitWriter]:
    async with GroupCommitWriter(database_url, EventCodec()) as opened:
        yield opened


def sibling(database_url: str, name: str) -> str:
    """The URL of another database on the same server."""
    before, separator, after = database_url.partition("?")
    return f"{before.rsplit('/', 1)[0]}/{name}{separator}{after}"
