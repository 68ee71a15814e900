from datetime import timedelta
from uuid import UUID

import pytest

from domain.media_requests import MediaType
from domain.quotas import (
    EndQuotaOverride,
    OverrideQuota,
    Quota,
    QuotaEvent,
    QuotaOverridden,
    QuotaOverrideEnded,
    QuotaReturned,
    Quotas,
    QuotaUsed,
    QuotaUsedUp,
    ReturnQuota,
    Use,
    UseQuota,
    quotas,
)
from tests.events import NOON
from tests.given import given

ANN, BOSS = UUID(int=1), UUID(int=9)
TWO_A_WEEK = Quota(2, 7)
DAY = timedelta(days=1)


def use(number: int, day: float = 0, media_type: MediaType = MediaType.MOVIE) -> Use:
    return Use(UUID(int=number), media_type, UUID(int=100 + number), NOON + day * DAY)


def used(number: int, day: float = 0, media_type: MediaType = MediaType.MOVIE) -> QuotaUsed:
    return QuotaUsed(ANN, use(number, day, media_type))


def ask(number: int, day: float = 0, rule: Quota | None = TWO_A_WEEK) -> UseQuota:
    return UseQuota(ANN, use(number, day), rule)


def known(*events: QuotaEvent) -> Quotas:
    return quotas.fold(events) or Quotas()


def test_a_place_is_taken_while_one_is_free() -> None:
    given(quotas).when(ask(1)).then(used(1))
    given(quotas, used(1)).when(ask(2)).then(used(2))


def test_the_same_asking_takes_one_place() -> None:
    given(quotas, used(1)).when(ask(1)).then_nothing()


def test_a_refusal_says_what_has_used_the_quota_and_when_the_next_place_is_free() -> None:
    with pytest.raises(QuotaUsedUp) as refusal:
        quotas.decide(ask(3, day=3), known(used(1), used(2, day=1)))
    assert str(refusal.value) == (
        "You have asked for 2 of at most 2 films in 7 days;"
        " the next place is free at 2026-05-08 12:00 UTC."
    )
    assert refusal.value.standing.uses == (use(1), use(2, day=1))
    assert refusal.value.standing.remaining == 0
    assert refusal.value.standing.free_at == NOON + 7 * DAY


def test_a_place_is_free_again_when_its_time_is_over() -> None:
    given(quotas, used(1), used(2, day=1)).when(ask(3, day=6.99)).then_refused(QuotaUsedUp)
    given(quotas, used(1), used(2, day=1)).when(ask(3, day=7)).then(used(3, day=7))


def test_with_more_used_than_is_allowed_now_the_next_place_comes_later() -> None:
    standing = known(used(1), used(2, day=1), used(3, day=2)).standing(
        MediaType.MOVIE, TWO_A_WEEK, NOON + 3 * DAY
    )
    assert (standing.remaining, standing.free_at) == (0, NOON + 8 * DAY)


def test_films_and_series_are_counted_apart() -> None:
    series = [used(number, media_type=MediaType.TV) for number in (1, 2)]
    given(quotas, *series).when(ask(3)).then(used(3))


def test_what_came_to_nothing_is_given_back_once() -> None:
    given(quotas, used(1)).when(ReturnQuota(use(1).id)).then(QuotaReturned(use(1).id))
    given(quotas, used(1), QuotaReturned(use(1).id)).when(ReturnQuota(use(1).id)).then_nothing()
    given(quotas, used(1), used(2), QuotaReturned(use(1).id)).when(ask(3)).then(used(3))


def test_without_a_quota_everything_is_allowed() -> None:
    standing = known(used(1)).standing(MediaType.MOVIE, None, NOON)
    assert (standing.remaining, standing.free_at, standing.uses) == (None, None, ())


def test_a_quota_of_none_is_never_free() -> None:
    given(quotas).when(ask(1, rule=Quota(0, 7))).then_refused(
        QuotaUsedUp, "You may not ask for films."
    )


def test_what_an_admin_has_decided_for_a_person_comes_before_the_rule() -> None:
    overridden = QuotaOverridden(MediaType.MOVIE, Quota(3, 7), BOSS)
    given(quotas).when(OverrideQuota(MediaType.MOVIE, Quota(3, 7), BOSS)).then(overridden)
    given(quotas, overridden).when(OverrideQuota(MediaType.MOVIE, Quota(3, 7), BOSS)).then_nothing()
    given(quotas, used(1), used(2), overridden).when(ask(3)).then(used(3))
    without = QuotaOverridden(MediaType.MOVIE, None, BOSS)
    given(quotas, overridden).when(OverrideQuota(MediaType.MOVIE, None, BOSS)).then(without)
    given(quotas, used(1), used(2), without).when(ask(3)).then(used(3))
    given(quotas, overridden).when(OverrideQuota(MediaType.TV, None, BOSS)).then(
        QuotaOverridden(MediaType.TV, None, BOSS)
    )


def test_the_rule_holds_again_when_an_admin_says_so() -> None:
    overridden = QuotaOverridden(MediaType.MOVIE, None, BOSS)
    ended = QuotaOverrideEnded(MediaType.MOVIE, BOSS)
    given(quotas, overridden).when(EndQuotaOverride(MediaType.MOVIE, BOSS)).then(ended)
    given(quotas, overridden).when(EndQuotaOverride(MediaType.TV, BOSS)).then_nothing()
    given(quotas, used(1), used(2), overridden, ended).when(ask(3)).then_refused(QuotaUsedUp)


def test_what_no_window_can_reach_is_forgotten() -> None:
    assert known(used(1), used(2, day=366)).uses == (use(2, day=366),)
    assert known(used(1), used(2, day=365)).uses == (use(1), use(2, day=365))
