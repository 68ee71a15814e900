"""What the health pages tell: asked each time, each part with its own deadline."""

# redis-py leaves its keyword arguments untyped.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, cast

import msgspec
from psycopg_pool import AsyncConnectionPool

from application.reactors import REACTORS
from projections.registry import READ_MODELS

if TYPE_CHECKING:
    from redis.asyncio import Redis

DEADLINE_SECONDS = 0.9
"""So that the page answers within a second, whatever hangs."""
TOLERATED_LAG = 1000
"""Events a subscriber may be behind before it counts as ailing."""

_SUBSCRIBERS = [model.table for model in READ_MODELS] + [reactor.name for reactor in REACTORS]
_LAG = """
SELECT coalesce(max(notification_id), 0) - (
    SELECT min(coalesce(checkpoints.position, 0))
    FROM unnest(%s::text[]) AS wanted(subscriber) LEFT JOIN checkpoints USING (subscriber)
) FROM events
"""


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
        self._redis_url = redis_url
        self._redis: Redis | None = None

    async def check(self) -> list[Part]:
        """All parts, asked at the same time."""
        if self._redis is None:  # a quarter of a second to import, which no start waits for
            redis = await asyncio.to_thread(import_module, "redis.asyncio")
            self._redis = cast("Redis", redis.Redis.from_url(self._redis_url))
        parts = {
            "postgres": self._postgres,
            "redis": partial(_ping, self._redis),
            "projector": self._subscribers,
        }
        return list(await asyncio.gather(*(_ask(name, ask) for name, ask in parts.items())))

    async def aclose(self) -> None:
        """Close the connection to Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    async def _postgres(self) -> str:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")
        return "answers"

    async def _subscribers(self) -> str:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_LAG, (_SUBSCRIBERS,))
            row = await cursor.fetchone()
        lag = int(row[0]) if row else 0
        if lag > TOLERATED_LAG:
            raise LookupError(f"{lag} events behind")
        return f"{lag} events behind"


async def _ping(redis: "Redis") -> str:
    await redis.ping()
    return "answers"


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
