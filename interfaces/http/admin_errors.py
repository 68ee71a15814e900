"""The errors nobody expected, for admins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from domain.permissions import Action
from interfaces.http.call import Call, ReadQuery
from interfaces.http.cursors import TimeCursor, time_cursor_of, time_of
from interfaces.http.errors import NOT_LET_IN, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, asks
from interfaces.input import Invalid


class ErrorsQuery(ReadQuery, frozen=True):
    """Which page of errors. ``cursor`` is the ``nextCursor`` of the last one.

    No event makes an error, so ``after`` has nothing to wait for.
    """

    cursor: TimeCursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class ErrorView(msgspec.Struct, frozen=True, rename="camel"):
    """All errors of one kind from one place of our code, counted.

    ``frames`` are the way through our code, outermost first, as ``module:function:line``.
    """

    fingerprint: str
    kind: str
    place: str
    caught_in: str
    message: str
    frames: tuple[str, ...]
    critical: bool
    process: str
    count: int
    first_at: datetime
    last_at: datetime
    first_correlation_id: str | None
    last_correlation_id: str | None


class ErrorPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of errors. On the last, ``next_cursor`` is null."""

    items: Sequence[ErrorView]
    next_cursor: str | None


@get(
    "/admin/errors",
    summary="List unexpected errors",
    opt={"action": Action.SEE_ERRORS},
    operation_class=asks(ErrorsQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, *NOT_LET_IN),
)
async def list_errors(request: Call) -> ErrorPage:
    """Those that came last come first; each is written down within a second or two."""
    query = request.query(ErrorsQuery)
    errors = await request.doors.error_log.page(
        before=time_of(query.cursor),
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = errors[: query.limit], errors[query.limit :]
    return ErrorPage(
        [msgspec.convert(error, ErrorView, from_attributes=True) for error in shown],
        time_cursor_of(shown[-1].last_at, shown[-1].fingerprint) if more else None,
    )
