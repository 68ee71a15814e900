"""What happened around an account's safety, for its owner: one row for each such event."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.accounts import (
    AccountRestored,
    AccountSuspended,
    EmailChanged,
    PasswordChanged,
    RoleChanged,
    Sealed,
    SessionsEnded,
    accounts,
)
from domain.api_keys import ApiKeyMade, ApiKeyRevoked
from domain.kernel import Event, Recorded
from domain.sessions import (
    RefreshTokenReused,
    SessionClosed,
    SessionEnd,
    SessionOpened,
    SignInMethod,
    sessions,
)
from domain.sign_ins import SignInFailed
from projections.kernel import Key, ReadModel
from projections.queries import select, where


class Activity(StrEnum):
    """What has happened."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SESSION_REVOKED = "session_revoked"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - the name of what happened
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of what happened
    EMAIL_CHANGED = "email_changed"
    SESSIONS_ENDED = "sessions_ended"
    SUSPENDED = "suspended"
    RESTORED = "restored"
    ROLE_CHANGED = "role_changed"
    API_KEY_MADE = "api_key_made"
    API_KEY_REVOKED = "api_key_revoked"


_KINDS: dict[type[Event], Activity] = {
    SessionOpened: Activity.SIGNED_IN,
    SignInFailed: Activity.SIGN_IN_FAILED,
    RefreshTokenReused: Activity.REFRESH_TOKEN_REUSED,
    PasswordChanged: Activity.PASSWORD_CHANGED,
    EmailChanged: Activity.EMAIL_CHANGED,
    SessionsEnded: Activity.SESSIONS_ENDED,
    AccountSuspended: Activity.SUSPENDED,
    AccountRestored: Activity.RESTORED,
    RoleChanged: Activity.ROLE_CHANGED,
    ApiKeyMade: Activity.API_KEY_MADE,
    ApiKeyRevoked: Activity.API_KEY_REVOKED,
}
# The end by a reused token is told already, by the reuse.
_ENDS = {SessionEnd.SIGNED_OUT: Activity.SIGNED_OUT, SessionEnd.REVOKED: Activity.SESSION_REVOKED}


class ActivityRow(msgspec.Struct, frozen=True):
    """One thing that happened to an account. ``client`` says from where, if it is known.

    ``session_id`` is the session it happened to.
    """

    position: int
    account_id: UUID
    at: datetime
    kind: Activity
    session_id: UUID | None = None
    method: SignInMethod | None = None
    client: Sealed | None = None


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """Each event that is told has a row of its own."""
    return () if _kind_of(recorded.event) is None else ((recorded.position,),)


def fold(_: ActivityRow | None, recorded: Recorded[Any]) -> ActivityRow | None:
    """The row of the event."""
    event = recorded.event
    kind = _kind_of(event)
    if kind is None:
        return None
    of_account = isinstance(event, accounts.events)
    return ActivityRow(
        position=recorded.position,
        account_id=recorded.stream_id if of_account else event.account_id,
        at=recorded.at,
        kind=kind,
        session_id=recorded.stream_id if isinstance(event, sessions.events) else None,
        method=event.method if isinstance(event, SessionOpened) else None,
        client=getattr(event, "client", None),
    )


def _kind_of(event: Event) -> Activity | None:
    return _ENDS.get(event.reason) if isinstance(event, SessionClosed) else _KINDS[type(event)]


ACTIVITY: ReadModel[ActivityRow] = ReadModel(
    name="activity",
    version=1,
    row=ActivityRow,
    key=("position",),
    events=(*_KINDS, SessionClosed),
    keys=keys,
    fold=fold,
    indexes=("account_id, position",),
)


class ActivityQueries:
    """What can be asked of the list."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def page(
        self, account_id: UUID, *, before: int | None, limit: int
    ) -> Sequence[ActivityRow]:
        """The last ``limit`` things that happened to the account before position ``before``."""
        matching, values = where(("account_id = %s", account_id), ("position < %s", before))
        return await select(
            self._pool,
            ActivityRow,
            f"SELECT * FROM activity_v1 {matching} ORDER BY position DESC LIMIT %s",
            [*values, limit],
        )
