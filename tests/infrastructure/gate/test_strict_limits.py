"""What a strict limit is worth while Redis comes, goes and forgets: by brute force again."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from application.ports import Passage, Visit
from infrastructure.embedded import ServerUrls
from infrastructure.gate import RedisGate, redis_gate
from tests.infrastructure.gate.sliding import GAPS, MICROSECOND, WINDOW, Clock, W
from tests.relay import Relay

HERE, THERE = 0, 1
"""Two processes; only the way between ``HERE`` and Redis is cut."""


class Step(NamedTuple):
    """What happens to Redis, and a sign-in ``gap`` microseconds later."""

    event: str | None
    gap: int
    process: int
    limit: int


STEPS = st.lists(
    st.builds(
        Step,
        event=st.sampled_from((None, None, None, "cut", "mend", "forget")),
        gap=st.sampled_from((0, 0, 1)) | GAPS,
        process=st.sampled_from((HERE, HERE, THERE)),
        limit=st.sampled_from((4, 4, 4, 0, 1, 2, 3, 6)),
    ),
    max_size=40,
)


class Checked:
    """Enters, and holds every answer against what each process, and Redis, has counted."""

    def __init__(self, redis_url: str, relay: Relay, clock: Clock, gates: list[RedisGate]) -> None:
        self._redis_url = redis_url
        self._relay = relay
        self._clock = clock
        self._gates = gates
        self._subject = f"address:{uuid4()}"
        self._is_cut = False
        self._in_redis: list[int] = []
        self._let_in: tuple[list[int], list[int]] = ([], [])

    async def walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            await self._happen(step.event)
            self._clock.now += step.gap
            visit = Visit("auth", step.limit, WINDOW, self._subject, strict=True)
            passage = await self._gates[step.process].enter(visit)
            expected = self._expected(step)
            assert (passage.retry_after is None) is expected
            own = self._let_in[step.process]
            if expected:
                own.append(self._clock.now)
                assert len(self._counted(own)) <= step.limit
            self._check_wait(step, passage)

    async def _happen(self, event: str | None) -> None:
        if event == "cut" and not self._is_cut:
            self._relay.cut()
            self._is_cut = True
        elif event == "mend" and self._is_cut:
            await self._relay.mend()
            self._is_cut = False
            lenient = Visit("general", 10**6, WINDOW, self._subject)
            while (await self._gates[HERE].enter(lenient)).remaining is None:
                await asyncio.sleep(0.001)
        elif event == "forget":
            await forget(self._redis_url)
            self._in_redis.clear()

    def _expected(self, step: Step) -> bool:
        own = len(self._counted(self._let_in[step.process]))
        if step.process == HERE and self._is_cut:
            return own < (max(1, step.limit // 2) if step.limit else 0)
        if max(own, len(self._counted(self._in_redis))) >= step.limit:
            return False
        self._in_redis.append(self._clock.now)
        return True

    def _check_wait(self, step: Step, passage: Passage) -> None:
        """Whoever is refused is told to come back within the window, and after this moment."""
        if passage.retry_after is not None:
            assert timedelta() < passage.retry_after <= WINDOW + MICROSECOND
            assert passage.remaining == 0
        elif step.process == HERE and self._is_cut:
            assert self._gates[HERE].away

    def _counted(self, times: Sequence[int]) -> list[int]:
        return [time for time in times if time >= self._clock.now - W]


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
async def test_one_process_never_lets_in_more_than_the_limit_and_alone_no_more_than_half(
    servers: ServerUrls, steps: list[Step]
) -> None:
    clock = Clock()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_gate, "RETRY_EVERY", 0.005)
        valkey, path = urlsplit(servers.redis_url).path, Path(folder, "valkey.sock")
        relayed = servers.redis_url.replace(valkey, quote(str(path)))
        async with (
            Relay(Path(unquote(valkey)), path) as relay,
            RedisGate(relayed, clock=clock) as here,
            RedisGate(servers.redis_url, clock=clock) as there,
        ):
            await Checked(servers.redis_url, relay, clock, [here, there]).walk(steps)


async def test_who_comes_back_when_told_to_gets_in_though_redis_has_forgotten_meanwhile(
    redis_url: str,
) -> None:
    clock = Clock()
    visit = Visit("auth", 3, WINDOW, f"address:{uuid4()}", strict=True)
    async with RedisGate(redis_url, clock=clock) as gate:
        for _ in range(3):
            assert (await gate.enter(visit)).retry_after is None
        await forget(redis_url)
        clock.now += W // 2
        refused = await asyncio.gather(*(gate.enter(visit) for _ in range(6)))
        assert {passage.retry_after for passage in refused} == {WINDOW / 2 + MICROSECOND}
        clock.now += W // 2 + 1
        passages = [await gate.enter(visit) for _ in range(4)]
    assert [passage.remaining for passage in passages] == [2, 1, 0, 0]
    assert [passage.retry_after is None for passage in passages] == [True, True, True, False]


async def test_who_is_refused_by_redis_is_not_counted_here(redis_url: str) -> None:
    clock = Clock()
    visit = Visit("auth", 4, WINDOW, f"address:{uuid4()}", strict=True)
    async with (
        RedisGate(redis_url, clock=clock) as here,
        RedisGate(redis_url, clock=clock) as there,
    ):
        for _ in range(4):
            assert (await there.enter(visit)).retry_after is None
        assert (await asyncio.gather(*(here.enter(visit) for _ in range(4))))[0].retry_after
        await forget(redis_url)
        passages = await asyncio.gather(*(here.enter(visit) for _ in range(5)))
    assert [passage.retry_after is None for passage in passages] == [True] * 4 + [False]


async def forget(redis_url: str) -> None:
    redis_py: Any = redis.asyncio  # whose annotations leave keyword arguments open
    async with redis_py.Redis.from_url(redis_url) as client:
        await client.flushall()
