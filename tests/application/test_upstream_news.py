"""What follows from hints, and what sweeps see."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from application.effects import FollowUpstream, Job
from application.ports import ForwardingFailure, StoreUnavailable
from domain.media_requests import (
    ForwardingProblem,
    Media,
    MediaType,
    RequestStatus,
    UpstreamStatus,
    media_request_id,
)
from tests.fakes import new_id
from tests.interfaces.house import House, Person, context
from tests.interfaces.samples import Wish


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def ann(house: House) -> Person:
    return await house.person("ann@example.org")


def film(tmdb_id: int) -> UUID:
    return media_request_id(Media(MediaType.MOVIE, tmdb_id))


async def forwarded(house: House, ann: Person, *tmdb_ids: int) -> None:
    """Overseerr has these films, each under the number of its place."""
    for tmdb_id in tmdb_ids:
        media = Media(MediaType.MOVIE, tmdb_id)
        asked = context(f"account:{ann.id}")
        await house.use_cases.request_media(Wish(media), ann.id, asked)
        await house.forward(media_request_id(media))


async def status(house: House, tmdb_id: int) -> RequestStatus:
    row = await house.requests.find(film(tmdb_id))
    assert row is not None
    return row.status


def hint(tmdb_id: int) -> Job:
    effect = FollowUpstream(film(tmdb_id))
    return Job(new_id(), effect, "hint", new_id())


async def follow(house: House, job: Job) -> None:
    assert isinstance(job.effect, FollowUpstream)
    await house.news.follow(job.effect, job)


def failure(problem: ForwardingProblem) -> ForwardingFailure:
    return ForwardingFailure(problem, "No.")


# Hints


async def test_a_hint_makes_us_see_how_it_stands(house: House, ann: Person) -> None:
    await forwarded(house, ann, 1)
    house.forwarder.statuses[1] = UpstreamStatus.AVAILABLE
    await follow(house, hint(1))
    assert await status(house, 1) is RequestStatus.AVAILABLE
    (*_, seen) = house.store.events
    assert seen.metadata.actor == "system:follow_upstream"
    assert seen.metadata.correlation_id == "hint"


async def test_a_hint_that_comes_again_sees_again(house: House, ann: Person) -> None:
    await forwarded(house, ann, 1)
    job = hint(1)
    await follow(house, job)
    before = len(house.store.events)
    house.forwarder.statuses[1] = UpstreamStatus.AVAILABLE
    await follow(house, job)
    await follow(house, job)
    assert await status(house, 1) is RequestStatus.AVAILABLE
    assert len(house.store.events) == before + 1, "the second time there is nothing new"


async def test_hints_in_the_wrong_order_end_where_it_stands_now(house: House, ann: Person) -> None:
    await forwarded(house, ann, 1)
    available, approved = hint(1), hint(1)
    house.forwarder.statuses[1] = UpstreamStatus.AVAILABLE
    await follow(house, available)
    await follow(house, approved)
    assert await status(house, 1) is RequestStatus.AVAILABLE


async def test_a_hint_about_nothing_leads_to_nothing(house: House) -> None:
    await follow(house, hint(404))
    assert house.store.events == []


@pytest.mark.parametrize("problem", ForwardingProblem)
async def test_a_hint_that_cannot_be_followed_is_left_to_the_sweep(
    house: House, ann: Person, problem: ForwardingProblem
) -> None:
    await forwarded(house, ann, 1)
    house.forwarder.statuses[1] = UpstreamStatus.AVAILABLE
    house.forwarder.failure = failure(problem)
    before = list(house.store.events)
    await follow(house, hint(1))
    assert house.store.events == before
    house.forwarder.failure = None
    await house.news.sweep(house.requests)
    assert await status(house, 1) is RequestStatus.AVAILABLE


# Sweeps


async def test_a_sweep_sees_what_no_hint_has_told(house: House, ann: Person) -> None:
    await forwarded(house, ann, 1, 2, 3, 4)
    house.forwarder.statuses |= {
        1: UpstreamStatus.AVAILABLE,
        2: UpstreamStatus.DECLINED,
        3: UpstreamStatus.MISSING,
    }
    await house.news.sweep(house.requests)
    assert [await status(house, tmdb_id) for tmdb_id in (1, 2, 3, 4)] == [
        RequestStatus.AVAILABLE,
        RequestStatus.DECLINED,
        RequestStatus.FAILED,
        RequestStatus.FORWARDED,
    ]
    before = list(house.store.events)
    await house.news.sweep(house.requests)
    assert house.store.events == before


async def test_a_sweep_goes_through_every_page(
    house: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.upstream_news.PAGE", 2)
    await forwarded(house, ann, *range(1, 6))
    house.forwarder.statuses |= dict.fromkeys(range(1, 6), UpstreamStatus.AVAILABLE)
    await house.news.sweep(house.requests)
    assert {await status(house, tmdb_id) for tmdb_id in range(1, 6)} == {RequestStatus.AVAILABLE}


async def test_what_is_on_the_shelf_is_looked_at_in_turns(
    house: House, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.upstream_news.PAGE", 2)
    await forwarded(house, ann, *range(1, 6))
    house.forwarder.statuses |= dict.fromkeys(range(1, 6), UpstreamStatus.AVAILABLE)
    await house.news.sweep(house.requests)
    house.forwarder.statuses |= dict.fromkeys(range(1, 6), UpstreamStatus.DELETED)
    left: list[int] = []
    for _ in range(4):
        await house.news.sweep(house.requests)
        statuses = [await status(house, tmdb_id) for tmdb_id in range(1, 6)]
        left.append(statuses.count(RequestStatus.AVAILABLE))
    assert left == [3, 2, 0, 0], "two of them were looked at before; their turn comes again last"


@pytest.mark.parametrize(
    ("problem", "looks"),
    [
        (ForwardingProblem.UNREACHABLE, 1),
        (ForwardingProblem.TIMED_OUT, 1),
        (ForwardingProblem.THROTTLED, 1),
        (ForwardingProblem.BAD_KEY, 1),
        (ForwardingProblem.UPSTREAM_ERROR, 3),
        (ForwardingProblem.REFUSED, 3),
    ],
)
async def test_a_sweep_does_not_knock_where_nobody_is(
    house: House,
    ann: Person,
    monkeypatch: pytest.MonkeyPatch,
    problem: ForwardingProblem,
    looks: int,
) -> None:
    await forwarded(house, ann, 1, 2, 3)
    looked: list[int] = []

    async def look(overseerr_id: int, _seasons: Sequence[int] | None = None) -> UpstreamStatus:
        looked.append(overseerr_id)
        raise failure(problem)

    monkeypatch.setattr(house.forwarder, "look", look)
    await house.news.sweep(house.requests)
    assert len(looked) == looks


async def test_a_sweep_without_the_store_says_so(house: House, ann: Person) -> None:
    await forwarded(house, ann, 1)
    house.store.failure = StoreUnavailable("No.")
    with pytest.raises(StoreUnavailable):
        await house.news.follow(FollowUpstream(film(1)), hint(1))
