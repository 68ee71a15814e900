from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from psycopg_pool import AsyncConnectionPool

from domain.accounts import (
    AccountEvent,
    AccountForgotten,
    AccountOpened,
    AccountRenamed,
    AccountRestored,
    AccountState,
    AccountSuspended,
    EmailChanged,
    PasswordChanged,
    PasswordRehashed,
    Role,
    RoleChanged,
    SessionsEnded,
    accounts,
)
from domain.kernel import Recorded
from projections.accounts import AccountQueries, AccountRow, fold
from tests.events import NOON, metadata
from tests.projections.conftest import Projected

SESSION = UUID(int=9)
LATER = NOON + timedelta(hours=1)

opened = AccountOpened(Role.USER, UUID(int=7), "sealed e-mail", "sealed password", "sealed name")


def ids(rows: Sequence[AccountRow]) -> list[UUID]:
    return [row.id for row in rows]


async def test_an_account_is_shown_as_it_was_opened(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    ann = uuid4()
    position = await projected.put(ann, opened)
    assert await AccountQueries(pool).find(ann) == AccountRow(
        id=ann,
        opened_position=position,
        role=Role.USER,
        state=AccountState.ACTIVE,
        email="sealed e-mail",
        name="sealed name",
        has_password=True,
        opened_at=NOON,
        updated_at=NOON,
        version=1,
    )


async def test_an_account_without_anything_sealed_is_shown(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    ann = uuid4()
    await projected.put(ann, AccountOpened(Role.ADMIN, UUID(int=7)))
    row = await AccountQueries(pool).find(ann)
    assert row is not None
    assert (row.email, row.name, row.has_password) == (None, None, False)


async def test_an_account_that_is_not_there_is_not_found(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    await projected.put(uuid4(), opened)
    assert await AccountQueries(pool).find(uuid4()) is None


async def test_admins_who_may_steer_are_found(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    boss, away, user, made = [uuid4() for _ in range(4)]
    await projected.put(boss, AccountOpened(Role.ADMIN, UUID(int=7)))
    await projected.put(away, AccountOpened(Role.ADMIN, UUID(int=8)), AccountSuspended())
    await projected.put(user, opened)
    await projected.put(made, opened, RoleChanged(Role.ADMIN))
    assert {*await AccountQueries(pool).active_admins()} == {boss, made}


async def test_an_account_follows_its_events(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    ann = uuid4()
    position = await projected.put(ann, opened)
    await projected.put(
        ann,
        EmailChanged("other e-mail", UUID(int=8), UUID(int=7)),
        AccountRenamed(None),
        PasswordChanged("other password", SESSION),
        PasswordRehashed("stronger"),
        RoleChanged(Role.ADMIN),
        at=LATER,
    )
    assert await AccountQueries(pool).find(ann) == AccountRow(
        id=ann,
        opened_position=position,
        role=Role.ADMIN,
        state=AccountState.ACTIVE,
        email="other e-mail",
        name=None,
        has_password=True,
        opened_at=NOON,
        updated_at=LATER,
        version=6,
        epoch=1,
        spared=SESSION,
    )


async def test_nothing_sealed_is_left_in_the_table_of_a_forgotten_account(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    ann = uuid4()
    await projected.put(ann, opened, AccountForgotten())
    row = await AccountQueries(pool).find(ann)
    assert row is not None
    assert (row.state, row.has_password, row.epoch) == (AccountState.FORGOTTEN, False, 1)
    assert "sealed" not in msgspec.json.encode(row).decode()


async def test_pages_are_newest_first_and_follow_each_other(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    queries = AccountQueries(pool)
    people = [uuid4() for _ in range(5)]
    for person in people:
        await projected.put(person, opened)
    first = await queries.page(None, None, before=None, limit=2)
    second = await queries.page(None, None, before=first[-1].opened_position, limit=3)
    assert ids([*first, *second]) == people[::-1]
    assert await queries.page(None, None, before=second[-1].opened_position, limit=3) == []


async def test_a_page_is_narrowed_by_role_and_state(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    queries = AccountQueries(pool)
    user, admin, suspended, restored = people = [uuid4() for _ in range(4)]
    for person in people:
        await projected.put(person, opened)
    await projected.put(admin, RoleChanged(Role.ADMIN))
    await projected.put(suspended, RoleChanged(Role.ADMIN), AccountSuspended())
    last = await projected.put(restored, AccountSuspended(), AccountRestored())

    async def page(
        role: Role | None, state: AccountState | None, before: int = last
    ) -> Sequence[UUID]:
        return ids(await queries.page(role, state, before=before, limit=9))

    assert await page(Role.ADMIN, None) == [suspended, admin]
    assert await page(None, AccountState.ACTIVE) == [restored, admin, user]
    assert await page(Role.ADMIN, AccountState.ACTIVE) == [admin]
    assert await page(None, AccountState.FORGOTTEN) == []
    assert await page(Role.USER, None, before=2) == [user]


def test_an_event_without_an_account_is_not_folded() -> None:
    recorded = Recorded(1, uuid4(), 1, metadata(), SessionsEnded())
    with pytest.raises(LookupError, match="SessionsEnded without an account"):
        fold(None, recorded)


_sealed = st.sampled_from(["one", "two"])
_ids = st.uuids(version=4)
_later = st.one_of(
    st.builds(EmailChanged, _sealed, _ids, _ids),
    st.builds(AccountRenamed, st.none() | _sealed),
    st.builds(PasswordChanged, _sealed, st.none() | _ids),
    st.builds(PasswordRehashed, _sealed),
    st.builds(SessionsEnded),
    st.builds(RoleChanged, st.sampled_from(Role)),
    st.builds(AccountSuspended),
    st.builds(AccountRestored),
    st.builds(AccountForgotten),
)


@for_all(
    st.builds(AccountOpened, st.sampled_from(Role), _ids, *[st.none() | _sealed] * 3),
    st.lists(_later),
)
def test_the_row_says_what_the_domain_says(first: AccountOpened, then: list[AccountEvent]) -> None:
    stream, row = uuid4(), None
    for version, event in enumerate([first, *then], start=1):
        row = fold(row, Recorded(version * 3, stream, version, metadata(), event))
    account = accounts.fold([first, *then])
    assert row is not None
    assert account is not None
    for field in ("role", "state", "email", "name", "epoch", "spared"):
        assert getattr(row, field) == getattr(account, field), field
    changed = any(isinstance(event, PasswordRehashed) for event in then)
    if account.password is None or not changed:  # none is rehashed where there is none
        assert row.has_password == (account.password is not None)
    assert row.version == len(then) + 1
