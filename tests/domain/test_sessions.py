from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.sessions import (
    GRACE,
    IDLE,
    LIFETIME,
    REMEMBERED_TOKENS,
    CloseSession,
    OpenSession,
    RefreshSession,
    RefreshTokenReused,
    SessionClosed,
    SessionEnd,
    SessionEvent,
    SessionOpened,
    SessionOver,
    SessionRefreshed,
    SignInMethod,
    SignInUsed,
    sessions,
)
from tests.given import given

ANN = UUID(int=1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = NOON + HOUR
TICK = timedelta(microseconds=1)

opened = SessionOpened(ANN, 3, SignInMethod.PASSWORD, "first", NOON, NOON + IDLE, "sealed client")
closed = SessionClosed(ANN, SessionEnd.SIGNED_OUT)
reused = (RefreshTokenReused(ANN, "thief"), SessionClosed(ANN, SessionEnd.REUSE))


def refreshed(token: str, at: datetime = LATER) -> SessionRefreshed:
    return SessionRefreshed(token, at, min(at + IDLE, NOON + LIFETIME))


def refresh(shown: str, successor: str = "next", at: datetime = LATER) -> RefreshSession:
    return RefreshSession(shown, successor, at, "thief")


def test_somebody_signs_in() -> None:
    given(sessions).when(
        OpenSession(ANN, 3, SignInMethod.PASSWORD, "first", NOON, "sealed client")
    ).then(opened)


@pytest.mark.parametrize("then", [(), (closed,)])
def test_a_sign_in_is_completed_once(then: tuple[SessionEvent, ...]) -> None:
    given(sessions, opened, *then).when(
        OpenSession(ANN, 3, SignInMethod.PLEX, "second", LATER)
    ).then_refused(SignInUsed)


def test_a_refresh_puts_the_end_off() -> None:
    given(sessions, opened).when(refresh("first", "second")).then(refreshed("second"))


def test_each_token_has_a_successor() -> None:
    given(sessions, opened, refreshed("second")).when(refresh("second", "third")).then(
        refreshed("third")
    )


def test_no_refresh_puts_the_end_off_beyond_a_year() -> None:
    month = timedelta(days=29)
    steps = [refreshed(f"token {number}", NOON + number * month) for number in range(1, 13)]
    given(sessions, opened, *steps).when(
        refresh("token 12", "token 13", NOON + LIFETIME - HOUR)
    ).then(SessionRefreshed("token 13", NOON + LIFETIME - HOUR, NOON + LIFETIME))


def test_a_session_that_was_idle_for_long_is_over() -> None:
    given(sessions, opened).when(refresh("first", at=NOON + IDLE - TICK)).then(
        refreshed("next", NOON + IDLE - TICK)
    )
    given(sessions, opened).when(refresh("first", at=NOON + IDLE)).then_refused(SessionOver)


@pytest.mark.parametrize("end", SessionEnd)
def test_a_closed_session_is_not_refreshed(end: SessionEnd) -> None:
    given(sessions, opened, SessionClosed(ANN, end)).when(refresh("first")).then_refused(
        SessionOver
    )


@pytest.mark.parametrize("command", [refresh("first"), CloseSession(SessionEnd.REVOKED)])
def test_a_session_that_was_never_opened_is_over(command: RefreshSession | CloseSession) -> None:
    given(sessions).when(command).then_refused(SessionOver)


def test_a_guess_is_refused_and_does_not_end_the_session() -> None:
    given(sessions, opened, refreshed("second")).when(refresh("guess")).then_refused(SessionOver)


def test_a_used_token_ends_the_session_for_both_who_have_it() -> None:
    given(sessions, opened, refreshed("second"), refreshed("third")).when(refresh("first")).then(
        *reused
    )


def test_a_client_that_lost_the_answer_may_ask_again_at_once() -> None:
    given(sessions, opened, refreshed("second")).when(
        refresh("first", "second", LATER + GRACE)
    ).then_nothing()


@pytest.mark.parametrize(
    "late",
    [
        refresh("first", "second", LATER + GRACE + TICK),
        refresh("first", "another", LATER + GRACE),
    ],
    ids=["after the grace", "with another successor"],
)
def test_asking_again_otherwise_is_a_reuse(late: RefreshSession) -> None:
    given(sessions, opened, refreshed("second")).when(late).then(*reused)


def test_once_the_successor_is_used_there_is_no_grace() -> None:
    given(sessions, opened, refreshed("second"), refreshed("third")).when(
        refresh("first", "second", LATER)
    ).then(*reused)


def test_a_token_used_too_long_ago_is_only_refused() -> None:
    tokens = [f"token {number}" for number in range(REMEMBERED_TOKENS + 1)]
    history = (opened, *(refreshed(token) for token in tokens))
    given(sessions, *history).when(refresh("token 0")).then(*reused)
    given(sessions, *history).when(refresh("first")).then_refused(SessionOver)


def test_a_session_is_closed_once() -> None:
    given(sessions, opened).when(CloseSession(SessionEnd.SIGNED_OUT)).then(closed)
    given(sessions, opened, closed).when(CloseSession(SessionEnd.REVOKED)).then_nothing()


def test_an_expired_session_may_still_be_closed() -> None:
    given(sessions, opened, refreshed("second")).when(CloseSession(SessionEnd.REVOKED)).then(
        SessionClosed(ANN, SessionEnd.REVOKED)
    )


@for_all(
    st.lists(
        st.tuples(st.integers(0, 40), st.timedeltas(timedelta(), timedelta(days=60))), max_size=60
    )
)
def test_whatever_is_shown_a_session_ends_in_time_and_an_old_token_never_renews_it(
    shown: list[tuple[int, timedelta]],
) -> None:
    tokens = ["first", *(f"token {number}" for number in range(60))]
    state, at = sessions.fold([opened]), NOON
    for number, (which, pause) in enumerate(shown):
        at += pause
        assert state is not None
        newest = state.token
        command = refresh(tokens[which], tokens[number + 1], at)
        try:
            events = sessions.decide(command, state)
        except SessionOver:
            continue
        state = sessions.fold(events, state)
        assert state is not None
        assert state.expires_at <= NOON + LIFETIME
        if any(isinstance(event, SessionRefreshed) for event in events):
            assert command.shown == newest
            assert state.token == command.successor
