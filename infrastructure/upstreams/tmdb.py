"""Titles from The Movie Database, version 3 of its API.

Source: developer.themoviedb.org/reference/movie-details, …/tv-series-details, …/search-multi,
…/docs/errors. How TMDB writes what it knows is in ``tmdb_shapes``.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import structlog

from application.ports import (
    CatalogueUnavailable,
    MediaCatalogue,
    SearchPage,
    Title,
    TitleDetails,
    UnknownTitle,
)
from domain.media_requests import Media, MediaType
from infrastructure.upstreams.cache import Cache
from infrastructure.upstreams.tmdb_shapes import Configuration, Error, Film, Results, Series
from infrastructure.upstreams.upstream import TIMEOUT, Answer, Upstream, UpstreamFailure

TMDB_URL = "https://api.themoviedb.org/3"
CONNECTIONS = 20
"""TMDB's ceiling for one address, so at most this many calls are under way at once."""
LIFETIME = timedelta(hours=12)
REMEMBERED_TITLES = 4096
SEARCH_LIFETIME = timedelta(minutes=5)
"""Long enough for who pages back and forth, too short to miss what was announced today."""
REMEMBERED_PAGES = 256
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
        self._titles: Cache[tuple[MediaType, int], TitleDetails] = Cache(
            LIFETIME, REMEMBERED_TITLES, CatalogueUnavailable, clock
        )
        # An old page may lack the very title that is searched for, so none serves in an outage.
        self._pages: Cache[tuple[str, int], SearchPage] = Cache(
            SEARCH_LIFETIME, REMEMBERED_PAGES, None, clock
        )

    async def look_up(self, media: Media) -> Title:
        """What a request keeps of the title. Raises UnknownTitle or CatalogueUnavailable."""
        return (await self.describe(media.media_type, media.tmdb_id)).title

    async def describe(self, media_type: MediaType, tmdb_id: int) -> TitleDetails:
        """All about a title. Raises UnknownTitle or CatalogueUnavailable, never guesses."""
        key = (media_type, tmdb_id)
        return await self._titles.get(key, partial(self._fetch, *key))

    async def search(self, words: str, page: int) -> SearchPage:
        """The films and series whose names are like ``words``. Raises CatalogueUnavailable."""
        key = (" ".join(words.split()), page)
        return await self._pages.get(key, partial(self._fetch_page, *key))

    async def check(self) -> None:
        """Prove that TMDB answers and accepts the key. Raises CatalogueUnavailable."""
        await self._get("/configuration", Configuration)

    async def aclose(self) -> None:
        """Stop, and let go of the connections."""
        await self._titles.aclose()
        await self._pages.aclose()
        await self._tmdb.aclose()

    async def _fetch(self, media_type: MediaType, tmdb_id: int) -> TitleDetails:
        if media_type is MediaType.MOVIE:
            return (await self._title(f"/movie/{tmdb_id}", Film)).read()
        with_ids = {"append_to_response": "external_ids"}
        return (await self._title(f"/tv/{tmdb_id}", Series, with_ids)).read()

    async def _fetch_page(self, words: str, page: int) -> SearchPage:
        query = {"query": words, "page": str(page), "include_adult": "false"}
        return (await self._get("/search/multi", Results, query)).read()

    async def _title(self, path: str, shape: type[T], query: dict[str, str] | None = None) -> T:
        """What is at the path of a title, where alone 404 means that there is none."""
        answer = await self._ask(path, query)
        if answer.status == HTTPStatus.NOT_FOUND:
            code = _read(answer, Error).status_code
            if code in NO_SUCH_TITLE:
                raise UnknownTitle("TMDB knows no such title.")
        return _good(answer, shape)

    async def _get(self, path: str, shape: type[T], query: dict[str, str] | None = None) -> T:
        return _good(await self._ask(path, query), shape)

    async def _ask(self, path: str, query: dict[str, str] | None) -> Answer:
        with _unavailable():
            return await self._tmdb.call("GET", path, query=query)


@contextmanager
def _unavailable() -> Generator[None]:
    """An upstream failure inside is CatalogueUnavailable outside."""
    try:
        yield
    except UpstreamFailure as failure:
        log.warning("tmdb unavailable", reason=str(failure))
        raise CatalogueUnavailable(str(failure)) from failure


def _good(answer: Answer, shape: type[T]) -> T:
    if answer.status == HTTPStatus.OK:
        return _read(answer, shape)
    log.warning("tmdb unavailable", status=answer.status)
    raise CatalogueUnavailable(_sentence(answer), answer.retry_after)


def _read(answer: Answer, shape: type[T]) -> T:
    with _unavailable():
        return answer.read(shape)


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
