import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from application import rate_limits as module
from application.execute import Context, Executor
from application.ports import StoreUnavailable
from application.rate_limits import RateLimits, RateLimitViolations
from domain.kernel import Metadata, Recorded, Unreadable
from domain.rate_limits import (
    DEFAULTS,
    INTERVAL,
    Limit,
    LimitOutOfRange,
    LocksAdminsOut,
    Policy,
    RateLimitChanged,
    RateLimitViolated,
    WindowOutOfRange,
)
from infrastructure.loops import keep_running
from tests.events import NOON
from tests.fakes import InMemoryEventStore, new_id

ADMIN = f"account:{UUID(int=1)}"
ANN = f"account:{UUID(int=2)}"
HOUR = 3600


class TestClock:
    """Stands still until it is set."""

    __test__ = False

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class RunningClock(TestClock):
    """Goes on from where it is set."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self._started = perf_counter()

    def __call__(self) -> datetime:
        return self.now + timedelta(seconds=perf_counter() - self._started)


@pytest.fixture
def store() -> InMemoryEventStore:
    return InMemoryEventStore()


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


def context() -> Context:
    return Context(ADMIN, "click", uuid4())


def process(store: InMemoryEventStore) -> RateLimits:
    return RateLimits(Executor(store, lambda: NOON, new_id), store, DEFAULTS)


def recorded(event: RateLimitChanged | Unreadable, version: int) -> Recorded[Any]:
    about = Metadata(uuid4(), NOON, ADMIN, "click", uuid4())
    return Recorded(version * 10, UUID(int=9), version, about, event)


# Limits


async def test_without_a_change_the_defaults_are_in_force(store: InMemoryEventStore) -> None:
    limits = process(store)
    await limits.load()
    assert {policy: limits.limit_of(policy) for policy in Policy} == DEFAULTS
    assert await limits.history(Policy.AUTH) == []


async def test_a_change_is_stored_and_in_force_at_once(store: InMemoryEventStore) -> None:
    limits = process(store)
    executed = await limits.change(Policy.DOWNLOAD, 20, 60, context())
    assert limits.limit_of(Policy.DOWNLOAD) == executed.state == Limit(20, 60)
    assert limits.limit_of(Policy.AUTH) == DEFAULTS[Policy.AUTH]
    assert store.events[-1].event == RateLimitChanged(Policy.DOWNLOAD, 20, 60)
    assert store.events[-1].metadata.actor == ADMIN
    assert executed.position == store.head


async def test_the_same_again_stores_nothing(store: InMemoryEventStore) -> None:
    limits = process(store)
    first = await limits.change(Policy.DOWNLOAD, 20, 60, context())
    again = await limits.change(Policy.DOWNLOAD, 20, 60, context())
    assert again == first
    assert len(store.events) == 1


@pytest.mark.parametrize(
    ("policy", "limit", "window", "refusal"),
    [
        (Policy.GENERAL, -1, HOUR, LimitOutOfRange),
        (Policy.GENERAL, 1, 0, WindowOutOfRange),
        (Policy.ADMIN, 0, HOUR, LocksAdminsOut),
    ],
)
async def test_what_is_refused_changes_nothing(
    store: InMemoryEventStore, policy: Policy, limit: int, window: int, refusal: type[Exception]
) -> None:
    limits = process(store)
    with pytest.raises(refusal):
        await limits.change(policy, limit, window, context())
    assert limits.limit_of(policy) == DEFAULTS[policy]
    assert store.events == []


async def test_what_cannot_be_stored_is_not_in_force(store: InMemoryEventStore) -> None:
    limits = process(store)
    store.failure = StoreUnavailable("The database does not answer.")
    with pytest.raises(StoreUnavailable):
        await limits.change(Policy.AUTH, 3, 60, context())
    assert limits.limit_of(Policy.AUTH) == DEFAULTS[Policy.AUTH]


async def test_a_process_that_starts_later_knows_every_change(store: InMemoryEventStore) -> None:
    before = process(store)
    await before.change(Policy.AUTH, 3, 60, context())
    await before.change(Policy.AUTH, 4, 60, context())
    await before.change(Policy.ADMIN, 5, 60, context())
    later = process(store)
    await later.load()
    for policy in Policy:
        assert later.limit_of(policy) == before.limit_of(policy)


async def test_a_process_hears_of_what_another_changes(store: InMemoryEventStore) -> None:
    here, there = process(store), process(store)
    await there.change(Policy.AUTH, 3, 60, context())
    here.hear(store.events[-1])
    assert here.limit_of(Policy.AUTH) == Limit(3, 60)


async def test_what_is_heard_late_does_not_bring_an_older_limit_back(
    store: InMemoryEventStore,
) -> None:
    limits = process(store)
    for calls in (3, 4):
        await limits.change(Policy.AUTH, calls, 60, context())
    for older in store.events:
        limits.hear(older)
        assert limits.limit_of(Policy.AUTH) == Limit(4, 60)


def test_of_changes_in_any_order_the_newest_counts(store: InMemoryEventStore) -> None:
    limits = process(store)
    for version in (2, 3, 1):
        limits.hear(recorded(RateLimitChanged(Policy.AUTH, version, 60), version))
    assert limits.limit_of(Policy.AUTH) == Limit(3, 60)


def test_what_this_version_cannot_read_is_passed_over(store: InMemoryEventStore) -> None:
    limits = process(store)
    limits.hear(recorded(Unreadable("rate_limit_policy.changed@9", "unknown event"), 1))
    assert {policy: limits.limit_of(policy) for policy in Policy} == DEFAULTS


# Violations


@asynccontextmanager
async def recording(
    store: InMemoryEventStore, clock: TestClock, **chosen: Any
) -> AsyncGenerator[RateLimitViolations]:
    violations = RateLimitViolations(Executor(store, clock, new_id), clock, new_id, **chosen)
    task = asyncio.create_task(keep_running("violations", violations.record))
    try:
        yield violations
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def stored(store: InMemoryEventStore, count: int) -> list[Any]:
    """The events of the store, as soon as there are ``count``, and a little later."""
    async with asyncio.timeout(5):
        while len(store.events) < count:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    return [kept.event for kept in store.events]


async def test_violations_are_recorded_with_who_and_why(
    store: InMemoryEventStore, clock: TestClock
) -> None:
    async with recording(store, clock) as violations:
        violations.note(Policy.AUTH, ANN, 14, "click")
        assert await stored(store, 1) == [RateLimitViolated(Policy.AUTH, ANN, 14, NOON)]
    assert store.events[0].metadata.actor == "system:rate_limits"
    assert store.events[0].metadata.correlation_id == "click"


async def test_what_is_noted_before_it_is_recorded_is_one_event(
    store: InMemoryEventStore, clock: TestClock
) -> None:
    violations = RateLimitViolations(Executor(store, clock, new_id), clock, new_id)
    for policy in (Policy.AUTH, Policy.AUTH, Policy.GENERAL):
        violations.note(policy, ANN, 2, "click")
    task = asyncio.create_task(violations.record())
    assert await stored(store, 2) == [
        RateLimitViolated(Policy.AUTH, ANN, 4, NOON),
        RateLimitViolated(Policy.GENERAL, ANN, 2, NOON),
    ]
    task.cancel()


async def test_what_comes_within_the_minute_is_kept_for_the_next(
    store: InMemoryEventStore, clock: TestClock
) -> None:
    async with recording(store, clock) as violations:
        violations.note(Policy.AUTH, ANN, 1, "first")
        await stored(store, 1)
        clock.now += INTERVAL / 2
        violations.note(Policy.AUTH, ANN, 2, "second")
        assert len(await stored(store, 1)) == 1
        clock.now = NOON + INTERVAL
        violations.note(Policy.AUTH, ANN, 3, "third")
        assert await stored(store, 2) == [
            RateLimitViolated(Policy.AUTH, ANN, 1, NOON),
            RateLimitViolated(Policy.AUTH, ANN, 5, NOON + INTERVAL),
        ]


async def test_what_is_kept_is_recorded_though_nothing_follows(
    store: InMemoryEventStore, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(store, clock) as violations:
        violations.note(Policy.AUTH, ANN, 1, "first")
        await stored(store, 1)
        monkeypatch.setattr(module, "INTERVAL", timedelta(milliseconds=10))
        violations.note(Policy.AUTH, ANN, 2, "second")
        assert len(await stored(store, 1)) == 1
        clock.now += INTERVAL
        assert (await stored(store, 2))[1:] == [
            RateLimitViolated(Policy.AUTH, ANN, 2, NOON + INTERVAL)
        ]


async def test_what_is_kept_is_recorded_as_soon_as_it_is_due(store: InMemoryEventStore) -> None:
    clock = RunningClock()
    async with recording(store, clock) as violations:
        violations.note(Policy.AUTH, ANN, 1, "first")
        await stored(store, 1)
        violations.note(Policy.AUTH, ANN, 2, "second")
        await stored(store, 1)
        clock.now += INTERVAL - timedelta(seconds=0.3)
        violations.note(Policy.GENERAL, ANN, 3, "another")
        assert [event.count for event in await stored(store, 3)] == [1, 3, 2]


async def test_of_two_processes_one_is_first_and_no_count_is_lost(
    store: InMemoryEventStore, clock: TestClock
) -> None:
    async with recording(store, clock) as here, recording(store, clock) as there:
        here.note(Policy.AUTH, ANN, 1, "here")
        there.note(Policy.AUTH, ANN, 2, "there")
        assert len(await stored(store, 1)) == 1
        for minute in (1, 2):
            clock.now = NOON + minute * INTERVAL
            here.note(Policy.AUTH, ANN, 10, "here")
            there.note(Policy.AUTH, ANN, 20, "there")
            events = await stored(store, minute + 1)
            assert len(events) == minute + 1
        clock.now = NOON + 3 * INTERVAL
        here.note(Policy.AUTH, ANN, 100, "here")
        await stored(store, 4)
        clock.now = NOON + 4 * INTERVAL
        there.note(Policy.AUTH, ANN, 200, "there")
        events = await stored(store, 5)
    assert sum(event.count for event in events) == 1 + 2 + 2 * 30 + 300


async def test_while_the_store_is_away_counts_wait_and_come_later(
    store: InMemoryEventStore, clock: TestClock
) -> None:
    async with recording(store, clock) as violations:
        store.failure = StoreUnavailable("The database does not answer.")
        violations.note(Policy.AUTH, ANN, 1, "first")
        await asyncio.sleep(0.05)
        violations.note(Policy.GENERAL, ANN, 2, "second")
        await asyncio.sleep(0.05)
        store.failure = None
        assert await stored(store, 2) == [
            RateLimitViolated(Policy.AUTH, ANN, 1, NOON),
            RateLimitViolated(Policy.GENERAL, ANN, 2, NOON),
        ]


class LosesAnswers(InMemoryEventStore):
    """Stores, and does not answer, once."""

    lost = False

    async def append(self, new: Any) -> Any:
        appended = await super().append(new)
        if not self.lost:
            self.lost = True
            raise StoreUnavailable("The answer was lost.")
        return appended


async def test_what_is_stored_without_an_answer_counts_once(clock: TestClock) -> None:
    store = LosesAnswers()
    async with recording(store, clock) as violations:
        violations.note(Policy.AUTH, ANN, 3, "click")
        await stored(store, 1)
        violations.note(Policy.GENERAL, ANN, 1, "click")
        assert await stored(store, 2) == [
            RateLimitViolated(Policy.AUTH, ANN, 3, NOON),
            RateLimitViolated(Policy.GENERAL, ANN, 1, NOON),
        ]


async def test_what_can_never_be_stored_is_told_and_keeps_nobody_waiting(
    store: InMemoryEventStore, clock: TestClock
) -> None:
    with capture_logs() as logs:
        async with recording(store, clock) as violations:
            violations.note(Policy.AUTH, "address:192.0.2.7", 3, "click")
            violations.note(Policy.AUTH, ANN, 1, "click")
            assert await stored(store, 1) == [RateLimitViolated(Policy.AUTH, ANN, 1, NOON)]
    (told,) = [line for line in logs if line["event"] == "violations not recorded"]
    assert (told["policy"], told["count"]) == (Policy.AUTH, 3)
    assert "192.0.2.7" not in str(told)


async def test_more_subjects_than_may_wait_are_counted_in_the_log(
    store: InMemoryEventStore, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    violations = RateLimitViolations(Executor(store, clock, new_id), clock, new_id)
    for number in range(5):
        violations.note(Policy.AUTH, f"address:{UUID(int=number)}", 2, "click")
    violations.note(Policy.AUTH, f"address:{UUID(int=0)}", 7, "click")
    with capture_logs() as logs:
        task = asyncio.create_task(violations.record())
        events = await stored(store, 3)
        task.cancel()
    assert [event.count for event in events] == [9, 2, 2]
    assert [line for line in logs if line["event"] == "violations lost"] == [
        {"event": "violations lost", "log_level": "warning", "count": 4, "waiting": 0}
    ]
