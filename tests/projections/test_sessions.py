from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.accounts import (
    AccountEvent,
    AccountForgotten,
    AccountOpened,
    AccountRestored,
    AccountSuspended,
    PasswordChanged,
    Role,
    SessionsEnded,
)
from domain.kernel import Recorded
from domain.sessions import (
    RefreshTokenReused,
    SessionClosed,
    SessionEnd,
    SessionOpened,
    SessionRefreshed,
    SignInMethod,
)
from projections.sessions import SessionQueries, SessionRow, fold
from tests.events import NOON, metadata
from tests.projections.conftest import Projected

LATER = NOON + timedelta(days=1)
END = NOON + timedelta(days=30)
TICK = timedelta(microseconds=1)


def opened(account_id: UUID, epoch: int = 0) -> SessionOpened:
    return SessionOpened(account_id, epoch, SignInMethod.PLEX, "digest", NOON, END, "sealed client")


@pytest.fixture
async def ann(projected: Projected) -> UUID:
    account_id = uuid4()
    await projected.put(account_id, AccountOpened(Role.USER, uuid4()))
    return account_id


async def sign_in(projected: Projected, account_id: UUID, epoch: int = 0) -> UUID:
    session_id = uuid4()
    await projected.put(session_id, opened(account_id, epoch))
    return session_id


async def open_of(
    pool: AsyncConnectionPool, account_id: UUID, now: datetime = LATER
) -> Sequence[UUID]:
    return [row.id for row in await SessionQueries(pool).open_of(account_id, now)]


async def test_a_session_is_shown_as_it_was_opened_and_refreshed(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID
) -> None:
    session_id = uuid4()
    position = await projected.put(session_id, opened(ann))
    row = SessionRow(
        id=session_id,
        account_id=ann,
        opened_position=position,
        epoch=0,
        method=SignInMethod.PLEX,
        client="sealed client",
        opened_at=NOON,
        expires_at=END,
    )
    assert await SessionQueries(pool).open_of(ann, LATER) == [row]
    await projected.put(session_id, SessionRefreshed("digest 2", LATER, END + TICK), at=END)
    (refreshed,) = await SessionQueries(pool).open_of(ann, END)
    assert (refreshed.refreshed_at, refreshed.expires_at) == (LATER, END + TICK)
    assert (refreshed.opened_at, refreshed.opened_position) == (NOON, position)


async def test_sessions_are_ones_own_and_newest_first(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID
) -> None:
    bob = uuid4()
    await projected.put(bob, AccountOpened(Role.ADMIN, uuid4()))
    first, others, second = [await sign_in(projected, who) for who in (ann, bob, ann)]
    assert await open_of(pool, ann) == [second, first]
    assert await open_of(pool, bob) == [others]
    assert await open_of(pool, uuid4()) == []


async def test_a_session_is_open_until_it_expires(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID
) -> None:
    session_id = await sign_in(projected, ann)
    assert await open_of(pool, ann, END - TICK) == [session_id]
    assert await open_of(pool, ann, END) == []


@pytest.mark.parametrize("end", SessionEnd)
async def test_a_closed_session_is_not_open_but_remembered(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID, end: SessionEnd
) -> None:
    left, kept = await sign_in(projected, ann), await sign_in(projected, ann)
    reuse = [RefreshTokenReused(ann, "thief")] if end is SessionEnd.REUSE else []
    await projected.put(left, *reuse, SessionClosed(ann, end), at=LATER)
    assert await open_of(pool, ann) == [kept]
    async with pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT closed_at, reason, client FROM sessions_v1 WHERE id = %s", [left]
        )
        assert await cursor.fetchall() == [(LATER, end, "sealed client")]


@pytest.mark.parametrize(
    "events",
    [
        (SessionsEnded(),),
        (PasswordChanged("new"),),
        (AccountSuspended(),),
        (AccountSuspended(), AccountRestored()),
        (AccountForgotten(),),
    ],
    ids=["ended", "new password", "suspended", "restored", "forgotten"],
)
async def test_a_session_stands_as_long_as_its_account_lets_it(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID, events: tuple[AccountEvent, ...]
) -> None:
    session_id = await sign_in(projected, ann)
    assert await open_of(pool, ann) == [session_id]
    await projected.put(ann, *events)
    assert await open_of(pool, ann) == []


async def test_a_new_password_spares_the_session_in_which_it_was_chosen(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID
) -> None:
    spared, other = await sign_in(projected, ann), await sign_in(projected, ann)
    assert await open_of(pool, ann) == [other, spared]
    await projected.put(ann, PasswordChanged("new", spared))
    assert await open_of(pool, ann) == [spared]
    newer = await sign_in(projected, ann, epoch=1)
    assert await open_of(pool, ann) == [newer, spared]
    await projected.put(ann, PasswordChanged("newer", newer))
    assert await open_of(pool, ann) == [newer]


async def test_no_session_of_a_suspended_account_is_open_even_of_its_epoch(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID
) -> None:
    await projected.put(ann, AccountSuspended())
    session_id = await sign_in(projected, ann, epoch=1)
    assert await open_of(pool, ann) == []
    await projected.put(ann, AccountRestored())
    assert await open_of(pool, ann) == [session_id]


async def test_a_session_is_shown_before_the_list_of_accounts_has_caught_up(
    projected: Projected, pool: AsyncConnectionPool, ann: UUID
) -> None:
    await sign_in(projected, ann)
    session_id = await sign_in(projected, ann, epoch=4)
    assert session_id in await open_of(pool, ann)


def test_an_event_without_a_session_is_not_folded() -> None:
    recorded = Recorded(1, uuid4(), 1, metadata(), SessionClosed(uuid4(), SessionEnd.REVOKED))
    with pytest.raises(LookupError, match="SessionClosed without a session"):
        fold(None, recorded)
