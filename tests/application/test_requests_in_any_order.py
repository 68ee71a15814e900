"""Whatever people and Overseerr do, in whatever order, with failures and repeated jobs."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from functools import partial, reduce
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from application.effects import CancelForwarding, Effect, ForwardRequest, Job, job_id
from application.execute import Context
from application.media_requests import Forwarding, MediaRequests, RequestRules, Wish
from application.ports import ForwardingFailure, Title
from application.quotas import PersonsQuotas
from application.reactors.cancel_forwarding import cancel_forwarding
from application.reactors.forward_requests import forward_requests
from domain import media_requests as m
from domain.kernel import DomainError
from domain.media_requests import (
    Media,
    MediaRequest,
    MediaType,
    Part,
    RequestStatus,
    UpstreamStatus,
    media_request_id,
    media_requests,
)
from tests.fakes import InMemoryCatalogue, new_id, now
from tests.people import People

T = TypeVar("T")

PEOPLE = [UUID(int=number) for number in (1, 2)]
ADMIN = UUID(int=9)
FILM = Media(MediaType.MOVIE, 603)
SERIES = Media(MediaType.TV, 1396)
TITLES = [FILM, SERIES]

THERE_IS = [status for status in UpstreamStatus if status is not UpstreamStatus.MISSING]

people = st.sampled_from(PEOPLE)
titles = st.sampled_from(TITLES)
seasons = st.sampled_from([(1,), (2,), (2, 3), None])
trouble = st.sampled_from(
    [m.ForwardingProblem.UNREACHABLE, m.ForwardingProblem.REFUSED, m.ForwardingProblem.BAD_KEY]
)
decisions = st.one_of(
    st.builds(m.FollowRequest, people),
    st.builds(m.UnfollowRequest, people),
    st.builds(m.WithdrawRequest, people),
    st.builds(m.RetryForwarding, people),
    st.builds(m.ApproveRequest, st.just(ADMIN)),
    st.builds(m.DeclineRequest, st.just(ADMIN), st.just("No room.")),
    st.builds(m.ReopenRequest, st.just(ADMIN)),
    st.builds(m.CancelRequest, st.just(ADMIN)),
    st.builds(m.FulfilRequest, st.just(ADMIN)),
)

WAY = [
    RequestStatus.AWAITING_APPROVAL,
    RequestStatus.PENDING,
    RequestStatus.FORWARDED,
    RequestStatus.PARTLY_AVAILABLE,
    RequestStatus.AVAILABLE,
]
"""Forward; every other status is an end, or a failure."""
SAYS_SO = (
    m.MediaRequested,
    m.MediaRequestExtended,
    m.MediaRequestApproved,
    m.MediaRequestReopened,
    m.ForwardingRetried,
    m.UpstreamResumed,
)
"""The events after which a request may stand further back than at its best."""


class There(msgspec.Struct):
    """A request at Overseerr."""

    media: Media
    part: Part
    status: UpstreamStatus = UpstreamStatus.UNDER_WAY


class Overseerr:
    """A RequestForwarder that can fail before it acts, and after; ``meanwhile`` happens within."""

    def __init__(self) -> None:
        self.requests: dict[int, There] = {}
        self.made = 0
        self.failure: ForwardingFailure | None = None
        self.loses_answer = False
        self.meanwhile: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def find(self, request: MediaRequest) -> int | None:
        self._check()
        wanted = request.part
        alike = [
            number
            for number, there in self.requests.items()
            if there.media == request.media
            and there.status is not UpstreamStatus.DECLINED
            and wanted.beyond(there.part) is None
        ]
        return max(alike, default=None)

    async def submit(self, request: MediaRequest, on_behalf_of: str | None = None) -> int:
        self._check()
        self.made += 1
        self.requests[self.made] = There(request.media, request.part)
        number = self.made
        await self._let_happen()
        if self.loses_answer:
            raise ForwardingFailure(m.ForwardingProblem.TIMED_OUT, "No answer.")
        return number

    async def look(
        self, overseerr_id: int, seasons: tuple[int, ...] | None = None
    ) -> UpstreamStatus:
        self._check()
        there = self.requests.get(overseerr_id)
        return there.status if there else UpstreamStatus.MISSING

    async def cancel(self, overseerr_id: int) -> None:
        self._check()
        await self._let_happen()
        self.requests.pop(overseerr_id, None)

    async def _let_happen(self) -> None:
        while self.meanwhile:
            await self.meanwhile.pop()()

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class Requests(RuleBasedStateMachine):
    """People, an admin, workers and Overseerr."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.house = People()
        self.overseerr = Overseerr()
        catalogue = InMemoryCatalogue(
            {FILM: Title("The Matrix"), SERIES: Title("Breaking Bad", seasons=(1, 2, 3))}
        )
        store, executor = self.house.store, self.house.executor
        quotas = PersonsQuotas(executor, store, {}, now)
        self.free = MediaRequests(executor, store, catalogue, quotas)
        rules = RequestRules(auto_approve=False)
        self.strict = MediaRequests(executor, store, catalogue, quotas, rules)
        self.forwarding = Forwarding(executor, self.house.accounts, self.overseerr, now)
        self.jobs: list[Job] = []
        self.read = 0
        self.lost = set[int]()
        """What we cannot know that we have made."""
        self.meddled = set[Media]()
        """What somebody has changed at Overseerr."""

    # What happens

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """With what makes most happen."""
        for media in TITLES:
            self.run(self._ask(data.draw(people), media, data.draw(seasons), strict=False))

    @rule(who=people, media=titles, part=seasons, strict=st.booleans())
    def ask(self, who: UUID, media: Media, part: tuple[int, ...] | None, *, strict: bool) -> None:
        self.run(self._ask(who, media, part, strict=strict))

    @rule(media=titles, command=decisions)
    def decide(self, media: Media, command: m.PersonsCommand) -> None:
        self.run(self._decide(media, command))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), again=st.booleans(), loses_answer=st.booleans())
    def work(self, data: st.DataObject, *, again: bool, loses_answer: bool) -> None:
        """A job of any age is done, perhaps twice, perhaps while somebody does something."""
        job = self.jobs.pop(data.draw(st.integers(0, len(self.jobs) - 1)))
        media = self.media_of(job)
        self.overseerr.loses_answer = loses_answer
        made = self.overseerr.made
        for _ in range(data.draw(st.integers(0, 2))):
            if (command := data.draw(st.none() | decisions)) is not None:
                self.overseerr.meanwhile.append(partial(self._decide, media, command))
            else:
                who, part = data.draw(people), data.draw(seasons)
                asking = partial(self._ask, who, media, part, strict=False)
                self.overseerr.meanwhile.append(asking)
        self.run(self._perform(job))
        if loses_answer:
            self.lost.update(range(made + 1, self.overseerr.made + 1))
        if again:
            self.run(self._perform(job))
        self.overseerr.meanwhile.clear()
        self.overseerr.loses_answer = False

    @precondition(lambda self: self.jobs)
    @rule(problem=trouble)
    def overseerr_fails_for_once(self, problem: m.ForwardingProblem) -> None:
        self.overseerr.failure = ForwardingFailure(problem, "No.")
        self.run(self._perform(self.jobs.pop(0)))
        self.overseerr.failure = None

    @precondition(lambda self: self.overseerr.requests)
    @rule(data=st.data(), status=st.none() | st.sampled_from(THERE_IS))
    def overseerr_goes_on(self, data: st.DataObject, status: UpstreamStatus | None) -> None:
        """And sooner or later somebody looks."""
        number = data.draw(st.sampled_from(sorted(self.overseerr.requests)))
        media = self.overseerr.requests[number].media
        self.meddled.add(media)
        if status is None:
            del self.overseerr.requests[number]
        else:
            self.overseerr.requests[number].status = status
        if data.draw(st.booleans()):
            self.run(self._look(media))

    # What never happens

    @invariant()
    def no_title_has_two_active_requests(self) -> None:
        for request, event, _ in self.steps():
            if isinstance(event, m.MediaRequested):
                assert request is None or not (request.active or request.more)

    @invariant()
    def no_status_goes_backward_unless_an_event_says_so(self) -> None:
        best: dict[Media, int] = {}
        for _, event, request in self.steps():
            if isinstance(event, SAYS_SO):
                best.pop(request.media, None)
            if request.status in WAY:
                way = WAY.index(request.status)
                assert way >= best.get(request.media, 0), event
                best[request.media] = way

    @invariant()
    def everybody_hears_once_of_what_they_have_asked_for(self) -> None:
        told: dict[Media, set[UUID]] = {media: set() for media in TITLES}
        for before, event, request in self.steps():
            heard = told[request.media]
            match event:
                case m.MediaRequested():
                    heard.clear()
                case m.MediaRequestExtended(requested_by):
                    heard.discard(requested_by)
                case m.MediaRequestAvailable(tell):
                    assert before is not None
                    assert len(tell) == len(set(tell))
                    assert heard.isdisjoint(tell)
                    assert set(tell) <= {before.requested_by, *before.followers}
                    assert {before.requested_by, *before.followers} <= heard | set(tell)
                    heard.update(tell)
                case _:
                    pass

    def teardown(self) -> None:
        """In the end nothing is stuck, and Overseerr has nothing that was ended here."""
        with closing(self.runner):
            self.end()

    def end(self) -> None:
        while self.jobs:
            self.run(self._perform(self.jobs.pop(0)))
        for media in TITLES:
            request = self.request(media)
            if request is None:
                continue
            assert request.status is not RequestStatus.PENDING
            if request.unwanted and not self.given_up(media):
                assert not self.left_there(media)
            if request.status is RequestStatus.FORWARDED and media not in self.meddled:
                assert request.part.beyond(self.asked_there(media)) is None

    # How

    def run(self, doing: Coroutine[Any, Any, None]) -> None:
        self.runner.run(doing)
        for recorded in self.house.store.events[self.read :]:
            self.read += 1
            for reactor in (forward_requests, cancel_forwarding):
                for number, due in enumerate(reactor.react(recorded)):
                    id_ = job_id(reactor.name, recorded, number)
                    self.jobs.append(Job(id_, due.effect, "test", recorded.metadata.event_id))

    def steps(self) -> list[tuple[MediaRequest | None, m.MediaRequestEvent, MediaRequest]]:
        """Each event, with the request before and after it."""
        requests: dict[UUID, MediaRequest] = {}
        steps: list[tuple[MediaRequest | None, m.MediaRequestEvent, MediaRequest]] = []
        for recorded in self.house.store.events:
            event: Any = recorded.event
            before = requests.get(recorded.stream_id)
            after = media_requests.evolve(before, event)
            assert after is not None
            requests[recorded.stream_id] = after
            steps.append((before, event, after))
        return steps

    def request(self, media: Media) -> MediaRequest | None:
        async def read() -> MediaRequest | None:
            return await self.house.executor.state(media_requests, media_request_id(media))

        return self.runner.run(read())

    def media_of(self, job: Job) -> Media:
        (media,) = (
            media
            for media in TITLES
            if isinstance(job.effect, ForwardRequest | CancelForwarding)
            and media_request_id(media) == job.effect.request_id
        )
        return media

    def left_there(self, media: Media) -> set[int]:
        """What Overseerr still has of our making, as far as we could know."""
        there = self.overseerr.requests.items()
        return {number for number, request in there if request.media == media} - self.lost

    def asked_there(self, media: Media) -> Part:
        """All that Overseerr has of a title."""
        parts = [there.part for there in self.overseerr.requests.values() if there.media == media]
        return reduce(Part.and_, parts)

    def given_up(self, media: Media) -> bool:
        """Whether Overseerr has refused to let go for good, and nothing has begun anew since."""
        last = [
            event
            for _, event, request in self.steps()
            if request.media == media
            and isinstance(event, m.CancellingAbandoned | m.ForwardedTooLate | m.MediaRequested)
        ]
        return any(isinstance(event, m.CancellingAbandoned) for event in last)

    async def _ask(
        self, who: UUID, media: Media, part: tuple[int, ...] | None, *, strict: bool
    ) -> None:
        wish = Wish(media, part if media is SERIES else None)
        with suppress(DomainError):
            asking = self.strict if strict else self.free
            await asking.request_media(wish, who, Context("test", "test", new_id()))

    async def _decide(self, media: Media, command: m.PersonsCommand) -> None:
        with suppress(DomainError):
            context = Context("test", "test", new_id())
            await self.free.change(media_request_id(media), command, context)

    async def _look(self, media: Media) -> None:
        request = await self.house.executor.state(media_requests, media_request_id(media))
        if request is not None:
            with suppress(ForwardingFailure):
                context = Context("test", "test", new_id())
                await self.forwarding.follow_upstream(request, context)

    async def _perform(self, job: Job) -> None:
        effect: Effect = job.effect
        match effect:
            case ForwardRequest():
                await self.forwarding.forward_request(effect, job)
            case CancelForwarding():
                await self.forwarding.cancel_forwarding(effect, job)
            case _:
                raise TypeError(effect)


Requests.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestRequests = Requests.TestCase
