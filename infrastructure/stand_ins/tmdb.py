"""A stand-in of The Movie Database, version 3 of its API.

Source: developer.themoviedb.org/reference and …/docs/errors.
"""

import math
from typing import Any

from infrastructure.stand_ins.http import (
    MethodNotAllowed,
    NotFound,
    Request,
    Response,
    find_route,
    json_response,
    route,
)
from infrastructure.stand_ins.stand_in import StandIn
from infrastructure.stand_ins.titles import MediaType, Title, find_title, searchable

BEARER = "stand-in.read-access.token"
API_KEY = "0123456789abcdef0123456789abcdef"

PAGE_SIZE = 20
LAST_PAGE = 500
MOST_APPENDED = 20

ERRORS = {
    6: (404, "Invalid id: The pre-requisite id is invalid or not found."),
    7: (401, "Invalid API key: You must be granted a valid key."),
    9: (503, "Service offline: This service is temporarily offline, try again later."),
    11: (500, "Internal error: Something went wrong, contact TMDB."),
    22: (
        400,
        "Invalid page: Pages start at 1 and max at 500. They are expected to be an integer.",
    ),
    24: (504, "Your request to the backend server timed out. Try again."),
    25: (429, "Your request count (#) is over the allowed limit of (40)."),
    27: (400, "Too many append to response objects: The maximum number of remote calls is 20."),
    34: (404, "The resource you requested could not be found."),
    42: (405, "This resource does not support this request method."),
    43: (502, "Couldn't connect to the backend server."),
}

_CODES = {401: 7, 404: 34, 429: 25, 500: 11, 502: 43, 503: 9, 504: 24}
"""Which error a status stands for, where the status is all that is known."""

_GENRES = [{"id": 18, "name": "Drama"}]
_NO_TITLES = (
    {"id": 6384, "media_type": "person", "name": "Keanu Reeves", "adult": False},
    {"id": 2344, "media_type": "collection", "name": "The Matrix Collection", "adult": False},
)
"""Search answers people and collections too, and clients must leave them out."""


class TmdbStandIn(StandIn):
    """Needs ``Authorization: Bearer <BEARER>`` or ``?api_key=<API_KEY>``, as TMDB does."""

    name = "tmdb"
    base = "/3"
    token = BEARER
    api_key = API_KEY

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._routes = (
            route("GET", "/3/configuration", _configuration),
            route("GET", "/3/movie/{id}", _movie),
            route("GET", "/3/tv/{id}", _series),
            route("GET", "/3/search/multi", _search),
        )

    def respond(self, request: Request) -> Response:
        """TMDB's answer."""
        try:
            found, parameters = find_route(self._routes, request.method, request.path)
        except NotFound:
            return _error(34)
        except MethodNotAllowed:
            return _error(42)
        bearer = request.headers.get("authorization") == f"Bearer {BEARER}"
        if not bearer and request.query.get("api_key") != API_KEY:
            return _error(7)
        return found.answer(request, *parameters)

    def error(self, status: int) -> Response:
        """The error that TMDB gives with this status."""
        return _error(_CODES.get(status, 11), status)

    def clear(self) -> None:
        """Nothing, since callers change nothing."""


def _error(code: int, status: int | None = None) -> Response:
    usual, message = ERRORS[code]
    body = {"status_code": code, "status_message": message, "success": False}
    return json_response(status or usual, body)


def _configuration(_request: Request) -> Response:
    sizes = ["w92", "w154", "w185", "w342", "w500", "w780", "original"]
    images = {"secure_base_url": "https://image.tmdb.org/t/p/", "poster_sizes": sizes}
    return json_response(200, {"images": images, "change_keys": []})


def _movie(request: Request, tmdb_id: str) -> Response:
    return _details(request, "movie", tmdb_id)


def _series(request: Request, tmdb_id: str) -> Response:
    return _details(request, "tv", tmdb_id)


def _details(request: Request, media_type: MediaType, tmdb_id: str) -> Response:
    if not tmdb_id.isdecimal() or int(tmdb_id) == 0:
        return _error(6)
    title = find_title(media_type, int(tmdb_id))
    if title is None:
        return _error(34)
    appended = request.query.get("append_to_response", "").split(",")
    if len(appended) > MOST_APPENDED:
        return _error(27)
    details = _film_details(title) if media_type == "movie" else _series_details(title)
    parts: dict[str, Any] = {
        "external_ids": {"imdb_id": title.imdb_id, "tvdb_id": title.tvdb_id},
        "content_ratings": {"results": []},
        "release_dates": {"results": []},
    }
    return json_response(200, details | {name: parts[name] for name in appended if name in parts})


def _film_details(title: Title) -> dict[str, Any]:
    return _summary(title) | {
        "imdb_id": title.imdb_id,
        "genres": _GENRES,
        "runtime": 120,
        "status": "Released" if title.released else "Planned",
    }


def _series_details(title: Title) -> dict[str, Any]:
    seasons = [
        {
            "id": title.tmdb_id * 100 + number,
            "season_number": number,
            "episode_count": episodes,
            "air_date": title.iso_date or None,
            "name": f"Season {number}" if number else "Specials",
        }
        for number, episodes in title.seasons
    ]
    return _summary(title) | {
        "episode_run_time": [45],
        "genres": _GENRES,
        "in_production": False,
        "number_of_seasons": sum(number > 0 for number, _ in title.seasons),
        "seasons": seasons,
        "status": "Ended",
    }


def _summary(title: Title) -> dict[str, Any]:
    name, released = (
        ("title", "release_date") if title.media_type == "movie" else ("name", "first_air_date")
    )
    return {
        "id": title.tmdb_id,
        name: title.name,
        f"original_{name}": title.name,
        released: title.iso_date,
        "overview": f"{title.name}, as the stand-in tells it.",
        "poster_path": title.poster_path,
        "backdrop_path": None,
        "vote_average": 7.5,
        "adult": False,
    }


def _search(request: Request) -> Response:
    page = request.query.get("page", "1")
    if not page.isdecimal() or not 1 <= int(page) <= LAST_PAGE:
        return _error(22)
    words = request.query.get("query", "").casefold()
    titles = [
        _summary(title) | {"media_type": title.media_type}
        for title in searchable()
        if words and words in title.name.casefold()
    ]
    others = [hit for hit in _NO_TITLES if words and words in str(hit["name"]).casefold()]
    results: list[dict[str, Any]] = [*titles, *others]
    start = (int(page) - 1) * PAGE_SIZE
    return json_response(
        200,
        {
            "page": int(page),
            "total_pages": max(1, math.ceil(len(results) / PAGE_SIZE)),
            "total_results": len(results),
            "results": results[start : start + PAGE_SIZE],
        },
    )
