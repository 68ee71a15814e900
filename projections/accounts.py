"""The list of accounts: one row for each, its fold and its queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.accounts import (
    AccountForgotten,
    AccountOpened,
    AccountRenamed,
    AccountRestored,
    AccountState,
    AccountSuspended,
    EmailChanged,
    PasswordChanged,
    Role,
    RoleChanged,
    Sealed,
    SessionsEnded,
    accounts,
)
from domain.kernel import Recorded
from projections.kernel import Key, ReadModel
from projections.queries import select, where


class AccountRow(msgspec.Struct, frozen=True):
    """An account. ``opened_position`` orders the list, newest last.

    ``epoch`` and ``spared`` say which of its sessions stand; see ``domain.accounts.Account``.
    """

    id: UUID
    opened_position: int
    role: Role
    state: AccountState
    email: Sealed | None
    name: Sealed | None
    has_password: bool
    opened_at: datetime
    updated_at: datetime
    version: int
    epoch: int = 0
    spared: UUID | None = None


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """An account's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: AccountRow | None, recorded: Recorded[Any]) -> AccountRow | None:
    """The row after the event."""
    event = recorded.event
    if isinstance(event, AccountOpened):
        return _opened(event, recorded)
    if row is None:
        raise LookupError(f"{type(event).__name__} without an account")
    changes: dict[str, Any] = {}
    match event:
        case EmailChanged(email):
            changes = {"email": email}
        case AccountRenamed(name):
            changes = {"name": name}
        case PasswordChanged(_, spared):
            changes = {"has_password": True, **_next_epoch(row, spared)}
        case SessionsEnded():
            changes = _next_epoch(row)
        case RoleChanged(role):
            changes = {"role": role}
        case AccountSuspended():
            changes = {"state": AccountState.SUSPENDED, **_next_epoch(row)}
        case AccountRestored():
            changes = {"state": AccountState.ACTIVE}
        case AccountForgotten():
            gone = {"email": None, "name": None, "has_password": False}
            changes = {"state": AccountState.FORGOTTEN, **gone, **_next_epoch(row)}
        case _:
            pass  # a rehashed password looks the same from here
    stamp = {"version": recorded.version, "updated_at": recorded.at}
    return msgspec.structs.replace(row, **stamp, **changes)


def _opened(event: AccountOpened, recorded: Recorded[Any]) -> AccountRow:
    return AccountRow(
        id=recorded.stream_id,
        opened_position=recorded.position,
        role=event.role,
        state=AccountState.ACTIVE,
        email=event.email,
        name=event.name,
        has_password=event.password is not None,
        opened_at=recorded.at,
        updated_at=recorded.at,
        version=recorded.version,
    )


def _next_epoch(row: AccountRow, spared: UUID | None = None) -> dict[str, Any]:
    return {"epoch": row.epoch + 1, "spared": spared}


ACCOUNTS: ReadModel[AccountRow] = ReadModel(
    name="accounts",
    version=1,
    row=AccountRow,
    key=("id",),
    events=accounts.events,
    keys=keys,
    fold=fold,
    indexes=("opened_position", "role, opened_position", "state, opened_position"),
)


class AccountQueries:
    """What can be asked of the list of accounts."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def find(self, account_id: UUID) -> AccountRow | None:
        """One account, or ``None``."""
        query = "SELECT * FROM accounts_v1 WHERE id = %s"
        rows = await select(self._pool, AccountRow, query, [account_id])
        return rows[0] if rows else None

    async def active_admins(self) -> Sequence[UUID]:
        """Every account that may steer the house now, in no order."""
        query = "SELECT * FROM accounts_v1 WHERE role = %s AND state = %s"
        rows = await select(self._pool, AccountRow, query, [Role.ADMIN, AccountState.ACTIVE])
        return [row.id for row in rows]

    async def page(
        self, role: Role | None, state: AccountState | None, *, before: int | None, limit: int
    ) -> Sequence[AccountRow]:
        """The newest ``limit`` accounts, opened before the position ``before``; ``None`` is any."""
        matching, values = where(
            ("role = %s", role), ("state = %s", state), ("opened_position < %s", before)
        )
        return await select(
            self._pool,
            AccountRow,
            f"SELECT * FROM accounts_v1 {matching} ORDER BY opened_position DESC LIMIT %s",
            [*values, limit],
        )
