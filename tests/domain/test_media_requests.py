from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.media_requests import (
    LONGEST_RETRY_DELAY,
    PATIENCE,
    AlreadyRequested,
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    Media,
    MediaRequest,
    MediaRequested,
    MediaRequestForwarded,
    MediaType,
    NotRequested,
    RecordForwarding,
    RecordForwardingFailure,
    RequestMedia,
    RequestStatus,
    media_request_id,
    media_requests,
    retry_delay,
)
from tests.given import given

ANN = UUID(int=1)
BOB = UUID(int=2)
MATRIX = Media(MediaType.MOVIE, 603)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

requested = MediaRequested(MATRIX, "The Matrix", ANN, year=1999)


def failed(attempt: int = 1, at: datetime = NOON) -> ForwardingFailed:
    return ForwardingFailed(
        attempt, ForwardingProblem.UNREACHABLE, "No answer.", at, at + retry_delay(attempt)
    )


def failure(
    at: datetime = NOON,
    problem: ForwardingProblem = ForwardingProblem.UNREACHABLE,
    retry_after: timedelta | None = None,
) -> RecordForwardingFailure:
    return RecordForwardingFailure(problem, "No answer.", at, retry_after)


def test_a_title_can_be_requested() -> None:
    given(media_requests).when(RequestMedia(MATRIX, "The Matrix", ANN, year=1999)).then(requested)


def test_everything_the_command_knows_is_kept() -> None:
    series = Media(MediaType.TV, 1396, is4k=True)
    given(media_requests).when(
        RequestMedia(series, "Breaking Bad", BOB, 2008, "/p.jpg", 81189, (1, 2), "please")
    ).then(MediaRequested(series, "Breaking Bad", BOB, 2008, "/p.jpg", 81189, (1, 2), "please"))


def test_a_title_cannot_be_requested_twice_whoever_asks() -> None:
    with pytest.raises(AlreadyRequested, match="The Matrix") as refusal:
        media_requests.decide(
            RequestMedia(MATRIX, "The Matrix", BOB), media_requests.fold([requested])
        )
    assert refusal.value.request_id == media_request_id(MATRIX)


def test_overseerr_takes_the_request() -> None:
    given(media_requests, requested).when(RecordForwarding(7)).then(MediaRequestForwarded(7))


def test_a_second_report_of_the_forwarding_changes_nothing() -> None:
    given(media_requests, requested, MediaRequestForwarded(7)).when(
        RecordForwarding(7)
    ).then_nothing()


def test_the_first_failure_is_tried_again_after_two_seconds() -> None:
    given(media_requests, requested).when(failure()).then(failed())


def test_failures_double_the_delay() -> None:
    given(media_requests, requested, failed(1), failed(2)).when(failure()).then(failed(3))


def test_overseerr_may_ask_to_be_left_alone_for_longer() -> None:
    given(media_requests, requested).when(
        failure(problem=ForwardingProblem.THROTTLED, retry_after=timedelta(minutes=1))
    ).then(
        ForwardingFailed(
            1, ForwardingProblem.THROTTLED, "No answer.", NOON, NOON + timedelta(minutes=1)
        )
    )


def test_a_refusal_is_not_tried_again() -> None:
    given(media_requests, requested).when(failure(problem=ForwardingProblem.REFUSED)).then(
        ForwardingAbandoned(1, ForwardingProblem.REFUSED, "No answer.")
    )


@pytest.mark.parametrize("problem", [ForwardingProblem.BAD_KEY, ForwardingProblem.QUOTA_USED])
def test_what_an_admin_or_time_can_mend_is_waited_for(problem: ForwardingProblem) -> None:
    given(media_requests, requested).when(failure(problem=problem)).then(
        ForwardingFailed(1, problem, "No answer.", NOON, NOON + timedelta(seconds=2))
    )


def test_patience_ends_a_week_after_the_first_failure() -> None:
    given(media_requests, requested, failed(1)).when(failure(NOON + PATIENCE)).then(
        ForwardingAbandoned(2, ForwardingProblem.UNREACHABLE, "No answer.")
    )
    given(media_requests, requested, failed(1)).when(
        failure(NOON + PATIENCE - timedelta(seconds=1))
    ).then(failed(2, NOON + PATIENCE - timedelta(seconds=1)))


@pytest.mark.parametrize(
    "settled",
    [MediaRequestForwarded(7), ForwardingAbandoned(1, ForwardingProblem.REFUSED, "No.")],
)
def test_a_late_failure_does_not_undo_what_is_settled(
    settled: MediaRequestForwarded | ForwardingAbandoned,
) -> None:
    given(media_requests, requested, settled).when(failure()).then_nothing()


@pytest.mark.parametrize("command", [RecordForwarding(7), failure()])
def test_what_was_never_requested_cannot_be_forwarded(
    command: RecordForwarding | RecordForwardingFailure,
) -> None:
    given(media_requests).when(command).then_refused(NotRequested)


def test_films_series_and_qualities_are_different_requests() -> None:
    ids = {
        media_request_id(Media(media_type, 603, is4k))
        for media_type in MediaType
        for is4k in (False, True)
    }
    assert len(ids) == 4


def test_the_id_of_a_request_never_changes() -> None:
    assert media_request_id(MATRIX) == UUID("be757621-83bc-5373-8b03-21b17b7d108c")


@for_all(st.integers(min_value=1, max_value=10**9))
def test_delays_never_shrink_and_stay_bounded(attempt: int) -> None:
    assert retry_delay(attempt) <= retry_delay(attempt + 1) <= LONGEST_RETRY_DELAY


@for_all(
    st.lists(
        st.one_of(
            st.builds(RecordForwarding, st.integers(1, 99)),
            st.builds(
                failure,
                st.datetimes(timezones=st.just(UTC)),
                st.sampled_from(ForwardingProblem),
                st.none() | st.timedeltas(timedelta(), timedelta(hours=1)),
            ),
            st.just(RequestMedia(MATRIX, "The Matrix", BOB)),
        )
    )
)
def test_whatever_comes_a_request_that_overseerr_has_stays_there(
    commands: list[RecordForwarding | RecordForwardingFailure | RequestMedia],
) -> None:
    history: list[MediaRequest] = []
    state = media_requests.fold([requested])
    for command in commands:
        try:
            events = media_requests.decide(command, state)
        except AlreadyRequested:
            continue
        state = media_requests.fold(events, state)
        assert state is not None
        history.append(state)
    forwarded = [state for state in history if state.status is RequestStatus.FORWARDED]
    assert all(state == forwarded[0] for state in forwarded)
    assert history[len(history) - len(forwarded) :] == forwarded


def test_overseerr_may_have_it_after_all() -> None:
    abandoned = ForwardingAbandoned(1, ForwardingProblem.UNREACHABLE, "No answer.")
    given(media_requests, requested, abandoned).when(RecordForwarding(7, already_there=True)).then(
        MediaRequestForwarded(7, already_there=True)
    )
