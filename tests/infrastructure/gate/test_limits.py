"""How calls are counted, in a real Valkey."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from hypothesis import given, settings

from application.ports import Passage, Visit
from infrastructure.embedded import ServerUrls
from infrastructure.gate import RedisGate
from tests.infrastructure.gate.sliding import (
    MOST_DOORS,
    WINDOW,
    Checked,
    Clock,
    Step,
    W,
    most_in_any_window,
    steps,
)


def new_visit(limit: int) -> Visit:
    return Visit("general", limit, WINDOW, f"account:{uuid4()}")


def passed(passages: list[Passage]) -> int:
    return sum(passage.retry_after is None for passage in passages)


@asynccontextmanager
async def checked(redis_url: str) -> AsyncGenerator[Checked]:
    """As many gates as there may be doors, each a process of its own as far as Valkey can tell."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        gates = [
            await stack.enter_async_context(RedisGate(redis_url, clock=clock))
            for _ in range(MOST_DOORS)
        ]
        yield Checked(clock, *(gate.enter for gate in gates))
        assert not any(gate.away for gate in gates)


@settings(max_examples=150, deadline=None)
@given(arrivals=steps(4))
async def test_no_window_of_an_hour_holds_more_than_the_limit(
    servers: ServerUrls, arrivals: list[Step]
) -> None:
    async with checked(servers.redis_url) as all_gates:
        await all_gates.walk(arrivals)
    for times in all_gates.accepted.values():
        assert most_in_any_window(times) <= 4


@settings(max_examples=150, deadline=None)
@given(arrivals=steps(3, 0, 1, 2, 5))
async def test_limits_that_change_are_exact_too(servers: ServerUrls, arrivals: list[Step]) -> None:
    async with checked(servers.redis_url) as all_gates:
        await all_gates.walk(arrivals)


async def test_a_longer_window_counts_what_the_shorter_one_still_held(redis_url: str) -> None:
    clock = Clock()
    subject = f"account:{uuid4()}"
    long, short = (Visit("general", 3, window, subject) for window in (WINDOW, WINDOW / 60))
    async with RedisGate(redis_url, clock=clock) as gate:
        assert passed([await gate.enter(long) for _ in range(3)]) == 3
        clock.now += W // 120
        assert passed([await gate.enter(each) for each in (short, long)]) == 0
        clock.now += W // 120 + 1
        assert passed([await gate.enter(short) for _ in range(2)]) == 2
        assert passed([await gate.enter(long) for _ in range(2)]) == 1, "the first three have left"


async def test_a_clock_that_is_set_back_lets_nobody_in(redis_url: str) -> None:
    clock = Clock()
    visit = new_visit(3)
    async with RedisGate(redis_url, clock=clock) as gate:
        for back in (0, W, 5 * W):
            clock.now -= back
            assert (await gate.enter(visit)).retry_after is None
        refused = await gate.enter(visit)
        assert refused.retry_after == WINDOW + timedelta(microseconds=1)


async def test_by_the_clock_of_the_server_calls_leave_and_logs_vanish(redis_url: str) -> None:
    visit = Visit("general", 2, timedelta(seconds=0.2), f"account:{uuid4()}")
    async with RedisGate(redis_url) as gate:
        for _ in range(3):
            assert passed([await gate.enter(visit) for _ in range(3)]) == 2
            refused = await gate.enter(visit)
            assert refused.retry_after is not None
            assert timedelta() < refused.retry_after <= visit.window + timedelta(microseconds=1)
            await asyncio.sleep(0.21)


async def test_visits_that_come_at_once_are_counted_one_by_one(redis_url: str) -> None:
    first, second = new_visit(100), new_visit(7)
    async with RedisGate(redis_url) as gate:
        answers = await asyncio.gather(
            *(gate.enter(v) for _ in range(200) for v in (first, second))
        )
    assert passed(answers[::2]) == 100
    assert passed(answers[1::2]) == 7
    assert sorted(answer.remaining or 0 for answer in answers[::2])[-100:] == [*range(100)]


async def test_six_hundred_at_once_through_two_gates_in_each_of_two_processes(
    redis_url: str,
) -> None:
    subject = f"account:{uuid4()}"
    crowds = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.infrastructure.gate.crowd", redis_url, subject),
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    outputs = [(await crowd.communicate())[0] for crowd in crowds]
    assert sum(map(int, outputs)) == 100
