"""Looking up by key, for many callers at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST_AT_ONCE = 256
"""Keys in one look-up; more would make those who came first wait for those who came last."""


class Together(Generic[K, V]):
    """While a look-up is under way, keys gather; the next takes all of them.

    So a lone caller waits for nobody, and many at once share what a round trip costs. Nobody is
    told what was so before they asked.
    """

    def __init__(self, look_up: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._look_up = look_up
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def find(self, key: K) -> V | None:
        """What is there, or ``None``. Raises what the look-up raises."""
        found: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, found))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="look-ups")
        return await found

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                await self._answer(batch)
        finally:
            self._task = None

    async def _answer(self, batch: list[tuple[K, asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._look_up([*dict.fromkeys(key for key, _ in batch)])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is theirs who asked
            for _, waiting in batch:
                if not waiting.done():  # the caller gave up meanwhile
                    waiting.set_exception(error)
            return
        for key, waiting in batch:
            if not waiting.done():
                waiting.set_result(found.get(key))
