import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from application.alerts import Alerts
from application.execute import Executor
from application.ports import StoreUnavailable
from domain.alerts import AlertRaised, AlertResolved
from infrastructure.loops import keep_running
from infrastructure.metrics import PrometheusMetrics
from infrastructure.redis_alert import RedisAlert
from tests.fakes import InMemoryEventStore, new_id, now


@pytest.fixture
def store() -> InMemoryEventStore:
    return InMemoryEventStore()


@asynccontextmanager
async def process(store: InMemoryEventStore) -> AsyncGenerator[RedisAlert]:
    alert = RedisAlert(PrometheusMetrics(), new_id)
    alerts = Alerts(Executor(store, now, new_id), store, now)
    telling = asyncio.create_task(keep_running("redis alert", lambda: alert.tell(alerts)))
    await asyncio.sleep(0.01)
    try:
        yield alert
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def told(store: InMemoryEventStore, *expected: type) -> None:
    """Wait until so much is told, and see that a little later it is no more."""
    async with asyncio.timeout(5):
        while len(store.events) < len(expected):
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    assert [type(recorded.event) for recorded in store.events] == [*expected]


async def test_it_is_raised_and_resolved(store: InMemoryEventStore) -> None:
    async with process(store) as alert:
        await told(store)
        alert.changed(away=True)
        await told(store, AlertRaised)
        alert.changed(away=False)
        await told(store, AlertRaised, AlertResolved)
        alert.changed(away=True)
        await told(store, AlertRaised, AlertResolved, AlertRaised)


async def test_all_processes_tell_it_once(store: InMemoryEventStore) -> None:
    async with process(store) as here, process(store) as there:
        for alert in (here, there):
            alert.changed(away=True)
        await told(store, AlertRaised)
        for alert in (here, there):
            alert.changed(away=False)
        await told(store, AlertRaised, AlertResolved)


@pytest.mark.parametrize("away", [True, False])
async def test_what_could_not_be_told_is_told_later(
    store: InMemoryEventStore, *, away: bool
) -> None:
    async with process(store) as alert:
        if not away:
            alert.changed(away=True)
            await told(store, AlertRaised)
        store.failure = StoreUnavailable("The database does not answer.")
        alert.changed(away=away)
        await asyncio.sleep(0.05)
        store.failure = None
        await told(store, AlertRaised, *(() if away else (AlertResolved,)))


async def test_what_is_over_before_it_could_be_told_is_not_told(store: InMemoryEventStore) -> None:
    async with process(store) as alert:
        store.failure = StoreUnavailable("The database does not answer.")
        for away in (True, False):
            alert.changed(away=away)
            await asyncio.sleep(0.02)
        store.failure = None
        await asyncio.sleep(0.3)
        await told(store)


async def test_a_process_that_starts_resolves_what_another_has_left_open(
    store: InMemoryEventStore,
) -> None:
    async with process(store) as alert:
        alert.changed(away=True)
        await told(store, AlertRaised)
    async with process(store):
        await told(store, AlertRaised, AlertResolved)
