"""PlexShelf against the stand-in of a Plex server, over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from application.ports import BadPlexToken, OnShelf, PlexUnavailable
from domain.media_requests import Media, MediaType
from infrastructure.stand_ins.faults import Drop, Fault, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.http import Request, Response
from infrastructure.stand_ins.plex_library import ToShelve
from infrastructure.stand_ins.running import StandIns
from infrastructure.upstreams.plex import LIFETIME, PAGE, PlexShelf

MATRIX = Media(MediaType.MOVIE, 603)
MATRIX_4K = Media(MediaType.MOVIE, 603, is4k=True)
BREAKING_BAD = Media(MediaType.TV, 1396)
BREAKING_BAD_4K = Media(MediaType.TV, 1396, is4k=True)


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shelf(stand_ins: StandIns, clock: Clock) -> AsyncIterator[PlexShelf]:
    shelf = PlexShelf(stand_ins.plex.url, stand_ins.plex.token, "a-client", clock=clock)
    yield shelf
    await shelf.aclose()


def put(stand_ins: StandIns, media: Media, *seasons: int, legacy: bool = False) -> str:
    """Put it on the shelf; its rating key."""
    wanted = msgspec.convert(
        {
            "mediaType": media.media_type.value,
            "tmdbId": media.tmdb_id,
            "seasons": [*seasons] or None,
            "is4k": media.is4k,
            "legacy": legacy,
        },
        ToShelve,
    )
    return str(stand_ins.plex.library.shelve(wanted).key)


async def paths(stand_ins: StandIns) -> list[str]:
    return [call.path for call in await stand_ins.plex.calls()]


# Films


async def test_a_film_is_there_or_it_is_not(stand_ins: StandIns, shelf: PlexShelf) -> None:
    assert await shelf.find(MATRIX) is None

    key = put(stand_ins, MATRIX)

    assert await shelf.find(MATRIX) == OnShelf(key)
    assert await shelf.find(Media(MediaType.MOVIE, 550)) is None


async def test_a_film_appears_once_it_is_scanned(stand_ins: StandIns, shelf: PlexShelf) -> None:
    stand_ins.plex.library.waiting.append(ToShelve("movie", 603))
    assert await shelf.find(MATRIX) is None

    stand_ins.plex.library.scan()

    assert await shelf.find(MATRIX) is not None


async def test_who_wants_4k_is_not_content_with_less(stand_ins: StandIns, shelf: PlexShelf) -> None:
    hd = put(stand_ins, MATRIX)
    assert await shelf.find(MATRIX_4K) is None

    uhd = put(stand_ins, MATRIX_4K)

    assert await shelf.find(MATRIX_4K) == OnShelf(uhd)
    assert await shelf.find(MATRIX) == OnShelf(hd)


async def test_who_wants_hd_can_watch_4k(stand_ins: StandIns, shelf: PlexShelf) -> None:
    uhd = put(stand_ins, MATRIX_4K)

    assert await shelf.find(MATRIX) == OnShelf(uhd)


async def test_a_film_and_a_series_of_one_id_are_not_the_same(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    put(stand_ins, Media(MediaType.MOVIE, 1396))

    assert await shelf.find(BREAKING_BAD) is None


# Series


async def test_of_a_series_the_episodes_of_each_season_are_counted(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    key = put(stand_ins, BREAKING_BAD, 0, 1, 2)
    assert await shelf.find(BREAKING_BAD) == OnShelf(key, {0: 9, 1: 7, 2: 13})

    put(stand_ins, BREAKING_BAD, 3)

    assert await shelf.find(BREAKING_BAD) == OnShelf(key, {0: 9, 1: 7, 2: 13, 3: 13})


async def test_a_series_in_4k_is_counted_for_itself(stand_ins: StandIns, shelf: PlexShelf) -> None:
    put(stand_ins, BREAKING_BAD, 1, 2)
    assert await shelf.find(BREAKING_BAD_4K) is None

    key = put(stand_ins, BREAKING_BAD_4K, 1)

    assert await shelf.find(BREAKING_BAD_4K) == OnShelf(key, {1: 7})


async def test_agents_of_old_are_understood(stand_ins: StandIns, shelf: PlexShelf) -> None:
    film = put(stand_ins, MATRIX, legacy=True)
    series = put(stand_ins, BREAKING_BAD, 1, legacy=True)

    assert await shelf.find(MATRIX) == OnShelf(film)
    assert await shelf.find(BREAKING_BAD) is None, "its agent knows it by another number only"
    assert await shelf.find(BREAKING_BAD, tvdb_id=81189) == OnShelf(series, {1: 7})


async def test_the_tvdb_number_of_a_film_is_not_taken_for_a_series(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    put(stand_ins, BREAKING_BAD, 1)

    assert await shelf.find(MATRIX, tvdb_id=81189) is None


# The index


async def test_what_is_known_is_not_read_again(stand_ins: StandIns, shelf: PlexShelf) -> None:
    for tmdb_id in range(1, 2 * PAGE + 2):
        put(stand_ins, Media(MediaType.MOVIE, tmdb_id))
    assert await shelf.find(Media(MediaType.MOVIE, 1)) is not None
    listed = [path for path in await paths(stand_ins) if path == "/library/sections/1/all"]
    assert len(listed) == 3, "all of it, once"

    for tmdb_id in range(1, 4):
        assert await shelf.find(Media(MediaType.MOVIE, tmdb_id)) is not None
    listed = [path for path in await paths(stand_ins) if path == "/library/sections/1/all"]
    assert len(listed) == 6, "of each further look only the newest page"


async def test_what_changes_is_seen_however_long_ago_it_was_added(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    key = put(stand_ins, MATRIX)
    item = stand_ins.plex.library.items[int(key)]
    right, item.title = item.title, stand_ins.plex.library.shelve(ToShelve("movie", 550)).title
    assert await shelf.find(MATRIX) is None

    item.title = right
    item.updated_at += 10

    assert await shelf.find(MATRIX) == OnShelf(key)


async def test_what_changes_in_the_second_of_the_last_look_is_seen(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    before = put(stand_ins, Media(MediaType.MOVIE, 13))
    await shelf.find(MATRIX)
    key = put(stand_ins, MATRIX)
    items = stand_ins.plex.library.items
    items[int(key)].updated_at = items[int(before)].updated_at

    assert await shelf.find(MATRIX) == OnShelf(key)


async def test_what_was_deleted_is_not_there(stand_ins: StandIns, shelf: PlexShelf) -> None:
    key = put(stand_ins, MATRIX)
    assert await shelf.find(MATRIX) is not None

    del stand_ins.plex.library.items[int(key)]

    assert await shelf.find(MATRIX) is None


async def test_another_server_with_the_same_keys_is_another_server(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    put(stand_ins, MATRIX)
    for tmdb_id in (13, 78, 129):
        put(stand_ins, Media(MediaType.MOVIE, tmdb_id))
    assert await shelf.find(MATRIX) is not None

    stand_ins.plex.reinstall()
    put(stand_ins, Media(MediaType.MOVIE, 550))
    moved = put(stand_ins, MATRIX)

    assert await shelf.find(MATRIX) == OnShelf(moved)
    assert await shelf.find(Media(MediaType.MOVIE, 13)) is None


async def test_a_server_whose_clock_was_put_back_is_read_anew_in_time(
    stand_ins: StandIns, shelf: PlexShelf, clock: Clock
) -> None:
    put(stand_ins, Media(MediaType.MOVIE, 13))
    await shelf.find(MATRIX)
    key = put(stand_ins, MATRIX)
    stand_ins.plex.library.items[int(key)].updated_at = 1
    assert await shelf.find(MATRIX) is None

    clock.now = LIFETIME.total_seconds()

    assert await shelf.find(MATRIX) == OnShelf(key)


async def test_a_reading_that_was_cut_off_is_not_taken_for_whole(
    stand_ins: StandIns, shelf: PlexShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(stand_ins, MATRIX)
    for tmdb_id in range(1, PAGE + 2):
        put(stand_ins, Media(MediaType.MOVIE, tmdb_id))
    path = "/library/sections/1/all"
    real, pages = stand_ins.plex.respond, iter(range(10))

    def cut(request: Request) -> Response:
        if request.path == path and next(pages) == 1:
            return stand_ins.plex.error(500)
        return real(request)

    monkeypatch.setattr(stand_ins.plex, "respond", cut)
    with pytest.raises(PlexUnavailable):
        await shelf.find(MATRIX)

    assert await shelf.find(MATRIX) == OnShelf(key)


async def test_many_who_ask_at_once_read_it_once(stand_ins: StandIns, shelf: PlexShelf) -> None:
    for tmdb_id in range(1, PAGE + 2):
        put(stand_ins, Media(MediaType.MOVIE, tmdb_id))

    found = await asyncio.gather(
        *(shelf.find(Media(MediaType.MOVIE, tmdb_id)) for tmdb_id in range(1, 11))
    )

    assert None not in found
    listed = [path for path in await paths(stand_ins) if path == "/library/sections/1/all"]
    assert len(listed) == 2 + 9


# Failures


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Refuse(), "The Plex server cannot be reached."),
        (Drop(), "The Plex server cannot be reached."),
        (Garbage(), "The Plex server gave an answer that makes no sense."),
        (Garbage(html=True), "The Plex server gave an answer that makes no sense."),
        (Status(status=200, body={}), "The Plex server gave an answer that makes no sense."),
        (Status(status=500), "The Plex server has a problem of its own."),
        (Status(status=503), "The Plex server has a problem of its own."),
        (Status(status=404), "The Plex server refuses to answer."),
        (Status(status=403), "The Plex server refuses to answer."),
    ],
)
async def test_an_outage_is_not_an_empty_shelf_and_not_a_bad_token(
    stand_ins: StandIns, shelf: PlexShelf, fault: Fault, sentence: str
) -> None:
    put(stand_ins, MATRIX)
    await stand_ins.plex.fail(fault)

    with pytest.raises(PlexUnavailable) as raised:
        await shelf.find(MATRIX)

    assert str(raised.value) == sentence


@pytest.mark.parametrize("fault", [Hang(), Slow(delay=1)])
async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    stand_ins: StandIns, fault: Fault
) -> None:
    impatient = PlexShelf(stand_ins.plex.url, stand_ins.plex.token, "a-client", timeout=0.1)
    await stand_ins.plex.fail(fault)

    with pytest.raises(PlexUnavailable, match="did not answer in time"):
        await impatient.find(MATRIX)
    await impatient.aclose()


async def test_a_failure_at_the_item_is_not_taken_for_its_absence(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    put(stand_ins, MATRIX)
    await stand_ins.plex.fail(Status(status=500, path="/library/metadata"))

    with pytest.raises(PlexUnavailable):
        await shelf.find(MATRIX)


async def test_a_token_that_is_refused_is_told_from_a_server_that_is_away(
    stand_ins: StandIns, shelf: PlexShelf
) -> None:
    await shelf.check()
    stranger = PlexShelf(stand_ins.plex.url, "wrong", "a-client")
    for attempt in (stranger.check(), stranger.find(MATRIX)):
        with pytest.raises(BadPlexToken):
            await attempt
    await stranger.aclose()

    await stand_ins.plex.fail(Status(status=401, path="/library/metadata"))
    put(stand_ins, MATRIX)
    with pytest.raises(BadPlexToken):
        await shelf.find(MATRIX)


async def test_the_token_is_in_no_url_and_no_log(
    stand_ins: StandIns, shelf: PlexShelf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        await shelf.find(MATRIX)
        await stand_ins.plex.fail(Refuse())
        with pytest.raises(PlexUnavailable) as raised:
            await shelf.find(MATRIX)

    assert stand_ins.plex.token not in f"{caplog.text} {raised.value!r} {raised.value.__cause__!r}"
