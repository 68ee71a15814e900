"""Asking for films and series, and seeing what became of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import Meta

from application.media_requests import Wish
from application.ports import CatalogueUnavailable, StoreBusy, UnknownTitle, UnreadableStream
from domain.kernel import Event, Recorded
from domain.media_requests import (
    AlreadyAvailable,
    AlreadyRequested,
    Episode,
    ForwardingAbandoned,
    Media,
    MediaRequestExtended,
    MediaRequestForwarded,
    MediaType,
    NotRequested,
    RequestStatus,
    UnknownSeasons,
)
from domain.permissions import Action, Whose
from domain.quotas import QuotaUsedUp
from interfaces.http.call import Call, Position, ReadQuery
from interfaces.http.cursors import MarkCursor, mark_cursor_of, mark_of
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, ReadModelBehind, refusals, request_href
from interfaces.http.openapi import (
    ETAG,
    LOCATION,
    NOT_MODIFIED,
    PREFERENCE_APPLIED,
    X_POSITION,
    asks,
    perhaps,
    takes,
)
from interfaces.http.prefer import PREFER, patience_of
from interfaces.input import NO_NUL, FieldError, Invalid
from interfaces.views import MediaRequestView, row_after, view_of
from projections.media_requests import MEDIA_REQUESTS, Mark, MediaRequestRow, RequestFilter, Sort

TmdbId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Season = Annotated[int, Meta(ge=0, le=9999, description="0 is the specials.")]


class EpisodeWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One episode of a series."""

    season: Season
    number: Annotated[int, Meta(ge=1, le=9999)]


class MediaWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What to ask for. The catalogue's own name wins over ``title``.

    Neither ``seasons`` nor ``episodes`` of a series means all of it; a film has none. A season that
    is asked for whole includes its episodes.
    """

    media_type: MediaType
    tmdb_id: TmdbId
    title: Annotated[str, Meta(max_length=500)] | None = None
    seasons: Annotated[tuple[Season, ...], Meta(min_length=1, max_length=500)] | None = None
    episodes: Annotated[tuple[EpisodeWish, ...], Meta(min_length=1, max_length=500)] | None = None
    is4k: bool = False
    note: Annotated[str, Meta(max_length=500, pattern=NO_NUL)] | None = None

    RULES: ClassVar[Any] = {
        "oneOf": [
            {
                "title": "A film",
                "properties": {
                    "mediaType": {"const": "movie"},
                    "seasons": {"type": "null"},
                    "episodes": {"type": "null"},
                },
            },
            {"title": "A series", "properties": {"mediaType": {"const": "tv"}}},
        ]
    }


class FilterQuery(ReadQuery, frozen=True):
    """Which requests are meant.

    ``awaits_approval`` are those of which at least a part waits for an admin's word, ``following``
    those that one follows. Each word of ``q`` must begin a word of the title.
    """

    status: RequestStatus | None = None
    media_type: MediaType | None = None
    requested_by: UUID | None = None
    is4k: bool | None = None
    awaits_approval: bool | None = None
    following: bool = False
    q: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)] | None = None
    sort: Sort = Sort.NEWEST


class ListQuery(FilterQuery, frozen=True):
    """Which requests to list. ``cursor`` is the ``nextCursor`` of the last page, in one order."""

    cursor: MarkCursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class ItemQuery(ReadQuery, frozen=True):
    """As of when the request is wanted; with both, as of the earlier."""

    at: Annotated[datetime, Meta(tz=True)] | None = None
    position: Position | None = None

    def covers(self, recorded: Recorded[Event]) -> bool:
        """Whether the event had happened by then."""
        return (self.at is None or recorded.at <= self.at) and (
            self.position is None or recorded.position <= self.position
        )


class CountsQuery(ReadQuery, frozen=True):
    """Whose requests to count."""

    requested_by: UUID | None = None


class MediaRequestPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of requests. On the last, ``next_cursor`` is null."""

    items: Sequence[MediaRequestView]
    next_cursor: str | None


class RequestCounts(msgspec.Struct, frozen=True):
    """How many requests there are, by status and in all."""

    counts: dict[RequestStatus, int]
    total: int


MORE_OF_IT = {
    200: ResponseSpec(
        MediaRequestView,
        generate_examples=False,
        description="More of a series was asked for, and its request has it now.",
    )
}


@post(
    "/media/request",
    summary="Ask for a film or a series",
    opt={"action": Action.REQUEST_MEDIA},
    operation_class=takes(PREFER),
    response_headers=[LOCATION, X_POSITION, perhaps(PREFERENCE_APPLIED)],
    responses=MORE_OF_IT
    | refusals(
        *BAD_BODY,
        UnknownSeasons,
        UnknownTitle,
        AlreadyRequested,
        AlreadyAvailable,
        QuotaUsedUp,
        CatalogueUnavailable,
        StoreBusy,
        UnreadableStream,
        *NOT_LET_IN,
    ),
)
async def request_media(request: Call, data: JSONBody[MediaWish]) -> Response[MediaRequestView]:
    """Answers once the request is durable; Overseerr is told right after.

    With `Prefer: wait=N` it answers when Overseerr has taken or refused the request, or after N
    seconds. Of a series whose request is active, what it does not have yet is added to it.
    """
    use_cases, caller = request.doors.media_requests, request.caller
    context = request.context()
    request_id, executed = await use_cases.request_media(
        _wish(data), caller.account_id, context, role=caller.role
    )
    headers = {"Location": request_href(request_id), "X-Position": str(executed.position)}
    patience = patience_of(request)
    if patience is not None:
        headers["Preference-Applied"] = f"wait={patience.seconds}"
        if executed.state.status is RequestStatus.PENDING:
            await _outcome(request, request_id, executed.position, patience)
    history = await use_cases.history(request_id)
    row = row_after(history)
    if row is None:
        raise NotRequested
    extended = any(
        isinstance(recorded.event, MediaRequestExtended)
        for recorded in history
        if recorded.metadata.command_id == context.command_id
    )
    status = HTTP_200_OK if extended else HTTP_201_CREATED
    return Response(view_of(row), status_code=status, headers=headers)


def _wish(data: MediaWish) -> Wish:
    """Raises Invalid."""
    parts = {"seasons": data.seasons, "episodes": data.episodes}
    given = [name for name, part in parts.items() if part is not None]
    if data.media_type is MediaType.MOVIE and given:
        raise Invalid([FieldError(name, f"A film has no {name}.") for name in given])
    return Wish(
        Media(data.media_type, data.tmdb_id, data.is4k),
        seasons=data.seasons,
        note=data.note,
        episodes=tuple(Episode(each.season, each.number) for each in data.episodes or ()),
    )


async def _outcome(request: Call, request_id: UUID, position: int, patience: timedelta) -> None:
    """Wait until Overseerr has the request, or will not have it; or until patience ends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience.total_seconds()):
            async for page in request.doors.feed.subscribe(after=position):
                if any(
                    recorded.stream_id == request_id
                    and isinstance(recorded.event, MediaRequestForwarded | ForwardingAbandoned)
                    for recorded in page
                ):
                    return


@get(
    "/media/requests",
    summary="List requests",
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(ListQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_requests(request: Call) -> MediaRequestPage:
    """One's own requests, or those that one follows; those of everybody for admins."""
    query = request.query(ListQuery)
    wanted = filter_of(request, query)
    after = mark_of(query.cursor)
    await request.shown(query, MEDIA_REQUESTS.table)
    rows = await request.doors.request_queries.page(
        wanted,
        query.sort,
        after=after,
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return MediaRequestPage(
        [view_of(row) for row in shown],
        mark_cursor_of(Mark.of(shown[-1], query.sort)) if more else None,
    )


@get(
    "/media/requests/counts",
    summary="Count requests",
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(CountsQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def count_requests(request: Call) -> RequestCounts:
    """One's own requests by status; those of everybody for admins."""
    query = request.query(CountsQuery)
    requested_by = _whose(request, query.requested_by)
    await request.shown(query, MEDIA_REQUESTS.table)
    counts = await request.doors.request_queries.counts(requested_by)
    return RequestCounts(counts, sum(counts.values()))


@get(
    "/media/requests/{request_id:uuid}",
    summary="One request",
    opt={"action": Action.SEE_REQUEST},
    operation_class=asks(ItemQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, NotRequested, ReadModelBehind, *NOT_LET_IN),
)
async def show_request(request: Call, request_id: FromPath[UUID]) -> MediaRequestView:
    """A request of one's own, or one that one follows; any for admins.

    As it stands, or as it stood at a time or a position, to those who could see it then.
    """
    query = request.query(ItemQuery)
    await request.shown(query, MEDIA_REQUESTS.table)
    if query.at is None and query.position is None:
        row = await request.doors.request_queries.find(request_id)
    else:
        history = await request.doors.media_requests.history(request_id)
        row = row_after(recorded for recorded in history if query.covers(recorded))
    if row is None:
        raise NotRequested
    see(request, row)
    return view_of(row)


def see(request: Call, row: MediaRequestRow) -> None:
    """Make sure that the caller may see it: to who hears of it, it is their own. Raises Forbidden.

    403 rather than 404, see ``Call.require``.
    """
    own = request.caller.account_id in row.hearers
    request.require(request.caller.account_id if own else row.requested_by)


def filter_of(request: Call, query: FilterQuery) -> RequestFilter:
    """What the query asks for, as far as the caller may see it. Raises Forbidden."""
    caller = request.caller.account_id
    return RequestFilter(
        status=query.status,
        media_type=query.media_type,
        requested_by=query.requested_by if query.following else _whose(request, query.requested_by),
        is4k=query.is4k,
        awaits_approval=query.awaits_approval,
        followed_by=caller if query.following else None,
        words=query.q,
    )


def _whose(request: Call, requested_by: UUID | None) -> UUID | None:
    """Whose requests are meant; ``None`` is everybody's. Raises Forbidden."""
    if Whose.OTHERS in request.caller.reach(request.action):
        return requested_by
    requested_by = requested_by or request.caller.account_id
    request.require(requested_by)
    return requested_by
