from datetime import timedelta

import pytest
from hypothesis import given

from application.ports import Passage, Visit
from infrastructure.gate import sliding_logs
from infrastructure.gate.sliding_logs import SlidingLogs
from tests.infrastructure.gate.sliding import (
    WINDOW,
    Checked,
    Clock,
    Door,
    Step,
    W,
    most_in_any_window,
    steps,
)


def door(clock: Clock) -> Door:
    logs = SlidingLogs()

    async def enter(visit: Visit) -> Passage:
        passage = logs.count(visit, visit.limit, clock())
        assert passage is not None
        return passage

    return enter


@given(arrivals=steps(4))
async def test_no_window_of_an_hour_holds_more_than_the_limit(arrivals: list[Step]) -> None:
    clock = Clock()
    checked = Checked(clock, door(clock))
    await checked.walk(arrivals)
    for times in checked.accepted.values():
        assert most_in_any_window(times) <= 4


@given(arrivals=steps(3, 0, 1, 2, 5))
async def test_limits_that_change_are_exact_too(arrivals: list[Step]) -> None:
    clock = Clock()
    await Checked(clock, door(clock)).walk(arrivals)


def visit(subject: str, policy: str = "auth") -> Visit:
    return Visit(policy, 2, WINDOW, subject)


def test_there_is_no_room_for_a_new_subject_while_all_known_ones_have_calls_in_the_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sliding_logs, "MAX_SUBJECTS", 2)
    clock = Clock()
    logs = SlidingLogs()
    assert logs.count(visit("first"), 2, clock.now)
    clock.now += W // 2
    assert logs.count(visit("second"), 2, clock.now)
    assert logs.count(visit("first"), 2, clock.now)
    assert logs.count(visit("third"), 2, clock.now) is None
    refused = logs.count(visit("first"), 2, clock.now)
    assert refused
    assert refused.retry_after == WINDOW / 2 + timedelta(microseconds=1)
    assert logs.count(visit("third", "other"), 2, clock.now), "each policy has room of its own"

    clock.now += W // 2 + 1  # "first" has a later call, "second" has not
    assert logs.count(visit("third"), 2, clock.now) is None
    clock.now += W // 2
    assert logs.count(visit("third"), 2, clock.now)
