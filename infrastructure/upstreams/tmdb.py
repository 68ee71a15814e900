"""Titles from The Movie Database, version 3 of its API.

Source: developer.themoviedb.org/reference/movie-details, …/tv-series-details, …/docs/errors.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import msgspec
import structlog

from application.ports import CatalogueUnavailable, MediaCatalogue, Title, UnknownTitle
from domain.media_requests import Media, MediaType
from infrastructure.upstreams.cache import Cache
from infrastructure.upstreams.upstream import TIMEOUT, Answer, Upstream, UpstreamFailure

TMDB_URL = "https://api.themoviedb.org/3"
CONNECTIONS = 20
"""TMDB's ceiling for one address, so at most this many calls are under way at once."""
LIFETIME = timedelta(hours=12)
REMEMBERED_TITLES = 4096
NO_SUCH_TITLE = {6, 34}
"""TMDB's own codes. A 404 without one comes from something that is not TMDB."""

log = structlog.get_logger()

T = TypeVar("T")


class TmdbCatalogue(MediaCatalogue):
    """TMDB, with the titles of the last LIFETIME remembered; a failure never is.

    While TMDB is away, a title that was remembered longer ago still serves: names and seasons
    hardly change, and a request must not wait for somebody else's outage.

    ``token`` is an API read access token, or the older API key (32 hexadecimal digits).
    """

    def __init__(
        self,
        token: str,
        url: str = TMDB_URL,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        bearer = "." in token
        self._tmdb = Upstream(
            "TMDB",
            url,
            headers={"Authorization": f"Bearer {token}"} if bearer else None,
            secret_parameters=None if bearer else {"api_key": token},
            connections=CONNECTIONS,
            timeout=timeout,
        )
        self._titles: Cache[tuple[MediaType, int], Title] = Cache(
            LIFETIME, REMEMBERED_TITLES, CatalogueUnavailable, clock
        )

    async def look_up(self, media: Media) -> Title:
        """The title of ``media``. Raises UnknownTitle or CatalogueUnavailable, never guesses."""
        key = (media.media_type, media.tmdb_id)
        return await self._titles.get(key, partial(self._fetch, *key))

    async def check(self) -> None:
        """Prove that TMDB answers and accepts the key. Raises CatalogueUnavailable."""
        await self._get("/configuration", _Configuration)

    async def aclose(self) -> None:
        """Stop, and let go of the connections."""
        await self._titles.aclose()
        await self._tmdb.aclose()

    async def _fetch(self, media_type: MediaType, tmdb_id: int) -> Title:
        if media_type is MediaType.MOVIE:
            film = await self._get(f"/movie/{tmdb_id}", _Film)
            return Title(film.title, _year(film.release_date), film.poster_path)
        series = await self._get(f"/tv/{tmdb_id}", _Series, {"append_to_response": "external_ids"})
        return Title(
            series.name,
            _year(series.first_air_date),
            series.poster_path,
            series.external_ids.tvdb_id,
            tuple(sorted(season.season_number for season in series.seasons)),
        )

    async def _get(self, path: str, shape: type[T], query: dict[str, str] | None = None) -> T:
        try:
            answer = await self._tmdb.call("GET", path, query=query)
            if answer.status == HTTPStatus.OK:
                return answer.read(shape)
            if answer.status == HTTPStatus.NOT_FOUND:
                code = answer.read(_Error).status_code
                if code in NO_SUCH_TITLE:
                    raise UnknownTitle("TMDB knows no such title.")
        except UpstreamFailure as failure:
            log.warning("tmdb unavailable", reason=str(failure))
            raise CatalogueUnavailable(str(failure)) from failure
        log.warning("tmdb unavailable", status=answer.status)
        raise CatalogueUnavailable(_sentence(answer), answer.retry_after)


def _sentence(answer: Answer) -> str:
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return "TMDB does not accept the API key."
        case HTTPStatus.TOO_MANY_REQUESTS:
            return "TMDB asks us to slow down."
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "TMDB has a problem of its own."
        case _:
            return "TMDB refuses to answer."


def _year(date: str | None) -> int | None:
    """The year of ``1999-03-31``; TMDB writes an unknown date as nothing or as ``null``."""
    year = (date or "")[:4]
    return int(year) if year.isdecimal() else None


class _Film(msgspec.Struct):
    title: str
    release_date: str | None = None
    poster_path: str | None = None


class _Season(msgspec.Struct):
    season_number: int


class _ExternalIds(msgspec.Struct, frozen=True):
    tvdb_id: int | None = None


class _Series(msgspec.Struct):
    name: str
    first_air_date: str | None = None
    poster_path: str | None = None
    seasons: list[_Season] = []
    external_ids: _ExternalIds = _ExternalIds()


class _Configuration(msgspec.Struct):
    images: dict[str, object]


class _Error(msgspec.Struct):
    status_code: int
