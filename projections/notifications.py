"""Inboxes: one row for each notification in one, and one for how far each person has read.

To have read all is one event, which cannot touch every row; so what is read is a question to both.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.kernel import Recorded
from domain.notifications.inbox import (
    InboxRead,
    NotificationRead,
    NotificationReceived,
    inbox_id,
)
from domain.notifications.kinds import NoticeKind
from projections.kernel import Key, ReadModel
from projections.queries import select, where

MOST_UNREAD = 1000
"""So many are counted; who has left more unread need not know how many."""


class NotificationRow(msgspec.Struct, frozen=True):
    """A notification in an inbox. ``position`` orders the list, newest last.

    ``read_at`` is when this one was read, beside whatever was read with all.
    """

    id: UUID
    position: int
    account_id: UUID
    kind: NoticeKind
    request_id: UUID
    title: str
    year: int | None
    detail: str | None
    awaits_approval: bool
    at: datetime
    read_at: datetime | None = None


class InboxRow(msgspec.Struct, frozen=True):
    """How far a person has read everything. ``id`` is that of the stream."""

    id: UUID
    read_up_to: int


class InboxState(msgspec.Struct, frozen=True):
    """How an inbox stands: what is read, its ``newest`` position (0: it is empty), what is not.

    ``unread`` counts no further than MOST_UNREAD.
    """

    read_up_to: int
    newest: int
    unread: int


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """A notification's row has its stream's id; one that is in no inbox has none."""
    event = recorded.event
    if isinstance(event, NotificationReceived) and not event.in_inbox:
        return ()
    return ((recorded.stream_id,),)


def fold(row: NotificationRow | None, recorded: Recorded[Any]) -> NotificationRow | None:
    """The row after the event."""
    event = recorded.event
    if isinstance(event, NotificationReceived):
        about = event.about
        return NotificationRow(
            id=recorded.stream_id,
            position=recorded.position,
            account_id=event.account_id,
            kind=event.kind,
            request_id=about.request_id,
            title=about.title,
            year=about.year,
            detail=about.detail,
            awaits_approval=about.awaits_approval,
            at=about.at,
        )
    if row is None:
        raise LookupError(f"{type(event).__name__} without a notification")
    return msgspec.structs.replace(row, read_at=recorded.at)


def inbox_keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """An inbox's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold_inbox(_: InboxRow | None, recorded: Recorded[Any]) -> InboxRow | None:
    """The row after the event."""
    return InboxRow(recorded.stream_id, recorded.event.up_to)


NOTIFICATIONS: ReadModel[NotificationRow] = ReadModel(
    name="notifications",
    version=1,
    row=NotificationRow,
    key=("id",),
    events=(NotificationReceived, NotificationRead),
    keys=keys,
    fold=fold,
    indexes=("account_id, position",),
    other_indexes=("(account_id, position) WHERE read_at IS NULL",),
)
INBOXES: ReadModel[InboxRow] = ReadModel(
    name="inboxes",
    version=1,
    row=InboxRow,
    key=("id",),
    events=(InboxRead,),
    keys=inbox_keys,
    fold=fold_inbox,
)


class NotificationQueries:
    """What can be asked of inboxes."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def state(self, account_id: UUID) -> InboxState:
        """How the person's inbox stands."""
        (state,) = await select(
            self._pool,
            InboxState,
            "SELECT mark.read_up_to,"
            " (SELECT coalesce(max(position), 0) FROM notifications_v1 WHERE account_id = %s)"
            " AS newest,"
            " (SELECT count(*) FROM (SELECT FROM notifications_v1 WHERE account_id = %s"
            " AND read_at IS NULL AND position > mark.read_up_to LIMIT %s) AS counted) AS unread"
            " FROM (SELECT coalesce((SELECT read_up_to FROM inboxes_v1 WHERE id = %s), 0)"
            " AS read_up_to) AS mark",
            [account_id, account_id, MOST_UNREAD, inbox_id(account_id)],
        )
        return state

    async def page(
        self, account_id: UUID, *, unread_from: int | None, before: int | None, limit: int
    ) -> Sequence[NotificationRow]:
        """The newest ``limit`` of a person, from before the position ``before``.

        With ``unread_from`` only those from behind that position that were not read.
        """
        matching, values = where(
            ("account_id = %s", account_id),
            ("position < %s", before),
            ("read_at IS NULL AND position > %s", unread_from),
        )
        return await select(
            self._pool,
            NotificationRow,
            f"SELECT * FROM notifications_v1 {matching} ORDER BY position DESC LIMIT %s",
            [*values, limit],
        )
