"""What the stand-ins know of films and series: a few that exist, and as many as anyone asks for.

The handful has its true ids at TMDB, IMDb and TVDB, names, dates and seasons. Any other id up to
LAST_ID is a title that does not exist, always the same one, so that load tests do not run out.
Posters are made up throughout.
"""

import random
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Literal, TypeAlias, get_args

import msgspec

MediaType: TypeAlias = Literal["movie", "tv"]
_MEDIA_TYPES: tuple[MediaType, ...] = get_args(MediaType)

LAST_ID = 9_999_999
"""Beyond it there are no titles; TMDB's own ids are below 2 million."""
LAST_SEARCHABLE_ID = 500
"""Of the made-up titles, those up to here are found by name: enough for many pages."""


class Title(msgspec.Struct, frozen=True):
    """A film or a series; ``seasons`` pairs each season's number with its count of episodes."""

    media_type: MediaType
    tmdb_id: int
    name: str
    released: date | None
    imdb_id: str | None = None
    tvdb_id: int | None = None
    seasons: tuple[tuple[int, int], ...] = ()
    poster_path: str | None = None

    @property
    def iso_date(self) -> str:
        """The date as TMDB writes it: empty when there is none."""
        return self.released.isoformat() if self.released else ""


_FILMS = """
13      1994-07-06  tt0109830  Forrest Gump
78      1982-06-25  tt0083658  Blade Runner
129     2001-07-20  tt0245429  Spirited Away
238     1972-03-14  tt0068646  The Godfather
278     1994-09-23  tt0111161  The Shawshank Redemption
348     1979-05-25  tt0078748  Alien
550     1999-10-15  tt0137523  Fight Club
603     1999-03-31  tt0133093  The Matrix
680     1994-09-10  tt0110912  Pulp Fiction
27205   2010-07-15  tt1375666  Inception
157336  2014-11-05  tt0816692  Interstellar
438631  2021-09-15  tt1160419  Dune
"""

_SERIES = """
1396   2008-01-20  tt0903747  81189   7,13,13,13,16               Breaking Bad
1398   1999-01-10  tt0141842  75299   13,13,13,13,13,21           The Sopranos
1399   2011-04-17  tt0944947  121361  10,10,10,10,10,10,7,6       Game of Thrones
1438   2002-06-02  tt0306414  79126   13,12,12,13,10              The Wire
1668   1994-09-22  tt0108778  79168   24,24,25,24,24,25,24,24,24,18  Friends
2316   2005-03-24  tt0386676  73244   6,22,25,19,28,26,26,24,25   The Office
19885  2010-07-25  tt1475582  176941  3,3,3,3                     Sherlock
60625  2013-12-02  tt2861424  275274  11,10,10,10,10,10,10,10     Rick and Morty
66732  2016-07-15  tt4574334  305288  8,9,8,9,8                   Stranger Things
82856  2019-11-12  tt8111088  361753  8,8,8                       The Mandalorian
87108  2019-05-06  tt7366338  360893  5                           Chernobyl
95396  2022-02-17  tt11280740 371980  9,10                        Severance
"""

_SPECIALS = {1396: 9, 1399: 53, 19885: 10}
"""Series that have a season 0, and how long it is."""

_ADJECTIVES = ("Amber", "Distant", "Electric", "Hidden", "Last", "Paper", "Quiet", "Velvet")
_NOUNS = ("Archive", "Comet", "Harbour", "Lantern", "Orchard", "Signal", "Tide", "Winter")

_MERELY_ANNOUNCED = 99
"""Made-up ids that end in it have no date, poster, TVDB id or season yet."""


def _films() -> list[Title]:
    rows = (line.split(maxsplit=3) for line in _FILMS.strip().splitlines())
    return [
        Title("movie", int(tmdb_id), name, date.fromisoformat(released), imdb_id)
        for tmdb_id, released, imdb_id, name in rows
    ]


def _series() -> list[Title]:
    rows = (line.split(maxsplit=5) for line in _SERIES.strip().splitlines())
    return [
        Title(
            "tv",
            int(tmdb_id),
            name,
            date.fromisoformat(released),
            imdb_id,
            int(tvdb_id),
            _seasons(int(tmdb_id), [int(count) for count in counts.split(",")]),
        )
        for tmdb_id, released, imdb_id, tvdb_id, counts, name in rows
    ]


def _seasons(tmdb_id: int, counts: list[int]) -> tuple[tuple[int, int], ...]:
    specials = ((0, _SPECIALS[tmdb_id]),) if tmdb_id in _SPECIALS else ()
    return (*specials, *enumerate(counts, start=1))


KNOWN = {
    (title.media_type, title.tmdb_id): msgspec.structs.replace(
        title, poster_path=f"/stand-in-{title.media_type}-{title.tmdb_id}.jpg"
    )
    for title in (*_films(), *_series())
}


def find_title(media_type: MediaType, tmdb_id: int) -> Title | None:
    """The title with this id, made up if need be; ``None`` for ids that nothing can have."""
    if not 1 <= tmdb_id <= LAST_ID:
        return None
    return KNOWN.get((media_type, tmdb_id)) or _make_up(media_type, tmdb_id)


@cache
def searchable() -> tuple[Title, ...]:
    """What a search by name looks through: what exists comes first, as it is more popular."""
    made_up = (
        _make_up(media_type, tmdb_id)
        for tmdb_id in range(1, LAST_SEARCHABLE_ID + 1)
        for media_type in _MEDIA_TYPES
        if (media_type, tmdb_id) not in KNOWN
    )
    return (*KNOWN.values(), *made_up)


@lru_cache(maxsize=4096)
def _make_up(media_type: MediaType, tmdb_id: int) -> Title:
    dice = random.Random(f"{media_type}/{tmdb_id}")
    name = f"The {dice.choice(_ADJECTIVES)} {dice.choice(_NOUNS)} {tmdb_id}"
    if tmdb_id % 100 == _MERELY_ANNOUNCED:
        return Title(media_type, tmdb_id, name, None)
    seasons = [(number, dice.randint(6, 13)) for number in range(1, dice.randint(2, 6))]
    series = media_type == "tv"
    return Title(
        media_type,
        tmdb_id,
        name,
        date(1950, 1, 1) + timedelta(days=dice.randrange(365 * 75)),
        f"tt{90_000_000 + tmdb_id}",
        9_000_000 + tmdb_id if series else None,
        tuple(seasons) if series else (),
        f"/stand-in-{media_type}-{tmdb_id}.jpg",
    )
