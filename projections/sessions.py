"""The list of sessions: one row for each, its fold and its queries.

A fold knows no time but that of its events, so the rows of sessions that have expired or were
closed stay, about 300 B each; queries leave them out.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.accounts import AccountState, Sealed
from domain.kernel import Recorded
from domain.sessions import (
    SessionClosed,
    SessionEnd,
    SessionOpened,
    SessionRefreshed,
    SignInMethod,
    sessions,
)
from projections.kernel import Key, ReadModel
from projections.queries import select


class SessionRow(msgspec.Struct, frozen=True):
    """A session. ``opened_position`` orders the list, newest last; ``epoch`` is the account's.

    ``client`` says from where it was opened, ``reason`` why it was closed.
    """

    id: UUID
    account_id: UUID
    opened_position: int
    epoch: int
    method: SignInMethod
    client: Sealed | None
    opened_at: datetime
    expires_at: datetime
    refreshed_at: datetime | None = None
    closed_at: datetime | None = None
    reason: SessionEnd | None = None


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """A session's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: SessionRow | None, recorded: Recorded[Any]) -> SessionRow | None:
    """The row after the event."""
    event = recorded.event
    if isinstance(event, SessionOpened):
        return SessionRow(
            id=recorded.stream_id,
            account_id=event.account_id,
            opened_position=recorded.position,
            epoch=event.epoch,
            method=event.method,
            client=event.client,
            opened_at=event.opened_at,
            expires_at=event.expires_at,
        )
    if row is None:
        raise LookupError(f"{type(event).__name__} without a session")
    match event:
        case SessionRefreshed(_, refreshed_at, expires_at):
            return msgspec.structs.replace(row, refreshed_at=refreshed_at, expires_at=expires_at)
        case SessionClosed(_, reason):
            return msgspec.structs.replace(row, closed_at=recorded.at, reason=reason)
        case _:
            return row  # the reuse of a token is told by the event that closes the session


SESSIONS: ReadModel[SessionRow] = ReadModel(
    name="sessions",
    version=1,
    row=SessionRow,
    key=("id",),
    events=sessions.events,
    keys=keys,
    fold=fold,
    indexes=("account_id, opened_position",),
)


class SessionQueries:
    """What can be asked of the list of sessions."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def open_of(self, account_id: UUID, now: datetime) -> Sequence[SessionRow]:
        """The account's sessions that stand at ``now``, newest first.

        Reads ``accounts`` too. A session of a later epoch than the account's row shows stands: that
        row is behind, as each read model has a pace of its own.
        """
        return await select(
            self._pool,
            SessionRow,
            "SELECT sessions.* FROM sessions_v1 AS sessions"
            " JOIN accounts_v1 AS accounts ON accounts.id = sessions.account_id"
            " WHERE sessions.account_id = %s AND sessions.closed_at IS NULL"
            " AND sessions.expires_at > %s AND accounts.state = %s"
            " AND (sessions.epoch >= accounts.epoch OR sessions.id = accounts.spared)"
            " ORDER BY sessions.opened_position DESC",
            [account_id, now, AccountState.ACTIVE],
        )
