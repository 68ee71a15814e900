"""Nothing is called available before people can watch it."""

from uuid import UUID

import pytest

from application.ports import OnShelf
from application.shelf import confirmed, wanted_seasons
from domain.media_requests import Media, MediaRequest, MediaType, UpstreamStatus

SOMEBODY = UUID(int=1)
FILM = MediaRequest(Media(MediaType.MOVIE, 603), "The Matrix", SOMEBODY)
SERIES = MediaRequest(
    Media(MediaType.TV, 1396), "Breaking Bad", SOMEBODY, tvdb_id=81189, seasons=(1, 2)
)
WHOLE = MediaRequest(
    Media(MediaType.TV, 1396), "Breaking Bad", SOMEBODY, tvdb_id=81189, all_seasons=(0, 1, 2)
)


class Having:
    """A shelf with one thing, or with nothing; ``asked`` is what it was asked for."""

    def __init__(self, found: OnShelf | None) -> None:
        self.found = found
        self.asked: list[tuple[Media, int | None]] = []

    async def find(self, media: Media, tvdb_id: int | None = None) -> OnShelf | None:
        self.asked.append((media, tvdb_id))
        return self.found


NOTHING = None
IT = OnShelf("7")


def seasons(**episodes: int) -> OnShelf:
    return OnShelf("7", {int(name[1:]): count for name, count in episodes.items()})


@pytest.mark.parametrize(
    ("request_", "found", "status", "told"),
    [
        (FILM, IT, "available", "available"),
        (FILM, NOTHING, "available", "under_way"),
        (SERIES, seasons(s1=7, s2=13), "available", "available"),
        (SERIES, seasons(s1=7, s2=1), "available", "available"),
        (SERIES, seasons(s1=7), "available", "partly_available"),
        (SERIES, seasons(s3=7), "available", "partly_available"),
        (SERIES, NOTHING, "available", "under_way"),
        (SERIES, seasons(s1=7, s2=13), "partly_available", "partly_available"),
        (SERIES, NOTHING, "partly_available", "under_way"),
        (WHOLE, seasons(s1=7, s2=13), "available", "available"),
        (WHOLE, seasons(s0=9, s1=7), "available", "partly_available"),
    ],
)
async def test_what_overseerr_calls_available_is_what_plex_has(
    request_: MediaRequest, found: OnShelf | None, status: str, told: str
) -> None:
    shelf = Having(found)
    assert await confirmed(shelf, request_, UpstreamStatus(status)) == told
    assert shelf.asked == [(request_.media, request_.tvdb_id)]


@pytest.mark.parametrize("status", set(UpstreamStatus) - {"available", "partly_available"})
async def test_what_is_not_available_needs_no_plex(status: UpstreamStatus) -> None:
    shelf = Having(IT)
    assert await confirmed(shelf, FILM, status) is status
    assert shelf.asked == []


@pytest.mark.parametrize("status", UpstreamStatus)
async def test_without_plex_overseerr_is_believed(status: UpstreamStatus) -> None:
    assert await confirmed(None, FILM, status) is status


def test_a_whole_series_is_what_it_had_but_for_the_specials() -> None:
    assert wanted_seasons(SERIES) == (1, 2)
    assert wanted_seasons(WHOLE) == (1, 2)
    assert wanted_seasons(FILM) is None
