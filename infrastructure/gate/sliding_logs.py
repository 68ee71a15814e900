"""Exact limits within this process, for when there is nobody to count with."""

import time
from bisect import bisect_left
from contextlib import suppress
from datetime import timedelta

from application.ports import Passage, Visit

MAX_SUBJECTS = 10_000
"""Of one policy, at about 200 bytes and 40 more for each counted call."""

MICROSECOND = timedelta(microseconds=1)


def monotonic_microseconds() -> int:
    """The time since some moment."""
    return time.monotonic_ns() // 1000


class SlidingLogs:
    """When each subject's calls were counted, in microseconds that never go back."""

    def __init__(self) -> None:
        self._policies: dict[str, dict[str, list[int]]] = {}

    def count(self, visit: Visit, limit: int, now: int) -> Passage | None:
        """Count the visit or refuse it, by ``limit``; ``None`` when there is no room for it.

        There is none while all the subjects that are known have calls in the window: to forget one
        of them would let it in again, and whoever has many addresses could see to that.
        """
        window = visit.window // MICROSECOND
        policy = self._policies.setdefault(visit.policy, {})
        times = policy.get(visit.subject, [])
        del times[: bisect_left(times, now - window)]
        if len(times) >= limit:
            last = times[len(times) - limit] if limit else now - 1
            return Passage(
                session=None,
                account=None,
                remaining=0,
                reset_after=_until_gone(times[0], window, now) if times else timedelta(),
                retry_after=_until_gone(last, window, now),
            )
        if visit.subject not in policy and not self._make_room(policy, now - window):
            return None
        times.append(now)
        policy.pop(visit.subject, None)
        policy[visit.subject] = times  # who was counted last comes last
        return Passage(
            session=None,
            account=None,
            remaining=limit - len(times),
            reset_after=_until_gone(times[0], window, now),
        )

    def take_back(self, visit: Visit, counted_at: int) -> None:
        """Let the visit be one that was not counted."""
        with suppress(ValueError):  # there was no room for it
            self._policies[visit.policy].get(visit.subject, []).remove(counted_at)

    def _make_room(self, policy: dict[str, list[int]], since: int) -> bool:
        if len(policy) >= MAX_SUBJECTS:
            longest_quiet, times = next(iter(policy.items()))
            if times and times[-1] >= since:
                return False
            del policy[longest_quiet]
        return True


def _until_gone(counted: int, window: int, now: int) -> timedelta:
    """A call that is exactly a window old still counts."""
    return timedelta(microseconds=counted + window + 1 - now)
