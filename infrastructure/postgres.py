"""How this process connects to PostgreSQL."""

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

# Every statement we send is one of few, so all are prepared at their first use.
_CONNECTION = {"autocommit": True, "prepare_threshold": 0}


async def connect(database_url: str, name: str) -> AsyncConnection:
    """One connection in autocommit, called ``name`` in ``pg_stat_activity``."""
    return await AsyncConnection.connect(
        database_url,
        autocommit=True,
        prepare_threshold=0,
        application_name=f"medianest {name}",
        keepalives_idle=30,  # a host that has gone away is noticed within a minute
        keepalives_interval=10,
        keepalives_count=3,
    )


def pool(database_url: str, name: str, *, size: int) -> AsyncConnectionPool:
    """A closed pool of at most ``size`` such connections; ``async with`` opens it."""
    return AsyncConnectionPool(
        database_url,
        min_size=1,
        max_size=size,
        timeout=5,
        open=False,
        name=name,
        kwargs={**_CONNECTION, "application_name": f"medianest {name}"},
        check=AsyncConnectionPool.check_connection,
    )
