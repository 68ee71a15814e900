"""Asking for films and series, and seeing what became of it."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from application.media_requests import Wish
from application.ports import (
    CatalogueUnavailable,
    StoreBusy,
    StoreUnavailable,
    UnknownTitle,
    UnreadableStream,
)
from domain.accounts import Role
from domain.catalog import tag_of
from domain.kernel import Event, History, Recorded
from domain.media_requests import (
    AlreadyRequested,
    Media,
    MediaType,
    NotRequested,
    RequestStatus,
    UnknownSeasons,
)
from interfaces.http.authentication import require_own
from interfaces.http.call import Call, Position, ReadQuery
from interfaces.http.errors import (
    BAD_BODY,
    Forbidden,
    ReadModelBehind,
    Unauthenticated,
    refusals,
    request_href,
)
from interfaces.http.openapi import ETAG, LOCATION, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import NO_NUL, FieldError, Invalid
from interfaces.views import MediaRequestView, public_data, row_after, view_of
from interfaces.wording import in_words
from projections.media_requests import MEDIA_REQUESTS, RequestFilter

TmdbId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Season = Annotated[int, Meta(ge=0, le=9999, description="0 is the specials.")]


class MediaWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What to ask for. The catalogue's own name wins over ``title``.

    No ``seasons`` of a series means all of it; a film has none.
    """

    media_type: MediaType
    tmdb_id: TmdbId
    title: Annotated[str, Meta(max_length=500)] | None = None
    seasons: Annotated[tuple[Season, ...], Meta(min_length=1, max_length=500)] | None = None
    is4k: bool = False
    note: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None


class ListQuery(ReadQuery, frozen=True):
    """Which requests to list, newest first. ``cursor`` is the ``nextCursor`` of the last page."""

    status: RequestStatus | None = None
    media_type: MediaType | None = None
    requested_by: UUID | None = None
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class MediaRequestPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of requests. No ``next_cursor`` means that it is the last."""

    items: Sequence[MediaRequestView]
    next_cursor: str | None


class HistoryEntry(msgspec.Struct, frozen=True):
    """One event of a request. ``type`` names what happened, ``words`` say it to a person."""

    position: int
    version: int
    at: datetime
    type: str
    actor: str
    words: str
    data: dict[str, Any]


class MediaRequestHistory(msgspec.Struct, frozen=True):
    """Everything that happened to a request, in order."""

    items: Sequence[HistoryEntry]


@post(
    "/media/request",
    summary="Ask for a film or a series",
    response_headers=[LOCATION, X_POSITION],
    responses=refusals(
        *BAD_BODY,
        UnknownSeasons,
        Unauthenticated,
        UnknownTitle,
        AlreadyRequested,
        CatalogueUnavailable,
        StoreBusy,
        StoreUnavailable,
        UnreadableStream,
    ),
)
async def request_media(request: Call, data: JSONBody[MediaWish]) -> Response[MediaRequestView]:
    """Answers once the request is durable; Overseerr is told right after."""
    if data.seasons is not None and data.media_type is MediaType.MOVIE:
        raise Invalid([FieldError("seasons", "A film has no seasons.")])
    wish = Wish(
        Media(data.media_type, data.tmdb_id, data.is4k),
        seasons=tuple(sorted(set(data.seasons))) if data.seasons else None,
        note=data.note,
    )
    use_cases = request.doors.media_requests
    request_id, executed = await use_cases.request_media(
        wish, request.caller.account_id, request.context()
    )
    row = row_after(await use_cases.history(request_id))
    if row is None:
        raise NotRequested
    return Response(
        view_of(row),
        headers={"Location": request_href(request_id), "X-Position": str(executed.position)},
    )


@get(
    "/media/requests",
    summary="List requests",
    operation_class=asks(ListQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED
    | refusals(Invalid, Unauthenticated, Forbidden, StoreUnavailable, ReadModelBehind),
)
async def list_requests(request: Call) -> MediaRequestPage:
    """One's own requests, newest first; those of everybody for admins."""
    query = request.query(ListQuery)
    caller = request.caller
    requested_by = query.requested_by
    if caller.role is not Role.ADMIN:
        requested_by = requested_by or caller.account_id
        require_own(caller, requested_by)
    before = None if query.cursor is None else _position_of(query.cursor)
    await request.shown(query, MEDIA_REQUESTS.table)
    rows = await request.doors.request_queries.page(
        RequestFilter(query.status, query.media_type, requested_by),
        before=before,
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return MediaRequestPage(
        [view_of(row) for row in shown],
        _cursor_of(shown[-1].requested_position) if more else None,
    )


@get(
    "/media/requests/{request_id:uuid}",
    summary="One request",
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED
    | refusals(
        Invalid, Unauthenticated, Forbidden, NotRequested, StoreUnavailable, ReadModelBehind
    ),
)
async def show_request(request: Call, request_id: FromPath[UUID]) -> MediaRequestView:
    """A request of one's own, or any for admins."""
    await request.shown(request.query(ReadQuery), MEDIA_REQUESTS.table)
    row = await request.doors.request_queries.find(request_id)
    if row is None:
        raise NotRequested
    require_own(request.caller, row.requested_by)
    return view_of(row)


@get(
    "/media/requests/{request_id:uuid}/history",
    summary="What happened to a request",
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED
    | refusals(Invalid, Unauthenticated, Forbidden, NotRequested, StoreUnavailable),
)
async def show_history(request: Call, request_id: FromPath[UUID]) -> MediaRequestHistory:
    """Every event in order: who, when, and what."""
    request.query(ReadQuery)  # the history is the stream itself, which is never behind
    history = await request.doors.media_requests.history(request_id)
    row = row_after(history[:1])
    if row is None:
        raise NotRequested
    require_own(request.caller, row.requested_by)
    return MediaRequestHistory(_entries(history))


def _entries(history: History) -> list[HistoryEntry]:
    return [_entry(recorded) for recorded in history]


def _entry(recorded: Recorded[Any]) -> HistoryEntry:
    event: Event = recorded.event
    return HistoryEntry(
        position=recorded.position,
        version=recorded.version,
        at=recorded.at,
        type=tag_of(type(event)),
        actor=recorded.metadata.actor,
        words=in_words(recorded.event),
        data=public_data(event),
    )


def _cursor_of(position: int) -> str:
    """Opaque, so that what it means may change."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _position_of(cursor: str) -> int:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(
            base64.b64decode(padded, altchars=b"-_", validate=True),
            type=Position,
        )
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError):
        raise Invalid([FieldError("cursor", "Must be the nextCursor of a page.")]) from None
