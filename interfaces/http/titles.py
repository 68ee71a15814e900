"""Finding films and series, and what has become of who asked for them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter
from msgspec import Meta

from application.ports import CatalogueUnavailable, FoundTitle, TitleDetails, UnknownTitle
from domain.media_requests import Media, MediaType, RequestStatus, media_request_id
from domain.permissions import Action
from interfaces.http.call import Call, ReadQuery
from interfaces.http.errors import NOT_LET_IN, ReadModelBehind, refusals, request_href
from interfaces.http.openapi import ETAG, NOT_MODIFIED, asks
from interfaces.input import Invalid
from projections.media_requests import MEDIA_REQUESTS, MediaRequestRow

LAST_PAGE = 500
LARGEST_ID = 2**31 - 1
TmdbId = Annotated[int, PathParameter(schema_extra={"minimum": 1, "maximum": LARGEST_ID})]
"""Any other number is an address where there is nothing, rather than a wrong parameter."""
Rows: TypeAlias = Mapping[UUID, MediaRequestRow]


class SearchQuery(ReadQuery, frozen=True, kw_only=True):
    """What to search for; films, series and people are searched, and people left out."""

    q: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            pattern=r"\S",
            description="A name, or a part of it.",
            extra={"words": "a text of 1 to 200 characters that is not blank"},
        ),
    ]
    page: Annotated[int, Meta(ge=1, le=LAST_PAGE)] = 1


class TitleRequestView(msgspec.Struct, frozen=True, rename="camel"):
    """The request for a title in one quality, whoever made it; ``mine`` is whether you did.

    ``seasons`` is null for a film, and for a whole series.
    """

    id: UUID
    href: str
    status: RequestStatus
    seasons: tuple[int, ...] | None
    requested_at: datetime
    mine: bool


class FoundTitleView(msgspec.Struct, frozen=True, rename="camel"):
    """A title that was found. ``request`` and ``request4k`` are null where nobody has asked."""

    media_type: MediaType
    tmdb_id: int
    title: str
    original_title: str
    overview: str
    year: int | None
    release_date: date | None
    poster_path: str | None
    backdrop_path: str | None
    rating: float | None
    request: TitleRequestView | None
    request4k: TitleRequestView | None


class SearchView(msgspec.Struct, frozen=True, rename="camel"):
    """One page of what was found.

    ``total_results`` counts people as well, who are left out of ``items``; so a page that is not
    the last may have few of them.
    """

    items: Sequence[FoundTitleView]
    page: int
    total_pages: int
    total_results: int


class SeasonView(msgspec.Struct, frozen=True, rename="camel"):
    """A season of a series; number 0 is the specials."""

    number: int
    name: str
    episodes: int
    air_date: date | None


class TitleView(msgspec.Struct, frozen=True, rename="camel"):
    """All about a title. ``runtime`` is in minutes; a film has no ``seasons``.

    ``production`` is how far its making is, in TMDB's words. ``request`` and ``request4k`` are null
    where nobody has asked.
    """

    media_type: MediaType
    tmdb_id: int
    title: str
    original_title: str
    overview: str
    year: int | None
    release_date: date | None
    poster_path: str | None
    backdrop_path: str | None
    rating: float | None
    genres: tuple[str, ...]
    production: str | None
    runtime: int | None
    imdb_id: str | None
    tvdb_id: int | None
    seasons: Sequence[SeasonView]
    request: TitleRequestView | None
    request4k: TitleRequestView | None


@get(
    "/media/search",
    summary="Search for films and series",
    opt={"action": Action.SEE_TITLES},
    operation_class=asks(SearchQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, CatalogueUnavailable, ReadModelBehind, *NOT_LET_IN),
)
async def search_titles(request: Call) -> SearchView:
    """Each title with our request for it. While the catalogue is away, that is told, not hidden."""
    query = request.query(SearchQuery)
    await request.shown(query, MEDIA_REQUESTS.table)
    found = await request.doors.catalogue.search(query.q, query.page)
    shown = ((title.media_type, title.tmdb_id) for title in found.titles)
    rows = await _requests_of(request, shown)
    return SearchView(
        [_found_view(title, rows, request.caller.account_id) for title in found.titles],
        found.page,
        found.total_pages,
        found.total_results,
    )


@get(
    "/media/movie/{tmdb_id:int}",
    summary="A film",
    opt={"action": Action.SEE_TITLES},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED
    | refusals(
        Invalid,
        NotFoundException,
        UnknownTitle,
        CatalogueUnavailable,
        ReadModelBehind,
        *NOT_LET_IN,
    ),
)
async def show_film(request: Call, tmdb_id: TmdbId) -> TitleView:
    """What TMDB says of it, with our requests."""
    return await _title(request, MediaType.MOVIE, tmdb_id)


@get(
    "/media/tv/{tmdb_id:int}",
    summary="A series",
    opt={"action": Action.SEE_TITLES},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED
    | refusals(
        Invalid,
        NotFoundException,
        UnknownTitle,
        CatalogueUnavailable,
        ReadModelBehind,
        *NOT_LET_IN,
    ),
)
async def show_series(request: Call, tmdb_id: TmdbId) -> TitleView:
    """What TMDB says of it and of its seasons, with our requests."""
    return await _title(request, MediaType.TV, tmdb_id)


async def _title(request: Call, media_type: MediaType, tmdb_id: int) -> TitleView:
    query = request.query(ReadQuery)
    if not 1 <= tmdb_id <= LARGEST_ID:
        raise NotFoundException
    await request.shown(query, MEDIA_REQUESTS.table)
    details = await request.doors.catalogue.describe(media_type, tmdb_id)
    rows = await _requests_of(request, [(media_type, tmdb_id)])
    return _title_view(media_type, tmdb_id, details, rows, request.caller.account_id)


async def _requests_of(request: Call, titles: Iterable[tuple[MediaType, int]]) -> Rows:
    """The requests for the titles in both qualities, in one read."""
    ids = [media_request_id(Media(*title, is4k=is4k)) for title in titles for is4k in (False, True)]
    rows = await request.doors.request_queries.find_all(ids) if ids else ()
    return {row.id: row for row in rows}


def _found_view(title: FoundTitle, rows: Rows, viewer: UUID) -> FoundTitleView:
    media = Media(title.media_type, title.tmdb_id)
    return FoundTitleView(
        media_type=title.media_type,
        tmdb_id=title.tmdb_id,
        title=title.name,
        original_title=title.original_name,
        overview=title.overview,
        year=title.year,
        release_date=title.released,
        poster_path=title.poster_path,
        backdrop_path=title.backdrop_path,
        rating=title.rating,
        request=_request_view(media, rows, viewer),
        request4k=_request_view(msgspec.structs.replace(media, is4k=True), rows, viewer),
    )


def _title_view(
    media_type: MediaType, tmdb_id: int, details: TitleDetails, rows: Rows, viewer: UUID
) -> TitleView:
    media = Media(media_type, tmdb_id)
    return TitleView(
        media_type=media_type,
        tmdb_id=tmdb_id,
        title=details.title.name,
        original_title=details.original_name,
        overview=details.overview,
        year=details.title.year,
        release_date=details.released,
        poster_path=details.title.poster_path,
        backdrop_path=details.backdrop_path,
        rating=details.rating,
        genres=details.genres,
        production=details.production,
        runtime=details.runtime,
        imdb_id=details.imdb_id,
        tvdb_id=details.title.tvdb_id,
        seasons=[
            SeasonView(season.number, season.name, season.episodes, season.aired)
            for season in details.seasons
        ],
        request=_request_view(media, rows, viewer),
        request4k=_request_view(msgspec.structs.replace(media, is4k=True), rows, viewer),
    )


def _request_view(media: Media, rows: Rows, viewer: UUID) -> TitleRequestView | None:
    row = rows.get(media_request_id(media))
    if row is None:
        return None
    return TitleRequestView(
        id=row.id,
        href=request_href(row.id),
        status=row.status,
        seasons=row.seasons,
        requested_at=row.requested_at,
        mine=row.requested_by == viewer,
    )
