"""Asking for films and series, and seeing what became of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from application.media_requests import Wish
from application.ports import (
    CatalogueUnavailable,
    StoreBusy,
    UnknownTitle,
    UnreadableStream,
)
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
from domain.permissions import Action, Whose
from interfaces.http.call import Call, ReadQuery
from interfaces.http.cursors import Cursor, cursor_of, position_of
from interfaces.http.errors import (
    BAD_BODY,
    NOT_LET_IN,
    ReadModelBehind,
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

    RULES: ClassVar[Any] = {
        "oneOf": [
            {
                "title": "A film",
                "properties": {"mediaType": {"const": "movie"}, "seasons": {"type": "null"}},
            },
            {"title": "A series", "properties": {"mediaType": {"const": "tv"}}},
        ]
    }


class ListQuery(ReadQuery, frozen=True):
    """Which requests to list, newest first. ``cursor`` is the ``nextCursor`` of the last page."""

    status: RequestStatus | None = None
    media_type: MediaType | None = None
    requested_by: UUID | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class MediaRequestPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of requests. On the last, ``next_cursor`` is null."""

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
    opt={"action": Action.REQUEST_MEDIA},
    response_headers=[LOCATION, X_POSITION],
    responses=refusals(
        *BAD_BODY,
        UnknownSeasons,
        UnknownTitle,
        AlreadyRequested,
        CatalogueUnavailable,
        StoreBusy,
        UnreadableStream,
        *NOT_LET_IN,
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
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(ListQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_requests(request: Call) -> MediaRequestPage:
    """One's own requests, newest first; those of everybody for admins."""
    query = request.query(ListQuery)
    caller = request.caller
    requested_by = query.requested_by
    if Whose.OTHERS not in caller.reach(request.action):
        requested_by = requested_by or caller.account_id
        request.require(requested_by)
    before = position_of(query.cursor)
    await request.shown(query, MEDIA_REQUESTS.table)
    rows = await request.doors.request_queries.page(
        RequestFilter(query.status, query.media_type, requested_by),
        before=before,
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return MediaRequestPage(
        [view_of(row) for row in shown],
        cursor_of(shown[-1].requested_position) if more else None,
    )


@get(
    "/media/requests/{request_id:uuid}",
    summary="One request",
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, NotRequested, ReadModelBehind, *NOT_LET_IN),
)
async def show_request(request: Call, request_id: FromPath[UUID]) -> MediaRequestView:
    """A request of one's own, or any for admins."""
    await request.shown(request.query(ReadQuery), MEDIA_REQUESTS.table)
    row = await request.doors.request_queries.find(request_id)
    if row is None:
        raise NotRequested
    request.require(row.requested_by)
    return view_of(row)


@get(
    "/media/requests/{request_id:uuid}/history",
    summary="What happened to a request",
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, NotRequested, *NOT_LET_IN),
)
async def show_history(request: Call, request_id: FromPath[UUID]) -> MediaRequestHistory:
    """Every event in order: who, when, and what."""
    request.query(ReadQuery)  # the history is the stream itself, which is never behind
    history = await request.doors.media_requests.history(request_id)
    row = row_after(history[:1])
    if row is None:
        raise NotRequested
    request.require(row.requested_by)
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
