"""What titles exist, and who fetches them."""

from datetime import date
from typing import Protocol

import msgspec

from application.ports.kernel import PortError, Retriable
from domain.media_requests import Media, MediaType


class UnknownTitle(PortError):
    """The catalogue has no title under this id."""


class CatalogueUnavailable(Retriable):
    """The catalogue is down, slow, throttling us, or does not accept our key."""


class Title(msgspec.Struct, frozen=True):
    """What is known of a title. ``seasons`` are the numbers that exist (0 is the specials)."""

    name: str
    year: int | None = None
    poster_path: str | None = None
    tvdb_id: int | None = None
    seasons: tuple[int, ...] = ()


class SeasonDetails(msgspec.Struct, frozen=True):
    """A season of a series; number 0 is the specials."""

    number: int
    name: str
    episodes: int
    aired: date | None = None


class TitleDetails(msgspec.Struct, frozen=True):
    """All that the catalogue says of a title. Paths of pictures are TMDB's.

    ``production`` is how far its making is, in the catalogue's own words, such as ``Released``;
    ``runtime`` is in minutes, and ``rating`` from 0 to 10. Films have no seasons.
    """

    title: Title
    original_name: str
    overview: str = ""
    released: date | None = None
    backdrop_path: str | None = None
    genres: tuple[str, ...] = ()
    production: str | None = None
    runtime: int | None = None
    rating: float | None = None
    imdb_id: str | None = None
    seasons: tuple[SeasonDetails, ...] = ()


class FoundTitle(msgspec.Struct, frozen=True):
    """A film or a series that a search has found."""

    media_type: MediaType
    tmdb_id: int
    name: str
    original_name: str
    year: int | None = None
    overview: str = ""
    released: date | None = None
    poster_path: str | None = None
    backdrop_path: str | None = None
    rating: float | None = None


class SearchPage(msgspec.Struct, frozen=True):
    """What one page of a search has found.

    The catalogue counts people among its results, who are left out here; so a page may have fewer
    titles than others, or none, and not be the last.
    """

    page: int
    total_pages: int
    total_results: int
    titles: tuple[FoundTitle, ...] = ()


class MediaCatalogue(Protocol):
    """What titles exist. What it cannot answer raises CatalogueUnavailable; it never guesses."""

    async def look_up(self, media: Media) -> Title:
        """What a request keeps of the title of ``media``. Raises UnknownTitle."""
        ...

    async def describe(self, media_type: MediaType, tmdb_id: int) -> TitleDetails:
        """All about a title, at the cost of looking it up. Raises UnknownTitle."""
        ...

    async def search(self, words: str, page: int) -> SearchPage:
        """The films and series whose names are like ``words``; pages are numbered from 1.

        Empty only where the catalogue has answered that it knows of none.
        """
        ...


class OnShelf(msgspec.Struct, frozen=True):
    """What the media server has of a title in one quality.

    ``seasons`` are how many episodes are there of each season of a series; a film has none.
    """

    rating_key: str
    seasons: dict[int, int] = {}


class Shelf(Protocol):
    """What people can watch."""

    async def find(self, media: Media, tvdb_id: int | None = None) -> OnShelf | None:
        """What there is of ``media``, ``None`` if it is not there, or not in 4K if that is wanted.

        ``tvdb_id`` finds series that the server knows by that number only. Raises BadPlexToken when
        the server refuses its owner's token, and PlexUnavailable when it cannot tell.
        """
        ...
