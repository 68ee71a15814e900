from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.kernel import DomainError
from domain.rate_limits import (
    DEFAULTS,
    INTERVAL,
    LONGEST_WINDOW,
    MOST_CALLS,
    ChangeLimit,
    Limit,
    LimitOutOfRange,
    LocksAdminsOut,
    Policy,
    RateLimitChanged,
    RateLimitViolated,
    RecordedJustNow,
    RecordViolations,
    WindowOutOfRange,
    check_limit,
    rate_limit_policies,
    rate_limit_policy_id,
    rate_limit_violations,
    rate_limit_violations_id,
)
from tests.given import given

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 5, 2, tzinfo=UTC)
ANN = f"account:{UUID(int=1)}"
HOUR = 3600


def violations(count: int = 3, at: datetime = NOON, subject: str = ANN) -> RecordViolations:
    return RecordViolations(Policy.AUTH, subject, count, at)


def violated(count: int = 3, at: datetime = NOON, subject: str = ANN) -> RateLimitViolated:
    return RateLimitViolated(Policy.AUTH, subject, count, at)


def test_the_defaults_are_allowed_and_count_for_an_hour() -> None:
    for policy in Policy:
        check_limit(policy, DEFAULTS[policy])
        assert DEFAULTS[policy].window == timedelta(hours=1)
    assert [DEFAULTS[policy].limit for policy in Policy] == [100, 10, 5, 200]


def test_a_limit_can_be_changed() -> None:
    given(rate_limit_policies).when(ChangeLimit(Policy.GENERAL, 20, 60)).then(
        RateLimitChanged(Policy.GENERAL, 20, 60)
    )


def test_the_default_can_be_chosen() -> None:
    default = DEFAULTS[Policy.GENERAL]
    given(rate_limit_policies).when(
        ChangeLimit(Policy.GENERAL, default.limit, default.window_seconds)
    ).then(RateLimitChanged(Policy.GENERAL, default.limit, default.window_seconds))


def test_the_same_limit_again_changes_nothing() -> None:
    given(
        rate_limit_policies,
        RateLimitChanged(Policy.AUTH, 1, HOUR),
        RateLimitChanged(Policy.AUTH, 2, HOUR),
    ).when(ChangeLimit(Policy.AUTH, 2, HOUR)).then_nothing()


@pytest.mark.parametrize("wanted", [Limit(2, 60), Limit(3, HOUR)])
def test_another_number_or_another_window_is_a_change(wanted: Limit) -> None:
    given(rate_limit_policies, RateLimitChanged(Policy.AUTH, 2, HOUR)).when(
        ChangeLimit(Policy.AUTH, wanted.limit, wanted.window_seconds)
    ).then(RateLimitChanged(Policy.AUTH, wanted.limit, wanted.window_seconds))


@pytest.mark.parametrize(
    ("policy", "limit", "window", "refusal", "field"),
    [
        (Policy.GENERAL, -1, HOUR, LimitOutOfRange, "limit"),
        (Policy.GENERAL, MOST_CALLS + 1, HOUR, LimitOutOfRange, "limit"),
        (Policy.GENERAL, 1, 0, WindowOutOfRange, "windowSeconds"),
        (Policy.GENERAL, 1, -HOUR, WindowOutOfRange, "windowSeconds"),
        (Policy.GENERAL, 1, LONGEST_WINDOW + 1, WindowOutOfRange, "windowSeconds"),
        (Policy.AUTH, 0, HOUR, LocksAdminsOut, "limit"),
        (Policy.ADMIN, 0, HOUR, LocksAdminsOut, "limit"),
    ],
)
def test_what_no_limit_may_be_is_refused(
    policy: Policy, limit: int, window: int, refusal: type[DomainError], field: str
) -> None:
    given(rate_limit_policies).when(ChangeLimit(policy, limit, window)).then_refused(refusal)
    with pytest.raises(refusal) as refused:
        check_limit(policy, Limit(limit, window))
    assert vars(type(refused.value))["field"] == field


@pytest.mark.parametrize(
    ("policy", "limit", "window"),
    [
        (Policy.GENERAL, 0, HOUR),
        (Policy.DOWNLOAD, 0, HOUR),
        (Policy.AUTH, 1, 1),
        (Policy.ADMIN, MOST_CALLS, LONGEST_WINDOW),
    ],
)
def test_the_edges_are_allowed(policy: Policy, limit: int, window: int) -> None:
    given(rate_limit_policies).when(ChangeLimit(policy, limit, window)).then(
        RateLimitChanged(policy, limit, window)
    )


def test_each_policy_has_a_stream_of_its_own() -> None:
    assert len({rate_limit_policy_id(policy) for policy in Policy}) == len(Policy)


def test_violations_are_recorded() -> None:
    given(rate_limit_violations).when(violations(14)).then(violated(14))


def test_violations_within_a_minute_are_not_recorded() -> None:
    just_before = NOON + INTERVAL - timedelta(microseconds=1)
    given(rate_limit_violations, violated()).when(violations(at=just_before)).then_refused(
        RecordedJustNow
    )


def test_it_is_told_when_they_may_be() -> None:
    with pytest.raises(RecordedJustNow) as refused:
        rate_limit_violations.decide(violations(), rate_limit_violations.fold([violated()]))
    assert refused.value.due_at == NOON + INTERVAL


def test_a_minute_later_they_are() -> None:
    given(rate_limit_violations, violated()).when(violations(5, NOON + INTERVAL)).then(
        violated(5, NOON + INTERVAL)
    )


@pytest.mark.parametrize("seconds", [0, 1, 59.999999])
def test_in_the_first_minute_of_a_day_none_are_recorded(seconds: float) -> None:
    command = violations(at=MIDNIGHT + timedelta(seconds=seconds))
    with pytest.raises(RecordedJustNow) as refused:
        rate_limit_violations.decide(command, None)
    assert refused.value.due_at == MIDNIGHT + INTERVAL


def test_a_minute_after_midnight_they_are() -> None:
    at = MIDNIGHT + INTERVAL
    given(rate_limit_violations).when(violations(at=at)).then(violated(at=at))


@for_all(st.lists(st.integers(-180_000, 180_000), max_size=30).map(sorted))
def test_over_midnight_too_no_two_are_closer_than_a_minute(milliseconds: list[int]) -> None:
    streams: defaultdict[UUID, list[RateLimitViolated]] = defaultdict(list)
    for arrival in milliseconds:
        at = MIDNIGHT + timedelta(milliseconds=arrival)
        stream = streams[rate_limit_violations_id(Policy.AUTH, ANN, at)]
        with suppress(RecordedJustNow):
            stream += rate_limit_violations.decide(
                violations(at=at), rate_limit_violations.fold(stream)
            )
    recorded = sorted(event.at for stream in streams.values() for event in stream)
    gaps = [later - earlier for earlier, later in pairwise(recorded)]
    assert all(gap >= INTERVAL for gap in gaps)


@for_all(st.integers(-180, 180).filter(lambda second: not 0 <= second < 60), st.integers(0, 70))
@example(-30, 1)
def test_what_comes_too_early_is_recorded_when_it_is_due(second: int, later: int) -> None:
    last = MIDNIGHT + timedelta(seconds=second)
    state = rate_limit_violations.fold([violated(at=last)])
    command = violations(at=last + timedelta(seconds=later))
    for _ in range(3):
        try:
            (event,) = rate_limit_violations.decide(command, state)
        except RecordedJustNow as early:
            command = violations(at=early.due_at)
            if early.due_at.date() != last.date():
                state = None
        else:
            break
    else:
        pytest.fail("due, and refused again")
    assert event.at >= last + INTERVAL


@pytest.mark.parametrize(
    "subject",
    [
        "192.0.2.7",
        "address:192.0.2.7",
        "address:2001:db8::7",
        "account:ann@example.org",
        f"account:{UUID(int=1)}\n",
        f"session:{UUID(int=1)}",
        str(UUID(int=1)),
        "",
    ],
)
def test_no_address_is_stored_in_the_clear(subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        rate_limit_violations.decide(violations(subject=subject), None)


def test_each_subject_policy_and_day_has_a_stream_of_its_own() -> None:
    of_the_day = rate_limit_violations_id(Policy.AUTH, ANN, NOON)
    others = {
        rate_limit_violations_id(Policy.AUTH, f"account:{UUID(int=2)}", NOON),
        rate_limit_violations_id(Policy.GENERAL, ANN, NOON),
        rate_limit_violations_id(Policy.AUTH, ANN, NOON + timedelta(days=1)),
    }
    assert rate_limit_violations_id(Policy.AUTH, ANN, NOON + timedelta(hours=11)) == of_the_day
    assert len(others - {of_the_day}) == len(others)
