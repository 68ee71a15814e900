import asyncio
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from application.effects import Job, TellAbout
from application.ports import UnreadableStream
from domain.accounts import Role
from domain.kernel import DomainError, Unreadable
from domain.media_requests import (
    ApproveRequest,
    CancelRequest,
    DeclineRequest,
    FollowRequest,
    ForwardingProblem,
    FulfilRequest,
    Media,
    MediaRequestAvailable,
    MediaRequestCommand,
    MediaType,
    RecordForwarding,
    RecordForwardingFailure,
    RecordUpstream,
    ReopenRequest,
    RequestMedia,
    RetryForwarding,
    UnfollowRequest,
    UpstreamStatus,
    WithdrawRequest,
    media_request_id,
    media_requests,
)
from domain.notifications.inbox import NotificationReceived, Subject
from domain.notifications.kinds import NoticeKind
from domain.notifications.settings import Preference
from tests.application.notifications.conftest import MATRIX, Town
from tests.events import NOON
from tests.fakes import new_id
from tests.people import context

SHOW = Media(MediaType.TV, 95396)


def refused() -> RecordForwardingFailure:
    return RecordForwardingFailure(ForwardingProblem.REFUSED, "No.", NOON)


async def test_admins_hear_of_new_requests_but_not_of_their_own(town: Town) -> None:
    ann = await town.resident("ann")
    boss, chief = [await town.resident(name, Role.ADMIN) for name in ("boss", "chief")]
    await town.ask(ann, needs_approval=True)
    await town.settle()
    (told,) = town.told(boss)
    request_id = media_request_id(MATRIX)
    at = town.store.events[-3].at
    about = Subject(request_id, "The Matrix", at, 1999, awaits_approval=True)
    assert told == NotificationReceived(boss, NoticeKind.NEW_REQUEST, about, in_inbox=True)
    assert town.told(ann) == []
    await town.do(WithdrawRequest(ann))
    await town.ask(chief)
    await town.settle()
    assert town.kinds(boss) == ["newRequest", "newRequest"]
    assert town.kinds(chief) == ["newRequest"]
    assert [told.about.awaits_approval for told in town.told(boss)] == [True, False]


async def test_who_follows_hears_what_who_asked_hears(town: Town) -> None:
    ann, bob = await town.resident("ann"), await town.resident("bob")
    boss = await town.resident("boss", Role.ADMIN)
    await town.ask(ann, needs_approval=True)
    await town.do(FollowRequest(bob))
    await town.do(ApproveRequest(boss))
    await town.do(RecordForwarding(7))
    await town.do(RecordUpstream(7, UpstreamStatus.AVAILABLE))
    await town.settle()
    assert town.kinds(ann) == town.kinds(bob) == ["requestApproved", "requestAvailable"]
    assert town.kinds(boss) == ["newRequest"]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (DeclineRequest(UUID(int=9), "No room."), "requestDeclined"),
        (CancelRequest(UUID(int=9), "No room."), "requestCancelled"),
    ],
)
async def test_an_end_is_told_with_its_reason(
    town: Town, command: DeclineRequest | CancelRequest, kind: str
) -> None:
    ann = await town.resident("ann")
    await town.ask(ann)
    await town.do(command)
    await town.settle()
    assert [(told.kind, told.about.detail) for told in town.told(ann)] == [(kind, "No room.")]


async def test_nobody_is_told_what_they_did_themselves(town: Town) -> None:
    boss = await town.resident("boss", Role.ADMIN)
    await town.ask(boss)
    await town.do(CancelRequest(boss))
    await town.settle()
    assert town.told(boss) == []


async def test_only_who_wanted_more_hears_that_there_is_no_more(town: Town) -> None:
    ann, bob = await town.resident("ann"), await town.resident("bob")
    first = RequestMedia(SHOW, "Severance", ann, seasons=(1,), all_seasons=(1, 2))
    await town.do(first, SHOW)
    more = msgspec.structs.replace(first, requested_by=bob, seasons=(2,), needs_approval=True)
    await town.do(more, SHOW)
    await town.do(DeclineRequest(UUID(int=9), "One is enough."), SHOW)
    await town.settle()
    assert town.kinds(bob) == ["requestDeclined"]
    assert town.told(ann) == []


async def test_who_wanted_more_hears_of_the_end_of_all(town: Town) -> None:
    ann, bob = await town.resident("ann"), await town.resident("bob")
    first = RequestMedia(SHOW, "Severance", ann, seasons=(1,), all_seasons=(1, 2))
    await town.do(first, SHOW)
    more = msgspec.structs.replace(first, requested_by=bob, seasons=(2,), needs_approval=True)
    await town.do(more, SHOW)
    await town.do(CancelRequest(UUID(int=9)), SHOW)
    await town.settle()
    assert town.kinds(ann) == town.kinds(bob) == ["requestCancelled"]


async def test_a_no_at_overseerr_is_told_without_a_reason(town: Town) -> None:
    ann = await town.resident("ann")
    await town.ask(ann)
    await town.do(RecordForwarding(7))
    await town.do(RecordUpstream(7, UpstreamStatus.DECLINED))
    await town.settle()
    assert [(told.kind, told.about.detail) for told in town.told(ann)] == [
        ("requestDeclined", None)
    ]


async def test_a_failure_is_told_to_admins_too(town: Town) -> None:
    ann, boss = await town.resident("ann"), await town.resident("boss", Role.ADMIN)
    await town.ask(ann)
    await town.do(refused())
    await town.settle()
    assert town.kinds(ann) == ["requestFailed"]
    assert town.kinds(boss) == ["newRequest", "requestFailed"]


async def test_a_failure_that_is_over_is_no_news(town: Town) -> None:
    ann = await town.resident("ann")
    await town.ask(ann)
    await town.do(refused())
    await town.do(RetryForwarding(ann))
    await town.settle()
    assert town.told(ann) == []


async def test_what_is_available_is_told_once(town: Town) -> None:
    ann = await town.resident("ann")
    await town.ask(ann)
    await town.do(RecordForwarding(7))
    for status in (UpstreamStatus.AVAILABLE, UpstreamStatus.DELETED, UpstreamStatus.AVAILABLE):
        await town.do(RecordUpstream(7, status))
    await town.settle()
    assert town.kinds(ann) == ["requestAvailable"]


async def test_who_wants_no_news_is_told_nothing(town: Town) -> None:
    ann = await town.resident("ann")
    silent = {NoticeKind.REQUEST_CANCELLED: Preference(inbox=False)}
    await town.choices.prefer(ann, silent, context("system:test"))
    await town.ask(ann)
    await town.do(CancelRequest(UUID(int=9)))
    await town.settle()
    assert town.told(ann) == []


async def test_news_goes_where_it_was_chosen_to_go(town: Town) -> None:
    ann = await town.resident("ann")
    chat, other = await town.chat(ann), await town.chat(ann)
    chosen = {
        NoticeKind.REQUEST_CANCELLED: Preference(inbox=False, channels=(chat,)),
        NoticeKind.REQUEST_APPROVED: Preference(inbox=True, channels=()),
    }
    await town.choices.prefer(ann, chosen, context("system:test"))
    await town.ask(ann, needs_approval=True)
    await town.do(ApproveRequest(UUID(int=9)))
    await town.do(CancelRequest(UUID(int=9)))
    await town.do(ReopenRequest(UUID(int=9)))
    await town.do(DeclineRequest(UUID(int=9), "No."))
    await town.settle()
    assert [(told.kind, told.in_inbox, told.channels) for told in town.told(ann)] == [
        ("requestApproved", True, ()),
        ("requestCancelled", False, (chat,)),
        ("requestDeclined", True, (chat, other)),
    ]


@pytest.mark.parametrize("gone", ["suspend", "forget"])
async def test_who_is_away_is_told_nothing(town: Town, gone: str) -> None:
    ann = await town.resident("ann")
    await town.ask(ann)
    await getattr(town.accounts, gone)(ann, context("system:test"))
    await town.do(CancelRequest(UUID(int=9)))
    await town.settle()
    assert town.told(ann) == []


async def test_a_stream_that_cannot_be_read_whole_tells_nothing_yet(town: Town) -> None:
    ann = await town.resident("ann")
    await town.ask(ann)
    await town.do(CancelRequest(UUID(int=9)))
    asked = town.store.events[-2]
    town.store.events[-2] = msgspec.structs.replace(asked, event=Unreadable("media_request.x", ""))
    effect = TellAbout(asked.stream_id, 2)
    with pytest.raises(UnreadableStream):
        await town.telling.tell(effect, Job(new_id(), effect, "test", new_id()))


PEOPLE = tuple(UUID(int=number) for number in range(1, 5))
ANYBODY = st.sampled_from(PEOPLE)
COMMANDS: st.SearchStrategy[MediaRequestCommand] = st.one_of(
    st.builds(
        RequestMedia,
        st.just(SHOW),
        st.just("Severance"),
        ANYBODY,
        seasons=st.sampled_from([(1,), (2,), (1, 2)]),
        all_seasons=st.just((1, 2)),
        needs_approval=st.booleans(),
    ),
    st.builds(FollowRequest, ANYBODY),
    st.builds(FollowRequest, ANYBODY),
    st.builds(UnfollowRequest, ANYBODY),
    st.builds(ApproveRequest, ANYBODY),
    st.builds(DeclineRequest, ANYBODY, st.just("No.")),
    st.builds(ReopenRequest, ANYBODY),
    st.builds(CancelRequest, ANYBODY),
    st.builds(WithdrawRequest, ANYBODY),
    st.builds(RetryForwarding, ANYBODY),
    st.builds(FulfilRequest, ANYBODY),
    st.builds(RecordForwarding, st.integers(1, 2)),
    st.just(refused()),
    st.builds(RecordUpstream, st.integers(1, 2), st.sampled_from(UpstreamStatus)),
)


@settings(max_examples=150, deadline=None)
@for_all(
    st.lists(st.tuples(COMMANDS, st.booleans()), max_size=20),
    st.sets(ANYBODY),
    st.integers(1, 3),
)
def test_every_follower_hears_each_state_at_most_once(
    steps: list[tuple[MediaRequestCommand, bool]], admins: set[UUID], times: int
) -> None:
    asyncio.run(_live(steps, admins, times))


async def _live(
    steps: list[tuple[MediaRequestCommand, bool]], admins: set[UUID], times: int
) -> None:
    """Live through the steps, with workers that may be late, and do each job several times."""
    town = Town()
    town.times = times
    for person in PEOPLE:
        role = Role.ADMIN if person in admins else Role.USER
        await town.accounts.open_account(
            f"{person}@example.org", "a long password", role, context("system:test"), as_=person
        )
    await town.chat(PEOPLE[0])
    for command, workers_run in steps:
        try:
            await town.do(command, SHOW)
        except DomainError:
            continue
        if workers_run:
            await town.settle()
    await town.settle()
    _check(town)


def _check(town: Town) -> None:
    history = [each for each in town.store.events if media_requests.owns(each.event)]
    causes = [
        (recorded.event.account_id, recorded.metadata.causation_id)
        for recorded in town.store.events
        if isinstance(recorded.event, NotificationReceived)
    ]
    assert len(set(causes)) == len(causes)
    sent = [notice.id for _, notice in town.notifier.sent]
    assert len(set(sent)) == len(sent)
    for recorded in history:
        if isinstance(recorded.event, MediaRequestAvailable):
            heard = {account for account, cause in causes if cause == recorded.metadata.event_id}
            assert heard == set(recorded.event.tell)
    assert town.clock.ahead == timedelta()
