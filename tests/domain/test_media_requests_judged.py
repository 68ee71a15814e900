"""Approval, ends, followers, more of a series, and the shelf."""

from typing import Any
from uuid import UUID

import pytest

from domain import media_requests as m
from domain.kernel import DomainError
from domain.media_requests import (
    Episode,
    Media,
    MediaRequest,
    MediaType,
    Part,
    RequestStatus,
    UpstreamStatus,
    media_request_id,
    media_requests,
)
from tests.events import NOON
from tests.given import given

ANN, BOB, CAT, BOSS = (UUID(int=number) for number in (1, 2, 3, 9))
DARK = Media(MediaType.TV, 70523)
DUNE = Media(MediaType.MOVIE, 438631)
ALL_SEASONS = (1, 2, 3)

film = m.MediaRequested(DUNE, "Dune", ANN)
waiting = m.MediaRequested(DUNE, "Dune", ANN, needs_approval=True)
forwarded = m.MediaRequestForwarded(7)
declined = m.MediaRequestDeclined(BOSS, "No room.")
available = m.MediaRequestAvailable((ANN,))


def series(*seasons: int, needs_approval: bool = False) -> m.MediaRequested:
    return m.MediaRequested(
        DARK,
        "Dark",
        ANN,
        seasons=seasons or None,
        all_seasons=ALL_SEASONS,
        needs_approval=needs_approval,
    )


def ask(
    *seasons: int, by: UUID = BOB, episodes: tuple[Episode, ...] = (), needs_approval: bool = False
) -> m.RequestMedia:
    part = Part.of(seasons, episodes)
    return m.RequestMedia(
        DARK,
        "Dark",
        by,
        seasons=part.seasons,
        episodes=part.episodes,
        all_seasons=ALL_SEASONS,
        needs_approval=needs_approval,
    )


def after(*events: Any) -> MediaRequest:
    request = media_requests.fold(events)
    assert request is not None
    return request


# Judging


def test_a_request_that_needs_approval_waits_for_it_and_then_goes_on() -> None:
    assert after(waiting).status is RequestStatus.AWAITING_APPROVAL
    given(media_requests, waiting).when(m.ApproveRequest(BOSS)).then(m.MediaRequestApproved(BOSS))
    assert after(waiting, m.MediaRequestApproved(BOSS)).status is RequestStatus.PENDING


def test_approving_what_goes_on_already_changes_nothing() -> None:
    given(media_requests, film).when(m.ApproveRequest(BOSS)).then_nothing()
    given(media_requests, film, forwarded).when(m.ApproveRequest(BOSS)).then_nothing()


@pytest.mark.parametrize("events", [(waiting,), (film,), (film, forwarded)])
def test_a_request_is_declined_with_a_reason_wherever_it_stands(events: tuple[Any, ...]) -> None:
    given(media_requests, *events).when(m.DeclineRequest(BOSS, "No room.")).then(declined)
    given(media_requests, *events, declined).when(m.DeclineRequest(BOSS, "No.")).then_nothing()


def test_a_no_can_be_taken_back() -> None:
    given(media_requests, film, declined).when(m.ReopenRequest(BOSS)).then(
        m.MediaRequestReopened(BOSS)
    )
    cancelled = m.MediaRequestCancelled(BOSS)
    given(media_requests, film, cancelled).when(m.ReopenRequest(BOSS)).then(
        m.MediaRequestReopened(BOSS)
    )
    reopened = after(film, declined, m.MediaRequestReopened(BOSS))
    assert reopened.status is RequestStatus.AWAITING_APPROVAL


@pytest.mark.parametrize(
    ("events", "command", "refusal"),
    [
        ((film, declined), m.ApproveRequest(BOSS), m.RequestOver),
        ((film, forwarded, available), m.DeclineRequest(BOSS, "No."), m.RequestOver),
        ((film, m.MediaRequestWithdrawn(ANN)), m.ReopenRequest(BOSS), m.NotDeclined),
        ((film,), m.ReopenRequest(BOSS), m.NotDeclined),
        ((film, declined), m.WithdrawRequest(ANN), m.RequestOver),
        ((film, declined), m.CancelRequest(BOSS), m.RequestOver),
        ((film, forwarded, available), m.FollowRequest(BOB), m.RequestOver),
        ((film, forwarded), m.RetryForwarding(ANN), m.NotFailed),
        ((film, declined), m.FulfilRequest(BOSS), m.RequestOver),
        ((film,), m.WithdrawRequest(BOB), m.NotRequested),
        ((), m.ApproveRequest(BOSS), m.NotRequested),
        ((), m.FollowRequest(BOB), m.NotRequested),
    ],
)
def test_what_may_not_happen(
    events: tuple[Any, ...], command: m.PersonsCommand, refusal: type[DomainError]
) -> None:
    given(media_requests, *events).when(command).then_refused(refusal)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (m.MediaRequestAvailable(()), "This request is available."),
        (declined, "This request was declined."),
        (m.MediaRequestWithdrawn(ANN), "This request was withdrawn."),
    ],
)
def test_a_refusal_says_how_the_request_has_ended(status: Any, words: str) -> None:
    given(media_requests, film, status).when(m.FollowRequest(BOB)).then_refused(
        m.RequestOver, words
    )


# Ends


def test_who_asked_may_take_it_back_and_an_admin_may_end_it() -> None:
    withdrawn = m.MediaRequestWithdrawn(ANN)
    given(media_requests, film, forwarded).when(m.WithdrawRequest(ANN)).then(withdrawn)
    given(media_requests, film, withdrawn).when(m.WithdrawRequest(ANN)).then_nothing()
    cancelled = m.MediaRequestCancelled(BOSS, "Twice the same.")
    command = m.CancelRequest(BOSS, "Twice the same.")
    given(media_requests, film).when(command).then(cancelled)
    given(media_requests, film, cancelled).when(command).then_nothing()


@pytest.mark.parametrize(
    "end",
    [
        declined,
        m.MediaRequestWithdrawn(ANN),
        m.MediaRequestCancelled(BOSS),
        m.MediaRequestRemoved(),
    ],
)
def test_after_its_end_a_title_can_be_asked_for_again(end: Any) -> None:
    events = (film, m.MediaRequestFollowed(CAT), forwarded, end)
    given(media_requests, *events).when(m.RequestMedia(DUNE, "Dune", BOB)).then(
        m.MediaRequested(DUNE, "Dune", BOB)
    )
    again = after(*events, m.MediaRequested(DUNE, "Dune", BOB))
    assert (again.requested_by, again.status) == (BOB, RequestStatus.PENDING)
    assert (again.followers, again.overseerr_id, again.revision) == ((), None, 2)


@pytest.mark.parametrize(
    "end", [declined, m.MediaRequestWithdrawn(ANN), m.MediaRequestCancelled(BOSS)]
)
def test_overseerr_shall_let_go_of_what_was_made_there_and_of_nothing_else(end: Any) -> None:
    assert after(film, forwarded, end).to_cancel == (7,)
    found = m.MediaRequestForwarded(7, already_there=True)
    assert after(film, found, end).to_cancel == ()
    assert after(film, forwarded).to_cancel == ()
    assert after(film, forwarded, end, m.ForwardingCancelled(7)).to_cancel == ()


@pytest.mark.parametrize(
    "end", [declined, m.MediaRequestWithdrawn(ANN), m.MediaRequestCancelled(BOSS)]
)
def test_a_forwarding_that_comes_too_late_is_kept_and_to_be_cancelled(end: Any) -> None:
    late = m.ForwardedTooLate(7)
    given(media_requests, film, end).when(m.RecordForwarding(7, revision=1)).then(late)
    request = after(film, end, late)
    assert request.to_cancel == (7,)
    assert not request.active
    given(media_requests, film, end, late).when(m.RecordForwarding(7)).then_nothing()
    # What was found there is somebody else's.
    given(media_requests, film, end).when(m.RecordForwarding(7, already_there=True)).then_nothing()


def test_a_forwarding_of_an_earlier_request_comes_too_late_for_one_that_awaits_approval() -> None:
    events = (film, declined, waiting)
    given(media_requests, *events).when(m.RecordForwarding(7, revision=1)).then(
        m.ForwardedTooLate(7)
    )


def test_what_is_wanted_again_while_it_is_cancelled_is_sent_again() -> None:
    again = (film, forwarded, declined, film, m.MediaRequestForwarded(7, already_there=True))
    given(media_requests, *again).when(m.RecordCancelling(7)).then(
        m.UpstreamMissing(7), m.ForwardingRetried()
    )
    given(media_requests, film, forwarded, declined, film).when(m.RecordCancelling(7)).then(
        m.ForwardingCancelled(7)
    )
    given(media_requests, film, forwarded).when(m.RecordCancelling(8)).then_nothing()


# Followers


def test_everybody_may_follow_once_and_leave() -> None:
    followed = m.MediaRequestFollowed(BOB)
    given(media_requests, film).when(m.FollowRequest(BOB)).then(followed)
    given(media_requests, film, followed).when(m.FollowRequest(BOB)).then_nothing()
    given(media_requests, film).when(m.FollowRequest(ANN)).then_nothing()
    given(media_requests, film, followed).when(m.UnfollowRequest(BOB)).then(
        m.MediaRequestUnfollowed(BOB)
    )
    given(media_requests, film).when(m.UnfollowRequest(BOB)).then_nothing()
    assert after(film, followed, m.MediaRequestUnfollowed(BOB)).followers == ()


@pytest.mark.parametrize(
    ("events", "by", "may_follow"),
    [
        ((film,), BOB, True),
        ((film,), ANN, False),
        ((film, m.MediaRequestFollowed(BOB)), BOB, False),
    ],
)
def test_who_asks_twice_is_offered_to_follow_if_they_do_not(
    events: tuple[Any, ...], by: UUID, *, may_follow: bool
) -> None:
    with pytest.raises(m.AlreadyRequested) as refusal:
        media_requests.decide(m.RequestMedia(DUNE, "Dune", by), after(*events))
    assert refusal.value.may_follow is may_follow


# More of a series


def test_a_part_is_whole_seasons_and_single_episodes_of_others() -> None:
    part = Part.of((3, 1), (Episode(2, 5), Episode(2, 5), Episode(1, 9)))
    assert part == Part((1, 2, 3), (Episode(2, 5),))
    assert part.whole == {1, 3}


@pytest.mark.parametrize(
    ("wished", "had", "beyond"),
    [
        (Part(), Part(), None),
        (Part((1,)), Part(), None),
        (Part(), Part((1,)), Part()),
        (Part((1, 2)), Part((1,)), Part((2,))),
        (Part((1,)), Part((1, 2)), None),
        (Part.of((), (Episode(1, 2),)), Part((1,)), None),
        (Part((1,)), Part.of((), (Episode(1, 2),)), Part((1,))),
        (
            Part.of((), (Episode(1, 2), Episode(1, 3))),
            Part.of((), (Episode(1, 2),)),
            Part.of((), (Episode(1, 3),)),
        ),
    ],
)
def test_what_of_a_wish_is_new(wished: Part, had: Part, beyond: Part | None) -> None:
    assert wished.beyond(had) == beyond
    if beyond is not None:
        assert wished.beyond(had.and_(beyond)) is None


def test_seasons_that_were_not_asked_for_are_added() -> None:
    extended = m.MediaRequestExtended(BOB, (2,))
    given(media_requests, series(1)).when(ask(1, 2)).then(extended)
    request = after(series(1), forwarded, extended)
    assert request.seasons == (1, 2)
    assert (request.status, request.revision) == (RequestStatus.PENDING, 2)
    assert request.followers == (BOB,)


def test_episodes_are_kept_and_a_whole_season_takes_them_in() -> None:
    episode = Episode(1, 4)
    first = m.MediaRequested(DARK, "Dark", ANN, seasons=(1,), episodes=(episode,))
    given(media_requests, first).when(ask(episodes=(episode,))).then_refused(m.AlreadyRequested)
    extended = m.MediaRequestExtended(BOB, (1,))
    given(media_requests, first).when(ask(1)).then(extended)
    assert after(first, extended).part == Part((1,))


def test_the_whole_series_has_all_there_is() -> None:
    given(media_requests, series()).when(ask(1)).then_refused(m.AlreadyRequested)
    given(media_requests, series(1)).when(ask()).then(m.MediaRequestExtended(BOB))
    assert after(series(1), m.MediaRequestExtended(BOB)).seasons is None


def test_more_of_a_request_that_awaits_approval_awaits_it_too() -> None:
    events = (series(1, needs_approval=True), m.MediaRequestExtended(BOB, (2,)))
    request = after(*events)
    assert (request.status, request.seasons) == (RequestStatus.AWAITING_APPROVAL, (1, 2))
    assert request.more is None


def test_more_that_needs_approval_lets_the_rest_go_on() -> None:
    more = m.MediaRequestExtended(BOB, (2,), needs_approval=True)
    given(media_requests, series(1), forwarded).when(ask(2, needs_approval=True)).then(more)
    request = after(series(1), forwarded, more)
    assert (request.status, request.seasons) == (RequestStatus.FORWARDED, (1,))
    assert (request.more, request.followers) == (Part((2,)), ())
    given(media_requests, series(1), forwarded, more).when(m.ApproveRequest(BOSS)).then(
        m.MediaRequestApproved(BOSS)
    )
    approved = after(series(1), forwarded, more, m.MediaRequestApproved(BOSS))
    assert (approved.status, approved.seasons) == (RequestStatus.PENDING, (1, 2))
    assert (approved.more, approved.followers) == (None, (BOB,))


def test_declining_more_leaves_the_rest() -> None:
    more = m.MediaRequestExtended(BOB, (2,), needs_approval=True)
    no = m.ExtensionDeclined(BOSS, "One is enough.")
    events = (series(1), forwarded, more)
    given(media_requests, *events).when(m.DeclineRequest(BOSS, "One is enough.")).then(no)
    assert after(*events, no) == after(series(1), forwarded)


def test_what_somebody_waits_for_is_not_lost_when_the_rest_is_on_the_shelf() -> None:
    more = m.MediaRequestExtended(BOB, (2,), needs_approval=True)
    events = (series(1), forwarded, more, available)
    given(media_requests, *events).when(ask(2)).then_refused(m.AlreadyRequested)
    request = after(*events, m.MediaRequestApproved(BOSS))
    assert (request.status, request.untold) == (RequestStatus.PENDING, (BOB,))


# Overseerr and the shelf


def test_more_that_was_asked_for_while_the_request_was_on_its_way_is_still_to_go() -> None:
    extended = m.MediaRequestExtended(BOB, (2,))
    in_part = m.ForwardedInPart(7)
    given(media_requests, series(1), extended).when(m.RecordForwarding(7, revision=1)).then(in_part)
    request = after(series(1), extended, in_part)
    assert (request.status, request.overseerr_id) == (RequestStatus.PENDING, 7)
    given(media_requests, series(1), extended, in_part).when(
        m.RecordForwarding(9, revision=2)
    ).then(m.MediaRequestForwarded(9))
    # And in the other order.
    all_of_it = m.MediaRequestForwarded(9)
    given(media_requests, series(1), extended, all_of_it).when(
        m.RecordForwarding(7, revision=1)
    ).then(in_part)
    late = after(series(1), extended, all_of_it, in_part, declined)
    assert late.to_cancel == (9, 7)


def test_a_failed_request_is_tried_again_as_if_it_never_had_been() -> None:
    failed = m.ForwardingAbandoned(3, m.ForwardingProblem.REFUSED, "No.")
    given(media_requests, film, failed).when(m.RetryForwarding(ANN)).then(m.ForwardingRetried(ANN))
    given(media_requests, film).when(m.RetryForwarding(ANN)).then_nothing()
    request = after(film, failed, m.ForwardingRetried(ANN))
    assert (request.status, request.attempts) == (RequestStatus.PENDING, 0)
    assert request.first_failed_at is None


def test_an_admin_fulfils_by_hand_and_everybody_is_told_once() -> None:
    followed = m.MediaRequestFollowed(BOB)
    done = (m.MediaRequestFulfilled(BOSS), m.MediaRequestAvailable((ANN, BOB)))
    given(media_requests, film, followed).when(m.FulfilRequest(BOSS)).then(*done)
    given(media_requests, film, followed, *done).when(m.FulfilRequest(BOSS)).then_nothing()
    given(media_requests, waiting).when(m.FulfilRequest(BOSS)).then(
        m.MediaRequestFulfilled(BOSS), available
    )


partly = m.MediaRequestPartlyAvailable()
failed_there = m.UpstreamFailed(7)
missing = m.UpstreamMissing(7)


@pytest.mark.parametrize(
    ("events", "status", "then"),
    [
        ((), UpstreamStatus.UNDER_WAY, None),
        ((), UpstreamStatus.UNKNOWN, None),
        ((), UpstreamStatus.PARTLY_AVAILABLE, partly),
        ((partly,), UpstreamStatus.PARTLY_AVAILABLE, None),
        ((partly,), UpstreamStatus.UNDER_WAY, None),
        ((), UpstreamStatus.AVAILABLE, available),
        ((partly,), UpstreamStatus.AVAILABLE, available),
        ((available,), UpstreamStatus.AVAILABLE, None),
        ((available,), UpstreamStatus.UNDER_WAY, None),
        ((available,), UpstreamStatus.MISSING, None),
        ((available,), UpstreamStatus.DELETED, m.MediaRequestRemoved()),
        ((), UpstreamStatus.DELETED, None),
        (
            (available, m.MediaRequestRemoved()),
            UpstreamStatus.AVAILABLE,
            m.MediaRequestAvailable(()),
        ),
        ((), UpstreamStatus.DECLINED, m.UpstreamDeclined(7)),
        ((declined,), UpstreamStatus.DECLINED, None),
        ((), UpstreamStatus.FAILED, failed_there),
        ((failed_there,), UpstreamStatus.FAILED, None),
        ((failed_there,), UpstreamStatus.UNDER_WAY, m.UpstreamResumed(7)),
        ((failed_there,), UpstreamStatus.AVAILABLE, available),
        ((), UpstreamStatus.MISSING, missing),
        ((missing,), UpstreamStatus.MISSING, None),
    ],
)
def test_of_what_overseerr_says_only_news_are_kept(
    events: tuple[Any, ...], status: UpstreamStatus, then: Any
) -> None:
    seen = given(media_requests, film, forwarded, *events).when(m.RecordUpstream(7, status))
    seen.then(then) if then else seen.then_nothing()
    other = given(media_requests, film, forwarded, *events).when(m.RecordUpstream(8, status))
    other.then_nothing()


def test_what_vanished_or_failed_there_has_failed_and_can_be_tried_again() -> None:
    for lost in (missing, failed_there):
        assert after(film, forwarded, lost).status is RequestStatus.FAILED
        given(media_requests, film, forwarded, lost).when(m.RetryForwarding(ANN)).then(
            m.ForwardingRetried(ANN)
        )


def test_what_is_on_the_shelf_cannot_be_asked_for() -> None:
    with pytest.raises(m.AlreadyAvailable, match="“Dune” is available already") as refusal:
        media_requests.decide(m.RequestMedia(DUNE, "Dune", BOB), after(film, forwarded, available))
    assert refusal.value.request_id == media_request_id(DUNE)
    assert not refusal.value.may_follow


def test_of_a_series_on_the_shelf_only_the_rest_is_asked_for() -> None:
    events = (series(1), forwarded, available)
    given(media_requests, *events).when(ask(1)).then_refused(m.AlreadyAvailable)
    rest = m.MediaRequested(DARK, "Dark", BOB, seasons=(2, 3), all_seasons=ALL_SEASONS)
    given(media_requests, *events).when(ask()).then(rest)
    both = after(*events, rest, m.MediaRequestAvailable((BOB,)))
    assert both.on_shelf == Part((1, 2, 3))


def test_seasons_that_come_out_later_can_be_asked_for() -> None:
    events = (series(), forwarded, available)
    given(media_requests, *events).when(ask(3)).then_refused(m.AlreadyAvailable)
    fourth = m.RequestMedia(DARK, "Dark", BOB, all_seasons=(1, 2, 3, 4))
    given(media_requests, *events).when(fourth).then(
        m.MediaRequested(DARK, "Dark", BOB, seasons=(4,), all_seasons=(1, 2, 3, 4))
    )


def test_letting_go_is_tried_again_and_given_up_like_forwarding() -> None:
    at = m.RecordCancellingFailure(m.ForwardingProblem.UNREACHABLE, "No answer.", NOON)
    failed = m.CancellingFailed(
        1, m.ForwardingProblem.UNREACHABLE, "No answer.", NOON, NOON + m.retry_delay(1)
    )
    ended = (film, forwarded, declined)
    given(media_requests, *ended).when(at).then(failed)
    given(media_requests, *ended, m.ForwardingCancelled(7)).when(at).then_nothing()
    given(media_requests, film, forwarded).when(at).then_nothing()
    late = m.RecordCancellingFailure(
        m.ForwardingProblem.UNREACHABLE, "No answer.", NOON + m.PATIENCE
    )
    given(media_requests, *ended, failed).when(late).then(
        m.CancellingAbandoned(2, m.ForwardingProblem.UNREACHABLE, "No answer.")
    )


def test_a_log_from_before_there_was_approval_folds_as_it_did() -> None:
    request = after(film, forwarded)
    assert (request.status, request.overseerr_id) == (RequestStatus.FORWARDED, 7)
    assert request.revision == 1
