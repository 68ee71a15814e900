from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from application.effects import CancelForwarding, ForwardRequest, Job
from application.execute import Context
from application.media_requests import Forwarding, MediaRequests, RequestRules, Wish
from application.ports import (
    CatalogueUnavailable,
    ForwardingFailure,
    Title,
    UnknownTitle,
)
from application.quotas import PersonsQuotas
from application.reactors.cancel_forwarding import cancel_forwarding
from application.reactors.forward_requests import forward_requests
from domain.accounts import Role
from domain.kernel import Event, Recorded
from domain.media_requests import (
    AlreadyRequested,
    ApproveRequest,
    CancellingFailed,
    CancelRequest,
    ForwardedTooLate,
    ForwardingCancelled,
    ForwardingFailed,
    ForwardingProblem,
    ForwardingRetried,
    Media,
    MediaRequestApproved,
    MediaRequestAvailable,
    MediaRequestCancelled,
    MediaRequestDeclined,
    MediaRequested,
    MediaRequestExtended,
    MediaRequestForwarded,
    MediaRequestWithdrawn,
    MediaType,
    NotRequested,
    PersonsCommand,
    UnknownSeasons,
    UpstreamStatus,
    WithdrawRequest,
    media_requests,
)
from tests.events import NOON, metadata
from tests.fakes import InMemoryCatalogue, InMemoryEventStore, InMemoryForwarder
from tests.people import People

ANN, BOSS, STREAM = UUID(int=1), UUID(int=9), UUID(int=100)
MATRIX = Media(MediaType.MOVIE, 603)
BREAKING_BAD = Media(MediaType.TV, 1396)


class House(NamedTuple):
    people: People
    catalogue: InMemoryCatalogue
    forwarder: InMemoryForwarder
    media_requests: MediaRequests
    strict: MediaRequests
    forwarding: Forwarding

    @property
    def store(self) -> InMemoryEventStore:
        return self.people.store

    @property
    def events(self) -> list[Event]:
        return [recorded.event for recorded in self.store.events]

    @property
    def requested(self) -> list[Event]:
        """The events of requests alone."""
        return [event for event in self.events if media_requests.owns(event)]

    async def ask(self, wish: Wish, *, strict: bool = False, role: Role = Role.USER) -> UUID:
        context = Context(f"account:{ANN}", "click", uuid4())
        asking = self.strict if strict else self.media_requests
        request_id, _ = await asking.request_media(wish, ANN, context, role=role)
        return request_id

    async def change(self, request_id: UUID, command: PersonsCommand) -> None:
        await self.media_requests.change(request_id, command, Context("test", "click", uuid4()))

    async def forward(self, request_id: UUID, attempt: int | None = None) -> None:
        effect = ForwardRequest(request_id, attempt)
        await self.forwarding.forward_request(effect, Job(uuid4(), effect, "click", uuid4()))

    async def cancel(self, request_id: UUID, attempt: int | None = None) -> None:
        effect = CancelForwarding(request_id, attempt)
        await self.forwarding.cancel_forwarding(effect, Job(uuid4(), effect, "click", uuid4()))

    async def look(self, request_id: UUID) -> bool:
        """Whether there was anything to look at."""
        request = await self.media_requests.find(request_id)
        context = Context("system:test", "click", uuid4())
        return await self.forwarding.follow_upstream(request, context) is not None


@pytest.fixture
def house(people: People) -> House:
    forwarder = InMemoryForwarder()
    catalogue = InMemoryCatalogue(
        {
            MATRIX: Title("The Matrix", 1999, "/matrix.jpg"),
            BREAKING_BAD: Title("Breaking Bad", 2008, None, 81189, (0, 1, 2, 3, 4, 5)),
        }
    )
    quotas = PersonsQuotas(people.executor, people.store, {}, people.clock)
    use_cases = MediaRequests(people.executor, people.store, catalogue, quotas)
    forwarding = Forwarding(people.executor, people.accounts, forwarder, lambda: NOON)
    rules = RequestRules(auto_approve=False)
    strict = MediaRequests(people.executor, people.store, catalogue, quotas, rules)
    return House(people, catalogue, forwarder, use_cases, strict, forwarding)


def job(request_id: UUID) -> Job:
    return Job(uuid4(), ForwardRequest(request_id), "click", uuid4())


async def test_a_request_keeps_what_the_catalogue_says(house: House) -> None:
    await house.ask(Wish(BREAKING_BAD, seasons=(1, 2), note="please"))
    assert house.events == [
        MediaRequested(
            BREAKING_BAD,
            "Breaking Bad",
            ANN,
            2008,
            None,
            81189,
            (1, 2),
            "please",
            (),
            (1, 2, 3, 4, 5),
        )
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
        await house.forwarding.forward_request(ForwardRequest(request_id), one)
    assert house.events[1:] == [MediaRequestForwarded(1)]
    assert house.store.events[1].metadata.actor == "system:forward_requests"
    assert house.store.events[1].metadata.correlation_id == "click"


async def test_a_request_that_is_already_there_is_found_not_made(house: House) -> None:
    house.forwarder.taken[MATRIX] = 42
    request_id = await house.ask(Wish(MATRIX))
    await house.forwarding.forward_request(ForwardRequest(request_id), job(request_id))
    assert house.events[1:] == [MediaRequestForwarded(42, already_there=True)]


async def test_a_failure_is_recorded_with_its_reason_and_next_attempt(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    house.forwarder.failure = ForwardingFailure(
        ForwardingProblem.THROTTLED, "Overseerr asks for patience.", timedelta(minutes=1)
    )
    await house.forwarding.forward_request(ForwardRequest(request_id), job(request_id))
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
        await house.forwarding.forward_request(ForwardRequest(request_id), same)
    assert len(house.events) == 2


async def test_without_overseerr_a_request_waits_for_an_admin(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    people = house.people
    alone = Forwarding(people.executor, people.accounts, None, lambda: NOON)
    await alone.forward_request(ForwardRequest(request_id), job(request_id))
    assert len(house.events) == 1


async def test_history_is_that_of_a_request_and_of_nothing_else(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    history = await house.media_requests.history(request_id)
    assert [recorded.event for recorded in history] == house.events
    with pytest.raises(NotRequested):
        await house.media_requests.history(uuid4())


# On behalf of whom


async def test_overseerr_is_told_who_asks(house: House) -> None:
    ann = await house.people.person("ann@example.org")
    context = Context(f"account:{ann.id}", "click", uuid4())
    request_id, _ = await house.media_requests.request_media(Wish(MATRIX), ann.id, context)
    await house.forward(request_id)
    assert house.forwarder.on_behalf_of == {1: "ann@example.org"}


async def test_who_was_forgotten_asks_as_nobody(house: House) -> None:
    ann = await house.people.person("ann@example.org")
    context = Context(f"account:{ann.id}", "click", uuid4())
    request_id, _ = await house.media_requests.request_media(Wish(MATRIX), ann.id, context)
    await house.people.accounts.forget(ann.id, Context("system:test", "click", uuid4()))
    await house.forward(request_id)
    assert house.forwarder.on_behalf_of == {1: None}


# Approval


async def test_what_needs_approval_is_not_sent_before(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX), strict=True)
    await house.forward(request_id)
    assert house.forwarder.taken == {}
    await house.change(request_id, ApproveRequest(BOSS))
    await house.forward(request_id)
    assert house.forwarder.taken == {MATRIX: 1}


async def test_an_admin_needs_no_approval(house: House) -> None:
    await house.ask(Wish(MATRIX), strict=True, role=Role.ADMIN)
    (requested,) = house.requested
    assert isinstance(requested, MediaRequested)
    assert not requested.needs_approval


def test_the_house_is_easy_unless_told_otherwise() -> None:
    assert not RequestRules().needs_approval(Role.USER)


# Letting go


async def test_overseerr_lets_go_of_what_was_taken_back(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    await house.forward(request_id)
    await house.change(request_id, WithdrawRequest(ANN))
    for _ in range(2):
        await house.cancel(request_id)
    assert house.forwarder.cancelled == [1]
    assert house.requested[2:] == [MediaRequestWithdrawn(ANN), ForwardingCancelled(1)]


async def test_what_is_wanted_is_not_let_go_of(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    await house.forward(request_id)
    await house.cancel(request_id)
    assert house.forwarder.cancelled == []


async def test_letting_go_is_tried_until_it_is_done(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    await house.forward(request_id)
    await house.change(request_id, CancelRequest(BOSS))
    house.forwarder.failure = ForwardingFailure(ForwardingProblem.TIMED_OUT, "No answer.")
    await house.cancel(request_id, attempt=0)
    failed = house.requested[-1]
    assert failed == CancellingFailed(
        1, ForwardingProblem.TIMED_OUT, "No answer.", NOON, NOON + timedelta(seconds=2)
    )
    house.forwarder.failure = None
    await house.cancel(request_id, attempt=0)  # comes late, and is not the next attempt
    assert house.forwarder.cancelled == []
    await house.cancel(request_id, attempt=1)
    assert house.forwarder.cancelled == [1]


async def test_an_attempt_of_an_earlier_request_is_none_of_the_next(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    house.forwarder.failure = ForwardingFailure(ForwardingProblem.TIMED_OUT, "No answer.")
    await house.forward(request_id, attempt=0)
    await house.change(request_id, WithdrawRequest(ANN))
    await house.ask(Wish(MATRIX))
    await house.forward(request_id, attempt=1)
    assert len([each for each in house.requested if isinstance(each, ForwardingFailed)]) == 1
    await house.forward(request_id, attempt=0)
    assert len([each for each in house.requested if isinstance(each, ForwardingFailed)]) == 2


# News from Overseerr


async def test_what_overseerr_says_is_kept_if_it_is_news(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    assert await house.look(request_id) is False  # Overseerr does not have it yet
    await house.forward(request_id)
    assert await house.look(request_id) is True
    house.forwarder.statuses[1] = UpstreamStatus.AVAILABLE
    for _ in range(2):
        await house.look(request_id)
    assert house.requested[2:] == [MediaRequestAvailable((ANN,))]


async def test_of_what_was_ended_nothing_is_to_be_known(house: House) -> None:
    request_id = await house.ask(Wish(MATRIX))
    await house.forward(request_id)
    await house.change(request_id, WithdrawRequest(ANN))
    assert await house.look(request_id) is False


@pytest.mark.parametrize(
    ("event", "effects"),
    [
        (MediaRequested(MATRIX, "The Matrix", ANN), [(ForwardRequest(STREAM, 0), None)]),
        (MediaRequested(MATRIX, "The Matrix", ANN, needs_approval=True), []),
        (MediaRequestExtended(ANN, (2,)), [(ForwardRequest(STREAM, 0), None)]),
        (MediaRequestExtended(ANN, (2,), needs_approval=True), []),
        (MediaRequestApproved(BOSS), [(ForwardRequest(STREAM, 0), None)]),
        (ForwardingRetried(ANN), [(ForwardRequest(STREAM, 0), None)]),
        (
            ForwardingFailed(3, ForwardingProblem.THROTTLED, "", NOON, NOON),
            [(ForwardRequest(STREAM, 3), NOON)],
        ),
        (MediaRequestDeclined(BOSS, "No."), [(CancelForwarding(STREAM, 0), None)]),
        (MediaRequestWithdrawn(ANN), [(CancelForwarding(STREAM, 0), None)]),
        (MediaRequestCancelled(BOSS), [(CancelForwarding(STREAM, 0), None)]),
        (ForwardedTooLate(7), [(CancelForwarding(STREAM, 0), None)]),
        (
            CancellingFailed(2, ForwardingProblem.THROTTLED, "", NOON, NOON),
            [(CancelForwarding(STREAM, 2), NOON)],
        ),
        (MediaRequestForwarded(7), []),
        (MediaRequestAvailable((ANN,)), []),
    ],
)
def test_what_follows_from_an_event(
    event: Event, effects: list[tuple[ForwardRequest | CancelForwarding, datetime | None]]
) -> None:
    recorded = Recorded(1, STREAM, 1, metadata(), event)
    dues = [*forward_requests.react(recorded), *cancel_forwarding.react(recorded)]
    assert [(due.effect, due.at) for due in dues] == effects
