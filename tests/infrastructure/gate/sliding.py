"""What an exact limit over a sliding window is, by brute force."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

from hypothesis import strategies as st

from application.ports import Passage, Visit

WINDOW = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
W = WINDOW // MICROSECOND
POLICIES = ("general", "auth")
MOST_DOORS = 3

Door = Callable[[Visit], Awaitable[Passage]]


class Clock:
    """Microseconds, as the test says."""

    now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now


class Step(NamedTuple):
    """Visits that come at once, ``gap`` microseconds after the last ones.

    They come for one of two subjects, through one door after the other, from ``door`` on.
    """

    gap: int
    policy: str
    subject: int
    door: int
    at_once: int
    limit: int
    retries: bool


GAPS = st.sampled_from((0, 1, W // 3, W // 2, W - 1, W, W + 1)) | st.integers(0, W)


def steps(*limits: int) -> st.SearchStrategy[list[Step]]:
    """Random arrivals under limits that change from one to the next, as those of a process may."""
    step = st.builds(
        Step,
        gap=GAPS,
        policy=st.sampled_from(POLICIES),
        subject=st.integers(0, 1),
        door=st.integers(0, MOST_DOORS - 1),
        at_once=st.integers(1, 2 * MOST_DOORS),
        limit=st.sampled_from(limits),
        retries=st.booleans(),
    )
    return st.lists(step, max_size=40)


def most_in_any_window(times: Iterable[int]) -> int:
    """The most calls that any window holds, wherever it begins; both of its ends count."""
    ordered = sorted(times)
    return max((sum(0 <= time - first <= W for time in ordered) for first in ordered), default=0)


class Checked:
    """Enters through ``doors``, and holds every answer against all that were accepted before."""

    def __init__(self, clock: Clock, *doors: Door) -> None:
        self._clock = clock
        self._doors = doors
        self._subjects = [f"account:{uuid4()}" for _ in range(2)]
        self.accepted: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        """When, in microseconds, by policy and subject."""

    async def walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._clock.now += step.gap
            refused = await self._enter(step, step.at_once)
            if refused is not None and step.limit and step.retries:
                self._clock.now += refused // MICROSECOND - 1
                assert await self._enter(step, 1) == MICROSECOND
                self._clock.now += 1
                assert await self._enter(step, 1) is None

    async def _enter(self, step: Step, at_once: int) -> timedelta | None:
        """Enter so often, and check all answers; how long those who were refused have to wait."""
        visit = Visit(step.policy, step.limit, WINDOW, self._subjects[step.subject])
        doors = (self._doors[(step.door + n) % len(self._doors)] for n in range(at_once))
        passages = await asyncio.gather(*(door(visit) for door in doors))
        now, accepted = self._clock.now, self.accepted[visit.policy, visit.subject]
        free = max(0, step.limit - len(_counted(accepted, now)))
        passed = [passage for passage in passages if passage.retry_after is None]
        assert len(passed) == min(free, at_once), "more than the limit, or refused without need"
        assert {passage.remaining for passage in passed} == {*range(free - len(passed), free)}
        accepted += [now] * len(passed)
        counted = _counted(accepted, now)
        leaves_at = counted[0] + W + 1 if counted else now
        for passage in passages:
            assert passage.reset_after == (leaves_at - now) * MICROSECOND
        refused = {passage.retry_after for passage in passages} - {None}
        if not refused:
            return None
        (retry_after,) = refused
        assert retry_after is not None
        assert {passage.remaining for passage in passages if passage not in passed} == {0}
        if not step.limit:
            assert retry_after == WINDOW
            return retry_after
        passes_at = now + retry_after // MICROSECOND
        before, then = _counted(accepted, passes_at - 1), _counted(accepted, passes_at)
        assert len(before) >= step.limit > len(then)
        return retry_after


def _counted(accepted: Iterable[int], at: int) -> list[int]:
    """The accepted ones in the closed window that ends at a time."""
    return [time for time in accepted if at - W <= time <= at]
