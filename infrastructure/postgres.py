"""How this process connects to PostgreSQL."""

import select
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.ports import StoreUnavailable

_CONNECTION: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,  # every statement is one of few, so all are prepared at first use
    "connect_timeout": 5,  # libpq would wait for minutes, and a pool grows one by one
    "keepalives_idle": 30,  # a host that has gone away is noticed within a minute
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


async def connect(database_url: str, name: str) -> AsyncConnection:
    """One connection in autocommit, called ``name`` in ``pg_stat_activity``."""
    return await AsyncConnection.connect(database_url, **_options(name))


def _options(name: str) -> dict[str, Any]:
    return {**_CONNECTION, "application_name": f"medianest {name}"}


class Pool(AsyncConnectionPool):
    """A pool whose users are told of a lost server in their own words."""

    @asynccontextmanager
    async def connection(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's own signature
    ) -> AsyncGenerator[AsyncConnection]:
        """A connection that answers, for the length of the context. Raises StoreUnavailable."""
        try:
            async with super().connection(timeout) as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise StoreUnavailable(
                "The database does not answer.", retry_after=timedelta(seconds=5)
            ) from error


def pool(database_url: str, name: str, *, size: int) -> Pool:
    """A closed pool of at most ``size`` such connections; ``async with`` opens it."""
    return Pool(
        database_url,
        min_size=1,
        max_size=size,
        timeout=5,
        open=False,
        name=name,
        kwargs=_options(name),
        check=_check,
    )


async def _check(connection: AsyncConnection) -> None:
    """Ask the server only if it has said something meanwhile, such as goodbye.

    It does so before it goes; a host that vanishes without a word is noticed by keepalives. To ask
    at every use would cost half as much as the use. Raises OperationalError.
    """
    heard = select.poll()
    heard.register(connection.fileno(), select.POLLIN)
    if heard.poll(0):
        await AsyncConnectionPool.check_connection(connection)
