"""Callers that each wait for an answer before they ask again, and how long they waited."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

WARM_UP = 0.2
"""As a part of the measured time: connections open, statements are prepared, caches fill."""


async def tasks(number: int, seconds: float, call: Callable[[], Awaitable[object]]) -> list[float]:
    """The latencies, in seconds, of ``number`` tasks that call for ``seconds``."""
    until = time.perf_counter() + seconds
    latencies: list[float] = []

    async def caller() -> None:
        ended = time.perf_counter()
        while not latencies or ended < until:
            began = ended
            await call()
            ended = time.perf_counter()
            latencies.append(ended - began)

    await asyncio.gather(*(caller() for _ in range(number)))
    return latencies


def threads(number: int, seconds: float, call: Callable[[], object]) -> list[float]:
    """The same of threads."""
    until = time.perf_counter() + seconds

    def caller(_: int) -> list[float]:
        latencies: list[float] = []
        ended = time.perf_counter()
        while not latencies or ended < until:
            began = ended
            call()
            ended = time.perf_counter()
            latencies.append(ended - began)
        return latencies

    with ThreadPoolExecutor(number) as pool:
        return [latency for taken in pool.map(caller, range(number)) for latency in taken]


def p50_and_p99(latencies: list[float]) -> tuple[float, float]:
    """The two percentiles of at least one latency."""
    ordered = sorted(latencies)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
