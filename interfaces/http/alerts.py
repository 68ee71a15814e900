"""What needs a person, for admins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from domain.alerts import UnknownAlert
from domain.kernel import History
from domain.permissions import Action
from interfaces.http.call import Call, NoQuery, ReadQuery
from interfaces.http.cursors import Cursor, cursor_of, position_of
from interfaces.http.errors import NOT_LET_IN, ReadModelBehind, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import Invalid
from projections import alerts
from projections.alerts import ALERTS, AlertRow


class AlertsQuery(ReadQuery, frozen=True):
    """Which alerts to list. ``cursor`` is the ``nextCursor`` of the last page."""

    open: bool | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class AlertView(msgspec.Struct, frozen=True, rename="camel"):
    """An alert as it was last raised, and how often it has happened since (``times``).

    It is ``open`` until it is over, whether anybody has seen it or not.
    """

    id: UUID
    kind: str
    subject: str
    title: str
    detail: str
    raised_at: datetime
    last_at: datetime
    times: int
    open: bool
    version: int
    updated_at: datetime
    acknowledged_by: UUID | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None


class AlertPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of alerts. On the last, ``next_cursor`` is null."""

    items: Sequence[AlertView]
    next_cursor: str | None


@get(
    "/admin/alerts",
    summary="List alerts",
    opt={"action": Action.SEE_ALERTS},
    operation_class=asks(AlertsQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_alerts(request: Call) -> AlertPage:
    """Newest first; with ``open`` only those that are, or are not, over."""
    query = request.query(AlertsQuery)
    await request.shown(query, ALERTS.table)
    rows = await request.doors.alert_queries.page(
        is_open=query.open, before=position_of(query.cursor), limit=query.limit + 1
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return AlertPage(
        [_view_of(row) for row in shown],
        cursor_of(shown[-1].raised_position) if more else None,
    )


@post(
    "/admin/alerts/{alert_id:uuid}/acknowledge",
    summary="Say that one has seen an alert",
    opt={"action": Action.ACKNOWLEDGE_ALERT},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, UnknownAlert, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def acknowledge_alert(request: Call, alert_id: FromPath[UUID]) -> Response[AlertView]:
    """Once is enough: of those who say so, the first one is kept."""
    request.query(NoQuery)
    use_cases = request.doors.alerts
    executed = await use_cases.acknowledge(alert_id, request.caller.account_id, request.context())
    return Response(
        _view_of(_row_after(await use_cases.history(alert_id))),
        headers={"X-Position": str(executed.position)},
    )


def _view_of(row: AlertRow) -> AlertView:
    return msgspec.convert(row, AlertView, from_attributes=True)


def _row_after(history: History) -> AlertRow:
    row = None
    for recorded in history:
        row = alerts.fold(row, recorded)
    if row is None:
        raise UnknownAlert
    return row
