"""What was fetched from upstream, kept for a while in this process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """The last ``size`` values, each good for ``lifetime``; however many ask, one fetches.

    Failures are not kept. A value past its time still serves while fetching raises ``outage``, if
    there is one; any other failure means that the value is gone. ``clock`` counts seconds.
    """

    def __init__(
        self,
        lifetime: timedelta,
        size: int,
        outage: type[Exception] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._outage = outage or ()
        self._clock = clock
        self._kept: dict[K, _Kept[V]] = {}
        self._fetching: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        """The value of ``key``, fetched if need be; raises what ``fetch`` raises.

        The fetching belongs to nobody who waits for it, so it goes on when they are cancelled.
        """
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._kept[key] = kept  # the last used comes last
            if self._clock() < kept.until:
                return kept.value
        if key not in self._fetching:
            task = asyncio.create_task(self._fetch(key, fetch))
            self._fetching[key] = task
            task.add_done_callback(lambda done: self._fetched(key, done))
        try:
            return await asyncio.shield(self._fetching[key])
        except self._outage:
            if kept is None:
                raise
            return kept.value

    def drop(self, key: K) -> None:
        """Forget the value, which has turned out to be wrong."""
        self._kept.pop(key, None)

    async def aclose(self) -> None:
        """Stop fetching."""
        fetching = list(self._fetching.values())
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)

    async def _fetch(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        try:
            value = await fetch()
        except self._outage:
            raise
        except Exception:
            self._kept.pop(key, None)
            raise
        self._kept.pop(key, None)
        self._kept[key] = _Kept(value, self._clock() + self._lifetime)
        while len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]
        return value

    def _fetched(self, key: K, task: asyncio.Task[V]) -> None:
        del self._fetching[key]
        if not task.cancelled():
            task.exception()  # looked at, as perhaps nobody waits for it any more


class _Kept(msgspec.Struct, Generic[V], frozen=True):
    value: V
    until: float
