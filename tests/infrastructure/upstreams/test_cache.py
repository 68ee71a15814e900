"""Values are fetched once, kept for a while, and outlive an outage."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from infrastructure.upstreams.cache import Cache

LIFETIME = timedelta(seconds=10)


class Outage(Exception):
    """The source cannot answer."""


class Gone(Exception):
    """The source has no such value any more."""


class Source:
    """Answers with the next outcome, and counts how often it was asked."""

    def __init__(self, *outcomes: str | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0
        self.now = 0.0

    def cache(self, size: int = 2) -> Cache[str, str]:
        return Cache(LIFETIME, size, Outage, clock=lambda: self.now)

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(0.01)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def constant(value: str) -> Callable[[], Awaitable[str]]:
    async def fetch() -> str:
        return value

    return fetch


async def test_a_value_is_fetched_once_in_its_lifetime() -> None:
    source = Source("first", "second")
    cache = source.cache()

    assert await cache.get("a", source) == "first"
    source.now = 9.9
    assert await cache.get("a", source) == "first"
    source.now = 10.0
    assert await cache.get("a", source) == "second"
    assert source.asked == 2


async def test_however_many_ask_one_fetches() -> None:
    source = Source("value")
    cache = source.cache()

    values = await asyncio.gather(*(cache.get("a", source) for _ in range(50)))

    assert set(values) == {"value"}
    assert source.asked == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    source = Source(Outage(), "value")
    cache = source.cache()

    outcomes = await asyncio.gather(
        *(cache.get("a", source) for _ in range(5)), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == 5 * [Outage]
    assert source.asked == 1
    assert await cache.get("a", source) == "value"


async def test_who_leaves_does_not_take_the_fetching_with_them() -> None:
    source = Source("value")
    cache = source.cache()
    impatient = asyncio.create_task(cache.get("a", source))
    patient = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)

    impatient.cancel()

    assert await patient == "value"
    assert impatient.cancelled()
    assert source.asked == 1


async def test_a_failure_that_nobody_waits_for_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source(Outage())
    cache = source.cache()
    impatient = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0.03)

    assert source.asked == 1
    assert caplog.records == []


async def test_an_old_value_serves_during_an_outage() -> None:
    source = Source("old", Outage(), "new")
    cache = source.cache()
    await cache.get("a", source)
    source.now = 100.0

    assert await cache.get("a", source) == "old"
    assert await cache.get("a", source) == "new"


async def test_a_value_that_is_gone_does_not_serve_again() -> None:
    source = Source("old", Gone(), Outage())
    cache = source.cache()
    await cache.get("a", source)
    source.now = 100.0

    with pytest.raises(Gone):
        await cache.get("a", source)
    with pytest.raises(Outage):
        await cache.get("a", source)


async def test_the_value_used_longest_ago_makes_room() -> None:
    source = Source("again")
    cache = source.cache(size=2)
    for key in ("a", "b", "a", "c"):
        await cache.get(key, constant(key))

    assert await cache.get("a", source) == "a"
    assert await cache.get("c", source) == "c"
    assert source.asked == 0
    assert await cache.get("b", source) == "again"


async def test_closing_stops_the_fetching() -> None:
    source = Source("never")
    cache = source.cache()
    waiting = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)

    await cache.aclose()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert source.outcomes == ["never"]
