from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.accounts import (
    AccountForgotten,
    AccountOpened,
    AccountRenamed,
    AccountRestored,
    AccountSuspended,
    EmailChanged,
    PasswordChanged,
    PasswordRehashed,
    Role,
    RoleChanged,
    SessionsEnded,
)
from domain.api_keys import ApiKeyMade, ApiKeyRevoked, Scope
from domain.kernel import Event
from domain.sessions import (
    RefreshTokenReused,
    SessionClosed,
    SessionEnd,
    SessionOpened,
    SessionRefreshed,
    SignInMethod,
)
from domain.sign_ins import SignInFailed
from projections.activity import Activity, ActivityQueries, ActivityRow
from tests.events import NOON
from tests.projections.conftest import Projected

LATER = NOON + timedelta(hours=1)
BOB = UUID(int=2)


@pytest.fixture
def queries(pool: AsyncConnectionPool) -> ActivityQueries:
    return ActivityQueries(pool)


def opened(account_id: UUID) -> SessionOpened:
    return SessionOpened(
        account_id, 0, SignInMethod.PASSWORD, "digest", NOON, LATER, "sealed client"
    )


async def all_of(queries: ActivityQueries, account_id: UUID) -> Sequence[ActivityRow]:
    return await queries.page(account_id, before=None, limit=100)


async def test_a_sign_in_tells_how_and_from_where(
    projected: Projected, queries: ActivityQueries
) -> None:
    ann, session_id = uuid4(), uuid4()
    position = await projected.put(session_id, opened(ann), at=LATER)
    assert await all_of(queries, ann) == [
        ActivityRow(
            position=position,
            account_id=ann,
            at=LATER,
            kind=Activity.SIGNED_IN,
            session_id=session_id,
            method=SignInMethod.PASSWORD,
            client="sealed client",
        )
    ]


async def test_a_failed_sign_in_tells_from_where(
    projected: Projected, queries: ActivityQueries
) -> None:
    ann = uuid4()
    position = await projected.put(uuid4(), SignInFailed(ann, NOON, "sealed client"))
    assert await all_of(queries, ann) == [
        ActivityRow(position, ann, NOON, Activity.SIGN_IN_FAILED, client="sealed client")
    ]


@pytest.mark.parametrize(
    ("end", "kind", "client"),
    [
        (SessionEnd.SIGNED_OUT, Activity.SIGNED_OUT, None),
        (SessionEnd.REVOKED, Activity.SESSION_REVOKED, None),
        (SessionEnd.REUSE, Activity.REFRESH_TOKEN_REUSED, "thief"),
    ],
)
async def test_the_end_of_a_session_is_told_once(
    projected: Projected,
    queries: ActivityQueries,
    end: SessionEnd,
    kind: Activity,
    client: str | None,
) -> None:
    ann, session_id = uuid4(), uuid4()
    await projected.put(session_id, opened(ann))
    reuse = [RefreshTokenReused(ann, "thief")] if end is SessionEnd.REUSE else []
    await projected.put(session_id, *reuse, SessionClosed(ann, end))
    last, first = await all_of(queries, ann)
    assert (last.kind, last.session_id, last.client) == (kind, session_id, client)
    assert last.method is None
    assert first.kind is Activity.SIGNED_IN


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (PasswordChanged("sealed"), Activity.PASSWORD_CHANGED),
        (EmailChanged("sealed", uuid4(), uuid4()), Activity.EMAIL_CHANGED),
        (SessionsEnded(), Activity.SESSIONS_ENDED),
        (AccountSuspended(), Activity.SUSPENDED),
        (AccountRestored(), Activity.RESTORED),
        (RoleChanged(Role.ADMIN), Activity.ROLE_CHANGED),
    ],
    ids=lambda it: type(it).__name__,
)
async def test_what_happens_to_the_account_itself_is_told(
    projected: Projected, queries: ActivityQueries, event: Event, kind: Activity
) -> None:
    ann = uuid4()
    position = await projected.put(ann, event)
    assert await all_of(queries, ann) == [ActivityRow(position, ann, NOON, kind)]


async def test_what_happens_to_its_keys_is_told(
    projected: Projected, queries: ActivityQueries
) -> None:
    ann, key_id = uuid4(), uuid4()
    made = await projected.put(key_id, ApiKeyMade(ann, "Script", (Scope.READ,), "digest", LATER))
    revoked = await projected.put(key_id, ApiKeyRevoked(ann))
    assert await all_of(queries, ann) == [
        ActivityRow(revoked, ann, NOON, Activity.API_KEY_REVOKED),
        ActivityRow(made, ann, NOON, Activity.API_KEY_MADE),
    ]


async def test_what_is_nobodys_worry_is_not_told(
    projected: Projected, queries: ActivityQueries
) -> None:
    ann, session_id = uuid4(), uuid4()
    await projected.put(session_id, opened(ann), SessionRefreshed("digest 2", NOON, LATER))
    await projected.put(
        ann,
        AccountOpened(Role.USER, uuid4()),
        AccountRenamed("sealed"),
        PasswordRehashed("sealed"),
        AccountForgotten(),
    )
    assert [row.kind for row in await all_of(queries, ann)] == [Activity.SIGNED_IN]


async def test_pages_are_ones_own_newest_first_and_follow_each_other(
    projected: Projected, queries: ActivityQueries
) -> None:
    ann = uuid4()
    positions: list[int] = []
    for number in range(5):
        positions.append(await projected.put(ann, RoleChanged(Role.USER)))
        await projected.put(uuid4(), SignInFailed(BOB, NOON + number * timedelta(minutes=1)))
    first = await queries.page(ann, before=None, limit=2)
    second = await queries.page(ann, before=first[-1].position, limit=2)
    third = await queries.page(ann, before=second[-1].position, limit=2)
    assert [row.position for row in (*first, *second, *third)] == positions[::-1]
    assert len(third) == 1
