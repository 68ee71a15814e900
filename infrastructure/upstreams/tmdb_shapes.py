"""How TMDB writes titles, and how to read them: unknown is empty there, or zero, or ``null``."""

from datetime import date
from operator import attrgetter

import msgspec

from application.ports import FoundTitle, SearchPage, SeasonDetails, Title, TitleDetails
from domain.media_requests import MediaType

LAST_PAGE = 500
"""TMDB refuses what is beyond, however many pages it says that there are."""


class _Genre(msgspec.Struct):
    name: str


class _ExternalIds(msgspec.Struct, frozen=True):
    imdb_id: str | None = None
    tvdb_id: int | None = None


class _Season(msgspec.Struct):
    season_number: int
    name: str | None = None
    episode_count: int = 0
    air_date: str | None = None

    def read(self) -> SeasonDetails:
        number = self.season_number
        name = self.name or (f"Season {number}" if number else "Specials")
        return SeasonDetails(number, name, self.episode_count, _date(self.air_date))


class _Details(msgspec.Struct, kw_only=True):
    overview: str | None = None
    poster_path: str | None = None
    backdrop_path: str | None = None
    genres: list[_Genre] = []
    status: str | None = None
    vote_average: float | None = None

    def _read(
        self,
        name: str,
        original_name: str | None,
        released: str | None,
        runtime: int | None,
        ids: _ExternalIds,
        seasons: tuple[SeasonDetails, ...] = (),
    ) -> TitleDetails:
        numbers = tuple(season.number for season in seasons)
        return TitleDetails(
            title=Title(name, _year(released), self.poster_path, ids.tvdb_id, numbers),
            original_name=original_name or name,
            overview=self.overview or "",
            released=_date(released),
            backdrop_path=self.backdrop_path,
            genres=tuple(genre.name for genre in self.genres),
            production=self.status or None,
            runtime=runtime or None,
            rating=self.vote_average or None,
            imdb_id=ids.imdb_id or None,
            seasons=seasons,
        )


class Film(_Details, kw_only=True):
    """``GET /movie/{id}``."""

    title: str
    original_title: str | None = None
    release_date: str | None = None
    runtime: int | None = None
    imdb_id: str | None = None

    def read(self) -> TitleDetails:
        """What it says."""
        ids = _ExternalIds(self.imdb_id)
        return self._read(self.title, self.original_title, self.release_date, self.runtime, ids)


class Series(_Details, kw_only=True):
    """``GET /tv/{id}``, with its external ids."""

    name: str
    original_name: str | None = None
    first_air_date: str | None = None
    episode_run_time: list[int] = []
    seasons: list[_Season] = []
    external_ids: _ExternalIds = _ExternalIds()

    def read(self) -> TitleDetails:
        """What it says, the seasons in their order."""
        seasons = sorted((season.read() for season in self.seasons), key=attrgetter("number"))
        runtime = next(iter(self.episode_run_time), None)
        return self._read(
            self.name,
            self.original_name,
            self.first_air_date,
            runtime,
            self.external_ids,
            tuple(seasons),
        )


class _Result(msgspec.Struct):
    media_type: str
    id: int
    title: str | None = None
    original_title: str | None = None
    release_date: str | None = None
    name: str | None = None
    original_name: str | None = None
    first_air_date: str | None = None
    overview: str | None = None
    poster_path: str | None = None
    backdrop_path: str | None = None
    vote_average: float | None = None

    def read(self) -> FoundTitle | None:
        """``None`` for a person, a collection, or a title without a name."""
        match self.media_type:
            case MediaType.MOVIE:
                name, original, released = self.title, self.original_title, self.release_date
            case MediaType.TV:
                name, original, released = self.name, self.original_name, self.first_air_date
            case _:
                return None
        if not name:
            return None
        return FoundTitle(
            media_type=MediaType(self.media_type),
            tmdb_id=self.id,
            name=name,
            original_name=original or name,
            year=_year(released),
            overview=self.overview or "",
            released=_date(released),
            poster_path=self.poster_path,
            backdrop_path=self.backdrop_path,
            rating=self.vote_average or None,
        )


class Results(msgspec.Struct):
    """``GET /search/multi``."""

    page: int
    total_pages: int
    total_results: int
    results: list[_Result]

    def read(self) -> SearchPage:
        """What it says of films and series."""
        found = (result.read() for result in self.results)
        return SearchPage(
            self.page,
            min(self.total_pages, LAST_PAGE),
            self.total_results,
            tuple(title for title in found if title is not None),
        )


class Configuration(msgspec.Struct):
    """``GET /configuration``."""

    images: dict[str, object]


class Error(msgspec.Struct):
    """What is not 200, in TMDB's own words; the code tells more than the status."""

    status_code: int


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _year(text: str | None) -> int | None:
    """The year of ``1999-03-31``; it may be all that is known of the date."""
    year = (text or "")[:4]
    return int(year) if year.isdecimal() else None
