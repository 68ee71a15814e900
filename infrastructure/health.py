"""What the health pages tell: asked each time, each part with its own deadline."""

# redis-py leaves its keyword arguments untyped.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

import msgspec
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

DEADLINE_SECONDS = 0.9
"""So that the page answers within a second, whatever hangs."""
TOLERATED_LAG = 1000
"""Events a subscriber may be behind before it counts as ailing."""


class Part(msgspec.Struct, frozen=True):
    """How one part is. ``milliseconds`` is how long it took to find out."""

    name: str
    ok: bool
    detail: str
    milliseconds: float


class HealthCheck:
    """Asks PostgreSQL, Redis and the subscribers."""

    def __init__(self, pool: AsyncConnectionPool, redis_url: str) -> None:
        self._pool = pool
        self._redis: Redis = Redis.from_url(redis_url, socket_connect_timeout=1)

    async def check(self) -> list[Part]:
        """All parts, asked at the same time."""
        parts = {
            "postgres": self._postgres,
            "redis": self._ping,
            "projector": self._subscribers,
        }
        return list(await asyncio.gather(*(_ask(name, ask) for name, ask in parts.items())))

    async def aclose(self) -> None:
        """Close the connection to Redis."""
        await self._redis.aclose()

    async def _postgres(self) -> str:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")
        return "answers"

    async def _ping(self) -> str:
        await self._redis.ping()
        return "answers"

    async def _subscribers(self) -> str:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT coalesce(max(head.position - checkpoints.position), 0) FROM checkpoints,"
                " (SELECT coalesce(max(notification_id), 0) AS position FROM events) AS head"
            )
            row = await cursor.fetchone()
        lag = int(row[0]) if row else 0
        if lag > TOLERATED_LAG:
            raise LookupError(f"{lag} events behind")
        return f"{lag} events behind"


async def _ask(name: str, ask: Callable[[], Awaitable[str]]) -> Part:
    started = perf_counter()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            ok, detail = True, await ask()
    except TimeoutError:
        ok, detail = False, "no answer in time"
    except LookupError as ailing:
        ok, detail = False, str(ailing)
    except Exception:  # noqa: BLE001 - whatever it is, the part does not answer
        ok, detail = False, "not reachable"
    return Part(name, ok, detail, round((perf_counter() - started) * 1000, 1))
