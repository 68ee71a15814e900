"""The gate while its Valkey is killed, stopped, hung, emptied, filled or made read-only."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from application.ports import Standing, Visit
from infrastructure.embedded import DataFolder, EmbeddedServers
from infrastructure.gate import RedisGate, redis_gate, sliding_logs
from infrastructure.supervision.services import RestartPolicy

HOUR = timedelta(hours=1)
SESSION = uuid4()
A_WHILE = 1.0
"""Seconds that a Valkey is away."""


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncGenerator[str]:
    """One of our own, which comes back after a while, with nothing when it was killed."""
    with DataFolder.claim(tmp_path) as folder:
        servers = EmbeddedServers(
            folder,
            database_url="postgresql://elsewhere",
            policy=RestartPolicy(first_delay=A_WHILE, longest_delay=A_WHILE),
            valkey_settings={"appendonly": "no"},
        )
        async with servers as urls:
            yield urls.redis_url


async def ask(redis_url: str, *command: str | int) -> Any:
    redis_py: Any = redis.asyncio  # whose annotations leave keyword arguments open
    async with redis_py.Redis.from_url(redis_url) as client:
        return await client.execute_command(*command)


async def send(number: signal.Signals, redis_url: str) -> int:
    pid = (await ask(redis_url, "INFO", "server"))["process_id"]
    os.kill(pid, number)
    return pid


async def kill(redis_url: str) -> None:
    await send(signal.SIGKILL, redis_url)
    await asyncio.sleep(A_WHILE)


async def stop(redis_url: str) -> None:
    await send(signal.SIGTERM, redis_url)
    await asyncio.sleep(A_WHILE)


async def hang(redis_url: str) -> None:
    pid = await send(signal.SIGSTOP, redis_url)
    await asyncio.sleep(A_WHILE)
    os.kill(pid, signal.SIGCONT)


async def fill(redis_url: str) -> None:
    await ask(redis_url, "CONFIG", "SET", "maxmemory", 1)
    await asyncio.sleep(A_WHILE)
    await ask(redis_url, "CONFIG", "SET", "maxmemory", 0)


async def demote(redis_url: str) -> None:
    await ask(redis_url, "REPLICAOF", "127.0.0.1", 1)
    await asyncio.sleep(A_WHILE)
    await ask(redis_url, "REPLICAOF", "NO", "ONE")


async def is_away(gate: RedisGate, *, away: bool) -> None:
    async with asyncio.timeout(10):
        while gate.away != away:
            await gate.enter(lenient())
            await asyncio.sleep(0.01)


def lenient() -> Visit:
    return Visit("general", 10**6, HOUR, f"account:{uuid4()}")


def strict(limit: int) -> Visit:
    return Visit("auth", limit, HOUR, f"address:{uuid4()}", strict=True)


def standing(*, version: int, open: bool) -> Standing:  # noqa: A002 - the field's name
    return Standing(SESSION, version, open, 0, b"a session")


def with_session() -> Visit:
    return Visit("general", 10**6, HOUR, f"account:{uuid4()}", SESSION)


@pytest.mark.parametrize("harm", [kill, stop, hang, fill, demote])
async def test_in_the_middle_of_traffic(
    valkey: str, harm: Callable[[str], Coroutine[Any, Any, None]]
) -> None:
    changes: list[bool] = []
    slowest = 0.0
    limit = 40
    sign_in = strict(limit)
    signed_in: list[float] = []
    closed = False

    async def visit_for_ever(visit: Visit) -> None:
        nonlocal slowest
        while True:
            started = perf_counter()
            passage = await gate.enter(visit)
            slowest = max(slowest, perf_counter() - started)
            if passage.retry_after is None and visit is sign_in:
                signed_in.append(started)
            assert visit is sign_in or passage.retry_after is None
            assert not (closed and passage.session and passage.session.open), "revived"
            await asyncio.sleep(0.001 if visit is not sign_in else 0.05)

    with capture_logs() as logs:
        async with RedisGate(valkey, on_change=changes.append) as gate:
            await gate.remember([standing(version=1, open=True)])
            traffic = [
                asyncio.create_task(visit_for_ever(visit))
                for visit in (sign_in, sign_in, lenient(), lenient(), with_session())
            ]
            await asyncio.sleep(0.1)
            harming = asyncio.create_task(harm(valkey))
            await is_away(gate, away=True)
            closed = True
            await gate.remember([standing(version=2, open=False)])
            await gate.remember([standing(version=1, open=True)])
            await harming
            await is_away(gate, away=False)
            passage = await gate.enter(with_session())
            assert passage.session == standing(version=2, open=False)
            assert passage.remaining is None, "not counted"
            await asyncio.sleep(1.0)
            assert (await gate.enter(lenient())).remaining == 10**6 - 1
            assert [task for task in traffic if task.done()] == []
            for task in traffic:
                task.cancel()
            await asyncio.gather(*traffic, return_exceptions=True)
    assert limit // 2 <= len(signed_in) <= limit
    assert slowest < 0.9
    assert changes == [True, False]
    assert [entry["event"] for entry in logs if "redis" in entry["event"]] == [
        "redis away",
        "redis back",
    ]


async def test_while_redis_is_away_nobody_waits_for_it(valkey: str) -> None:
    async with RedisGate(valkey) as gate:
        await gate.enter(lenient())
        pid = await send(signal.SIGSTOP, valkey)
        await is_away(gate, away=True)
        started = perf_counter()
        for _ in range(1000):
            passage = await gate.enter(lenient())
            assert (passage.remaining, passage.retry_after) == (None, None)
            await gate.remember([standing(version=1, open=True)])
        assert perf_counter() - started < 0.2
        os.kill(pid, signal.SIGCONT)


async def test_strict_limits_hold_in_one_process_whatever_redis_forgets(valkey: str) -> None:
    visit = strict(10)
    async with RedisGate(valkey) as gate:
        for _ in range(3):
            assert (await gate.enter(visit)).retry_after is None
        pid = await send(signal.SIGSTOP, valkey)
        await is_away(gate, away=True)
        alone = [await gate.enter(visit) for _ in range(4)]
        assert [passage.remaining for passage in alone] == [1, 0, 0, 0]
        assert [passage.retry_after is None for passage in alone] == [True, True, False, False]
        os.kill(pid, signal.SIGCONT)
        await is_away(gate, away=False)
        await ask(valkey, "FLUSHALL")
        later = [await gate.enter(visit) for _ in range(7)]
        assert sum(passage.retry_after is None for passage in later) == 5
        last = later[-1].retry_after
        assert last is not None
        assert timedelta() < last <= HOUR


@pytest.mark.parametrize(("limit", "alone"), [(0, 0), (1, 1), (2, 1), (3, 1), (10, 5)])
async def test_without_any_redis_strict_policies_are_counted_against_half(
    limit: int, alone: int
) -> None:
    visit = strict(limit)
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        async with RedisGate(f"redis://127.0.0.1:{unused.getsockname()[1]}") as gate:
            passages = [await gate.enter(visit) for _ in range(limit + 2)]
            free = await gate.enter(lenient())
            assert gate.away
    assert sum(passage.retry_after is None for passage in passages) == alone
    refused = passages[-1]
    assert refused.remaining == 0
    assert refused.retry_after is not None
    assert HOUR - timedelta(seconds=10) < refused.retry_after <= HOUR + timedelta(microseconds=1)
    assert (free.remaining, free.retry_after, free.session) == (None, None, None)


async def test_an_unknown_subject_is_refused_when_there_is_no_room_to_count_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sliding_logs, "MAX_SUBJECTS", 2)
    async with RedisGate("redis://127.0.0.1:1") as gate:
        passages = [await gate.enter(strict(10)) for _ in range(3)]
    assert [passage.retry_after for passage in passages] == [None, None, HOUR]


async def test_an_emptied_redis_counts_from_nothing(valkey: str) -> None:
    changes: list[bool] = []
    visit = Visit("general", 1, HOUR, "account:one", SESSION)
    async with RedisGate(valkey, on_change=changes.append) as gate:
        await gate.remember([standing(version=1, open=True)])
        assert (await gate.enter(visit)).session is not None
        assert (await gate.enter(visit)).retry_after is not None
        await ask(valkey, "FLUSHALL")
        await ask(valkey, "SCRIPT", "FLUSH")
        passage = await gate.enter(visit)
        await gate.remember([standing(version=1, open=True)])
    assert (passage.session, passage.retry_after) == (None, None)
    assert changes == []


async def test_a_connection_that_was_closed_while_idle_is_opened_anew(valkey: str) -> None:
    changes: list[bool] = []
    async with RedisGate(valkey, on_change=changes.append) as gate:
        await gate.enter(lenient())
        await ask(valkey, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.05)
        assert (await gate.enter(lenient())).remaining is not None
    assert changes == []


async def test_an_event_loop_that_stood_still_does_not_make_redis_away(valkey: str) -> None:
    changes: list[bool] = []
    async with RedisGate(valkey, on_change=changes.append) as gate:
        await gate.enter(lenient())
        for _ in range(5):
            entering = asyncio.create_task(gate.enter(lenient()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # the question is under way
            time.sleep(0.3)  # noqa: ASYNC251 - on purpose
            assert (await entering).remaining is not None
    assert changes == []


async def test_of_too_many_unwritten_standings_the_oldest_are_dropped(
    valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_gate, "MAX_UNWRITTEN", 2)
    closed = [Standing(uuid4(), 1, False, 0, b"") for _ in range(4)]
    async with RedisGate(valkey) as gate:
        await gate.enter(lenient())
        pid = await send(signal.SIGSTOP, valkey)
        await is_away(gate, away=True)
        await gate.remember(closed[:3])
        await gate.remember(closed[3:])
        os.kill(pid, signal.SIGCONT)
        await is_away(gate, away=False)
        known = [
            (await gate.enter(Visit("general", 9, HOUR, "account:x", each.id))).session
            for each in closed
        ]
    assert known == [None, None, *closed[2:]]


async def test_whoever_waits_when_the_gate_closes_is_answered(valkey: str) -> None:
    async with RedisGate(valkey) as gate:
        await gate.enter(lenient())
        pid = await send(signal.SIGSTOP, valkey)
        visits = [asyncio.create_task(gate.enter(visit)) for visit in (lenient(), strict(2))]
        writing = asyncio.create_task(gate.remember([standing(version=1, open=True)]))
        await asyncio.sleep(0.01)
    async with asyncio.timeout(0.1):
        free, signed_in = await asyncio.gather(*visits)
        await writing
        assert (await gate.enter(lenient())).remaining is None
    assert (free.remaining, signed_in.remaining) == (None, 0)
    os.kill(pid, signal.SIGCONT)
    assert gate.away


async def test_whoever_gives_up_waiting_harms_nobody(valkey: str) -> None:
    async with RedisGate(valkey) as gate:
        await gate.enter(lenient())
        entering = [asyncio.create_task(gate.enter(lenient())) for _ in range(5)]
        remembering = asyncio.create_task(gate.remember([standing(version=1, open=True)]))
        await asyncio.sleep(0)
        for task in (*entering, remembering):
            task.cancel()
        assert (await gate.enter(with_session())).session == standing(version=1, open=True)
        assert not gate.away
