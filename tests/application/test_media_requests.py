from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from application.effects import ForwardRequest, Job
from application.execute import Context, Executor
from application.media_requests import MediaRequests, Wish
from application.ports import (
    CatalogueUnavailable,
    ForwardingFailure,
    Title,
    UnknownTitle,
)
from domain.kernel import Event
from domain.media_requests import (
    AlreadyRequested,
    ForwardingFailed,
    ForwardingProblem,
    Media,
    MediaRequested,
    MediaRequestForwarded,
    MediaType,
    NotRequested,
    UnknownSeasons,
)
from tests.events import NOON
from tests.fakes import InMemoryCatalogue, InMemoryEventStore, InMemoryForwarder, new_id

ANN = UUID(int=1)
MATRIX = Media(MediaType.MOVIE, 603)
BREAKING_BAD = Media(MediaType.TV, 1396)


class House(NamedTuple):
    store: InMemoryEventStore
    catalogue: InMemoryCatalogue
    forwarder: InMemoryForwarder
    media_requests: MediaRequests

    @property
    def events(self) -> list[Event]:
        return [recorded.event for recorded in self.store.events]

    async def ask(self, wish: Wish) -> UUID:
        context = Context(f"account:{ANN}", "click", uuid4())
        request_id, _ = await self.media_requests.request_media(wish, ANN, context)
        return request_id


@pytest.fixture
def house() -> House:
    store, forwarder = InMemoryEventStore(), InMemoryForwarder()
    catalogue = InMemoryCatalogue(
        {
            MATRIX: Title("The Matrix", 1999, "/matrix.jpg"),
            BREAKING_BAD: Title("Breaking Bad", 2008, None, 81189, (0, 1, 2, 3, 4, 5)),
        }
    )
    executor = Executor(store, lambda: NOON, new_id)
    use_cases = MediaRequests(executor, store, catalogue, forwarder, lambda: NOON)
    return House(store, catalogue, forwarder, use_cases)


def job(request_id: UUID) -> Job:
    return Job(uuid4(), ForwardRequest(request_id), "click", uuid4())


async def test_a_request_keeps_what_the_catalogue_says(house: House) -> None:
    await house.ask(Wish(BREAKING_BAD, seasons=(1, 2), note="please"))
    assert house.events == [
        MediaRequested(BREAKING_BAD, "Breaking Bad", ANN, 2008, None, 81189, (1, 2), "please")
    ]


async def test_a_title_that_does_not_exist_cannot_be_requested(house: House) -> None:
    with pytest.raises(UnknownTitle):
        await house.ask(Wish(Media(MediaType.MOVIE, 604)))
    assert house.events == []


async def test_without_the_catalogue_nothing_is_stored(house: House) -> None:
    house.catalogue.failure = CatalogueUnavailable("TMDB does not answer.")
    with pytest.raises(CatalogueUnavailable):
        await house.ask(Wish(MATRIX))
    assert house.events == []


async def test_a_season_must_exist(house: House) -> None:
    with pytest.raises(UnknownSeasons, match="has no season 6, 9"):
        await house.ask(Wish(BREAKING_BAD, seasons=(9, 1, 6)))
    assert house.events == []


async def test_a_title_in_4k_is_another_request(house: House) -> None:
    await house.ask(Wish(MATRIX))
    await house.ask(Wish(Media(MediaType.MOVIE, 603, is4k=True)))
    with pytest.raises(AlreadyRequested):
        await house.ask(Wish(MATRIX))
    assert len(house.events) == 2


async def test_forwarding_is_recorded_once_however_often_it_is_done(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    for _ in range(3):
        one = job(request_id)
        await house.media_requests.forward_request(ForwardRequest(request_id), one)
    assert house.events[1:] == [MediaRequestForwarded(1)]
    assert house.store.events[1].metadata.actor == "system:forward_requests"
    assert house.store.events[1].metadata.correlation_id == "click"


async def test_a_request_that_is_already_there_is_found_not_made(house: House) -> None:
    house.forwarder.taken[MATRIX] = 42
    request_id = await house.ask(Wish(MATRIX))
    await house.media_requests.forward_request(ForwardRequest(request_id), job(request_id))
    assert house.events[1:] == [MediaRequestForwarded(42, already_there=True)]


async def test_a_failure_is_recorded_with_its_reason_and_next_attempt(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    house.forwarder.failure = ForwardingFailure(
        ForwardingProblem.THROTTLED, "Overseerr asks for patience.", timedelta(minutes=1)
    )
    await house.media_requests.forward_request(ForwardRequest(request_id), job(request_id))
    assert house.events[1:] == [
        ForwardingFailed(
            1,
            ForwardingProblem.THROTTLED,
            "Overseerr asks for patience.",
            NOON,
            NOON + timedelta(minutes=1),
        )
    ]


async def test_one_job_counts_as_one_attempt_however_often_it_runs(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    house.forwarder.failure = ForwardingFailure(ForwardingProblem.UNREACHABLE, "No answer.")
    same = job(request_id)
    for _ in range(3):
        await house.media_requests.forward_request(ForwardRequest(request_id), same)
    assert len(house.events) == 2


async def test_without_overseerr_a_request_waits_for_an_admin(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    executor = Executor(house.store, lambda: NOON, new_id)
    alone = MediaRequests(executor, house.store, house.catalogue, None, lambda: NOON)
    await alone.forward_request(ForwardRequest(request_id), job(request_id))
    assert len(house.events) == 1


async def test_history_is_that_of_a_request_and_of_nothing_else(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    history = await house.media_requests.history(request_id)
    assert [recorded.event for recorded in history] == house.events
    with pytest.raises(NotRequested):
        await house.media_requests.history(uuid4())
