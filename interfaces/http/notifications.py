"""One's own inbox, and how what one was told made its way outside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from domain.notifications.inbox import UnknownNotification
from domain.notifications.kinds import NoticeKind
from domain.permissions import Action
from interfaces.http.call import Call, NoQuery, Position, ReadQuery
from interfaces.http.cursors import Cursor, cursor_of, position_of
from interfaces.http.errors import NOT_LET_IN, ReadModelBehind, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import Invalid
from interfaces.views import NotificationView, notification_view
from projections.deliveries import DELIVERIES, DeliveryStatus
from projections.notifications import INBOXES, MOST_UNREAD, NOTIFICATIONS


class NotificationsQuery(ReadQuery, frozen=True):
    """Which notifications to list; with ``unread`` only those. ``cursor`` is of the last page."""

    unread: bool = False
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class NotificationPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of an inbox, and how much of all is unread. On the last, no ``next_cursor``."""

    items: Sequence[NotificationView]
    next_cursor: str | None
    unread: Annotated[int, Meta(description=f"Counted up to {MOST_UNREAD}, which may be more.")]


class ReadAllQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """``up_to`` is the ``position`` of the newest that one has seen; without it, all is read."""

    up_to: Position | None = None


class DeliveriesQuery(ReadQuery, frozen=True):
    """Which deliveries to list. ``cursor`` is the ``nextCursor`` of the last page."""

    channel_id: UUID | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class DeliveryView(msgspec.Struct, frozen=True, rename="camel"):
    """A notification on its way by a channel, after its last attempt.

    ``reason`` is why the last attempt that failed did so; ``title`` is that of the request.
    """

    id: UUID
    notification_id: UUID
    channel_id: UUID
    kind: NoticeKind
    title: str
    status: DeliveryStatus
    attempts: int
    reason: str | None
    next_attempt_at: datetime | None
    updated_at: datetime


class DeliveryPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of deliveries. On the last, ``next_cursor`` is null."""

    items: Sequence[DeliveryView]
    next_cursor: str | None


@get(
    "/notifications",
    summary="List notifications",
    opt={"action": Action.SEE_NOTIFICATIONS},
    operation_class=asks(NotificationsQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_notifications(request: Call) -> NotificationPage:
    """One's own, newest first."""
    query = request.query(NotificationsQuery)
    for read_model in (NOTIFICATIONS, INBOXES):
        await request.shown(query, read_model.table)
    queries, account_id = request.doors.notification_queries, request.caller.account_id
    state = await queries.state(account_id)
    rows = await queries.page(
        account_id,
        unread_from=state.read_up_to if query.unread else None,
        before=position_of(query.cursor),
        limit=query.limit + 1,
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return NotificationPage(
        [notification_view(row, state.read_up_to) for row in shown],
        cursor_of(shown[-1].position) if more else None,
        state.unread,
    )


@post(
    "/notifications/{notification_id:uuid}/read",
    summary="Say that one has read a notification",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    status_code=204,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, UnknownNotification, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def read_notification(request: Call, notification_id: FromPath[UUID]) -> Response[None]:
    """Once is enough."""
    request.query(NoQuery)
    read = await request.doors.inboxes.read(
        notification_id, request.caller.account_id, request.context()
    )
    return Response(None, status_code=204, headers={"X-Position": str(read.position)})


@post(
    "/notifications/read-all",
    summary="Say that one has read every notification",
    opt={"action": Action.CHANGE_NOTIFICATIONS},
    operation_class=asks(ReadAllQuery),
    status_code=204,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def read_all_notifications(request: Call) -> Response[None]:
    """With `upTo` nothing is lost that came while one was reading."""
    query = request.query(ReadAllQuery)
    doors, account_id = request.doors, request.caller.account_id
    if query.up_to is None:
        up_to = (await doors.notification_queries.state(account_id)).newest
    else:
        up_to = min(query.up_to, doors.feed.head)  # nobody has read what is to come
    read = await doors.inboxes.read_all(account_id, up_to, request.context())
    return Response(None, status_code=204, headers={"X-Position": str(read.position)})


@get(
    "/notifications/deliveries",
    summary="List deliveries",
    opt={"action": Action.SEE_NOTIFICATIONS},
    operation_class=asks(DeliveriesQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_deliveries(request: Call) -> DeliveryPage:
    """What went out, or tries to, by one's own channels, newest first."""
    query = request.query(DeliveriesQuery)
    await request.shown(query, DELIVERIES.table)
    rows = await request.doors.delivery_queries.page(
        request.caller.account_id,
        query.channel_id,
        before=position_of(query.cursor),
        limit=query.limit + 1,
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return DeliveryPage(
        [msgspec.convert(row, DeliveryView, from_attributes=True) for row in shown],
        cursor_of(shown[-1].begun_position) if more else None,
    )
