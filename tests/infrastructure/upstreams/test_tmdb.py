"""TmdbCatalogue against the TMDB stand-in, over HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from application.ports import (
    CatalogueUnavailable,
    FoundTitle,
    SeasonDetails,
    Title,
    TitleDetails,
    UnknownTitle,
)
from domain.media_requests import Media, MediaType
from infrastructure.stand_ins.faults import Drop, Fault, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.running import StandIns
from infrastructure.stand_ins.titles import LAST_ID
from infrastructure.upstreams.tmdb import CONNECTIONS, LIFETIME, SEARCH_LIFETIME, TmdbCatalogue
from infrastructure.upstreams.upstream import UpstreamFailure

MATRIX = Media(MediaType.MOVIE, 603)
BREAKING_BAD = Media(MediaType.TV, 1396)


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def catalogue(stand_ins: StandIns, clock: Clock) -> AsyncIterator[TmdbCatalogue]:
    catalogue = TmdbCatalogue(stand_ins.tmdb.token, stand_ins.tmdb.url, clock=clock)
    yield catalogue
    await catalogue.aclose()


async def test_a_film_has_a_name_a_year_and_a_poster(catalogue: TmdbCatalogue) -> None:
    assert await catalogue.look_up(MATRIX) == Title("The Matrix", 1999, "/stand-in-movie-603.jpg")


async def test_a_series_has_its_tvdb_id_and_seasons_too(catalogue: TmdbCatalogue) -> None:
    assert await catalogue.look_up(BREAKING_BAD) == Title(
        "Breaking Bad", 2008, "/stand-in-tv-1396.jpg", 81189, (0, 1, 2, 3, 4, 5)
    )


async def test_an_announced_title_has_no_year(catalogue: TmdbCatalogue) -> None:
    for media_type in MediaType:
        title = await catalogue.look_up(Media(media_type, 4711099))
        assert (title.year, title.poster_path, title.tvdb_id, title.seasons) == (
            None,
            None,
            None,
            (),
        )
        assert title.name


async def test_a_film_and_a_series_of_one_id_are_different_titles(
    catalogue: TmdbCatalogue,
) -> None:
    film = await catalogue.look_up(Media(MediaType.MOVIE, 1396))
    series = await catalogue.look_up(BREAKING_BAD)

    assert film.name != series.name == "Breaking Bad"


@pytest.mark.parametrize("tmdb_id", [LAST_ID + 1, 0])
async def test_an_id_that_tmdb_does_not_have_is_unknown(
    catalogue: TmdbCatalogue, tmdb_id: int
) -> None:
    with pytest.raises(UnknownTitle, match="no such title"):
        await catalogue.look_up(Media(MediaType.TV, tmdb_id))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Status(status=401), "TMDB does not accept the API key."),
        (Status(status=429), "TMDB asks us to slow down."),
        (Status(status=500), "TMDB has a problem of its own."),
        (Status(status=502), "TMDB has a problem of its own."),
        (Status(status=503), "TMDB has a problem of its own."),
        (Status(status=504), "TMDB has a problem of its own."),
        (Status(status=302, headers={"Location": "/login"}), "TMDB refuses to answer."),
        (Status(status=400), "TMDB refuses to answer."),
        (Status(status=200, body={"id": 603}), "TMDB gave an answer that makes no sense."),
        (Garbage(), "TMDB gave an answer that makes no sense."),
        (Garbage(html=True), "TMDB gave an answer that makes no sense."),
        (Refuse(), "TMDB cannot be reached."),
        (Drop(), "TMDB cannot be reached."),
    ],
)
async def test_an_outage_is_told_and_never_guessed_over(
    stand_ins: StandIns, catalogue: TmdbCatalogue, fault: Fault, sentence: str
) -> None:
    await stand_ins.tmdb.fail(fault)

    with pytest.raises(CatalogueUnavailable) as raised:
        await catalogue.look_up(MATRIX)

    assert str(raised.value) == sentence
    assert raised.value.retry_after is None


@pytest.mark.parametrize("fault", [Hang(), Slow(delay=1)])
async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    stand_ins: StandIns, fault: Fault
) -> None:
    impatient = TmdbCatalogue(stand_ins.tmdb.token, stand_ins.tmdb.url, timeout=0.1)
    await stand_ins.tmdb.fail(fault)

    with pytest.raises(CatalogueUnavailable, match="did not answer in time"):
        await impatient.look_up(MATRIX)
    await impatient.aclose()


@pytest.mark.parametrize("body", [{"status_code": 1}, {}])
async def test_a_404_that_is_not_tmdbs_does_not_make_a_title_unknown(
    stand_ins: StandIns, catalogue: TmdbCatalogue, body: dict[str, int]
) -> None:
    await stand_ins.tmdb.fail(Status(status=404, body=body))

    with pytest.raises(CatalogueUnavailable):
        await catalogue.look_up(MATRIX)


async def test_throttling_says_how_long_in_seconds(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    await stand_ins.tmdb.fail(Status(status=429, headers={"Retry-After": "11"}))

    with pytest.raises(CatalogueUnavailable) as raised:
        await catalogue.look_up(MATRIX)

    assert raised.value.retry_after == timedelta(seconds=11)


async def test_throttling_says_how_long_as_a_date(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    await stand_ins.tmdb.fail(Status(status=429, headers={"Retry-After": date}))

    with pytest.raises(CatalogueUnavailable) as raised:
        await catalogue.look_up(MATRIX)

    assert raised.value.retry_after is not None
    assert timedelta(minutes=1) < raised.value.retry_after <= timedelta(minutes=2)


async def test_fifty_look_ups_of_one_title_are_one_call(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    await stand_ins.tmdb.fail(Slow(delay=0.02))

    titles = await asyncio.gather(*(catalogue.look_up(BREAKING_BAD) for _ in range(50)))

    assert {title.name for title in titles} == {"Breaking Bad"}
    assert len(await stand_ins.tmdb.calls()) == 1


async def test_both_qualities_are_one_title(stand_ins: StandIns, catalogue: TmdbCatalogue) -> None:
    await catalogue.look_up(MATRIX)
    await catalogue.look_up(Media(MediaType.MOVIE, 603, is4k=True))

    assert len(await stand_ins.tmdb.calls()) == 1


async def test_a_title_is_remembered_for_half_a_day(
    stand_ins: StandIns, catalogue: TmdbCatalogue, clock: Clock
) -> None:
    await catalogue.look_up(MATRIX)
    clock.now = LIFETIME.total_seconds() - 1
    await catalogue.look_up(MATRIX)
    assert len(await stand_ins.tmdb.calls()) == 1

    clock.now = LIFETIME.total_seconds()
    await catalogue.look_up(MATRIX)
    assert len(await stand_ins.tmdb.calls()) == 2


async def test_a_failure_is_not_remembered(stand_ins: StandIns, catalogue: TmdbCatalogue) -> None:
    await stand_ins.tmdb.fail(Status(status=500, times=1), Status(status=404, times=1))

    with pytest.raises(CatalogueUnavailable):
        await catalogue.look_up(MATRIX)
    with pytest.raises(UnknownTitle):
        await catalogue.look_up(MATRIX)
    assert (await catalogue.look_up(MATRIX)).name == "The Matrix"


async def test_a_title_known_from_before_serves_while_tmdb_is_away(
    stand_ins: StandIns, catalogue: TmdbCatalogue, clock: Clock
) -> None:
    await catalogue.look_up(MATRIX)
    clock.now = LIFETIME.total_seconds() * 3
    await stand_ins.tmdb.fail(Refuse())

    assert (await catalogue.look_up(MATRIX)).name == "The Matrix"
    with pytest.raises(CatalogueUnavailable):
        await catalogue.look_up(BREAKING_BAD)


async def test_a_title_that_tmdb_removed_does_not_serve(
    stand_ins: StandIns, catalogue: TmdbCatalogue, clock: Clock
) -> None:
    await catalogue.look_up(MATRIX)
    clock.now = LIFETIME.total_seconds()
    await stand_ins.tmdb.fail(Status(status=404))

    with pytest.raises(UnknownTitle):
        await catalogue.look_up(MATRIX)


# All about a title


async def test_a_film_is_described_with_all_that_tmdb_says(catalogue: TmdbCatalogue) -> None:
    described = await catalogue.describe(MediaType.MOVIE, 603)

    assert described == TitleDetails(
        title=Title("The Matrix", 1999, "/stand-in-movie-603.jpg"),
        original_name="The Matrix",
        overview="The Matrix, as the stand-in tells it.",
        released=date(1999, 3, 31),
        genres=("Drama",),
        production="Released",
        runtime=120,
        rating=7.5,
        imdb_id="tt0133093",
    )


async def test_a_series_is_described_with_its_seasons_and_their_episodes(
    catalogue: TmdbCatalogue,
) -> None:
    described = await catalogue.describe(MediaType.TV, 1396)

    assert described.title == await catalogue.look_up(BREAKING_BAD)
    assert (described.imdb_id, described.runtime, described.production) == (
        "tt0903747",
        45,
        "Ended",
    )
    specials, first, *_ = described.seasons
    assert specials == SeasonDetails(0, "Specials", 9, date(2008, 1, 20))
    assert first == SeasonDetails(1, "Season 1", 7, date(2008, 1, 20))
    assert [season.episodes for season in described.seasons] == [9, 7, 13, 13, 13, 16]


async def test_what_tmdb_leaves_empty_is_unknown(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    film = {"title": "Soon", "release_date": "", "runtime": 0, "vote_average": 0.0, "imdb_id": ""}
    empty: dict[str, Any] = {"overview": "", "status": "", "poster_path": None, "genres": []}
    await stand_ins.tmdb.fail(Status(status=200, body=film | empty))
    assert await catalogue.describe(MediaType.MOVIE, 1) == TitleDetails(Title("Soon"), "Soon")

    bare = {"name": "Soon", "first_air_date": None, "overview": None, "status": None}
    season = {"season_number": 1, "name": "", "air_date": None}
    await stand_ins.tmdb.fail(Status(status=200, body=bare | {"seasons": [season]}))
    assert await catalogue.describe(MediaType.TV, 1) == TitleDetails(
        Title("Soon", seasons=(1,)), "Soon", seasons=(SeasonDetails(1, "Season 1", 0),)
    )


async def test_a_date_that_is_none_leaves_the_year(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    body = {"title": "Once", "release_date": "1999-02-31"}
    await stand_ins.tmdb.fail(Status(status=200, body=body))

    described = await catalogue.describe(MediaType.MOVIE, 1)

    assert (described.title.year, described.released) == (1999, None)


async def test_to_describe_a_title_and_to_look_it_up_are_one_call(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    await catalogue.describe(MediaType.TV, 1396)
    await catalogue.look_up(BREAKING_BAD)

    assert len(await stand_ins.tmdb.calls()) == 1


# Search


async def test_a_search_finds_films_and_series_by_name(catalogue: TmdbCatalogue) -> None:
    page = await catalogue.search("dune", 1)

    assert (page.page, page.total_pages, page.total_results) == (1, 1, 1)
    assert page.titles == (
        FoundTitle(
            media_type=MediaType.MOVIE,
            tmdb_id=438631,
            name="Dune",
            original_name="Dune",
            year=2021,
            overview="Dune, as the stand-in tells it.",
            released=date(2021, 9, 15),
            poster_path="/stand-in-movie-438631.jpg",
            rating=7.5,
        ),
    )
    (series,) = (await catalogue.search("the office", 1)).titles
    assert (series.media_type, series.name, series.released) == (
        MediaType.TV,
        "The Office",
        date(2005, 3, 24),
    )


async def test_people_and_collections_are_no_titles(catalogue: TmdbCatalogue) -> None:
    (matrix,) = (await catalogue.search("matrix", 1)).titles
    keanu = await catalogue.search("keanu", 1)

    assert matrix.name == "The Matrix"
    assert (keanu.titles, keanu.total_results) == ((), 1)


async def test_the_pages_of_a_search_are_different_and_come_to_an_end(
    catalogue: TmdbCatalogue,
) -> None:
    first = await catalogue.search("harbour", 1)
    pages = [first] + [
        await catalogue.search("harbour", page) for page in range(2, first.total_pages + 1)
    ]
    beyond = await catalogue.search("harbour", first.total_pages + 1)

    found = [(title.media_type, title.tmdb_id) for page in pages for title in page.titles]
    assert first.total_pages > 1
    assert [page.page for page in pages] == list(range(1, first.total_pages + 1))
    assert len(found) == len(set(found)) == first.total_results
    assert beyond.titles == ()


async def test_no_more_pages_are_promised_than_tmdb_gives(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    results: list[Any] = []
    body = {"page": 1, "total_pages": 1742, "total_results": 34_833, "results": results}
    await stand_ins.tmdb.fail(Status(status=200, body=body))

    assert (await catalogue.search("a", 1)).total_pages == 500


async def test_a_result_without_a_name_is_left_out(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    nameless = [{"media_type": "movie", "id": 1}, {"media_type": "tv", "id": 2, "name": ""}]
    named = {"media_type": "movie", "id": 3, "title": "Named", "release_date": None}
    body = {"page": 1, "total_pages": 1, "total_results": 3, "results": [*nameless, named]}
    await stand_ins.tmdb.fail(Status(status=200, body=body))

    (title,) = (await catalogue.search("x", 1)).titles

    assert title == FoundTitle(MediaType.MOVIE, 3, "Named", "Named")


async def test_adult_titles_are_not_asked_for(
    stand_ins: StandIns, catalogue: TmdbCatalogue
) -> None:
    await catalogue.search("dune", 2)

    (call,) = await stand_ins.tmdb.calls()
    assert call.query == {"query": "dune", "page": "2", "include_adult": "false"}


async def test_what_nobody_is_called_is_an_empty_page(catalogue: TmdbCatalogue) -> None:
    page = await catalogue.search("zzzzzz", 1)

    assert (page.titles, page.total_results) == ((), 0)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Status(status=401), "TMDB does not accept the API key."),
        (Status(status=404), "TMDB refuses to answer."),
        (Status(status=422), "TMDB refuses to answer."),
        (Status(status=429), "TMDB asks us to slow down."),
        (Status(status=500), "TMDB has a problem of its own."),
        (Status(status=200, body={}), "TMDB gave an answer that makes no sense."),
        (Garbage(), "TMDB gave an answer that makes no sense."),
        (Garbage(html=True), "TMDB gave an answer that makes no sense."),
        (Refuse(), "TMDB cannot be reached."),
        (Drop(), "TMDB cannot be reached."),
    ],
)
async def test_an_outage_is_never_an_empty_page(
    stand_ins: StandIns, catalogue: TmdbCatalogue, clock: Clock, fault: Fault, sentence: str
) -> None:
    await catalogue.search("dune", 1)
    await catalogue.search("zzzzzz", 1)
    clock.now = SEARCH_LIFETIME.total_seconds()
    await stand_ins.tmdb.fail(fault)

    for words in ("matrix", "dune", "zzzzzz"):
        with pytest.raises(CatalogueUnavailable) as raised:
            await catalogue.search(words, 1)
        assert str(raised.value) == sentence


async def test_a_page_is_remembered_for_minutes(
    stand_ins: StandIns, catalogue: TmdbCatalogue, clock: Clock
) -> None:
    await catalogue.search("the  wire", 1)
    clock.now = SEARCH_LIFETIME.total_seconds() - 1
    await catalogue.search(" the wire ", 1)
    assert len(await stand_ins.tmdb.calls()) == 1

    await catalogue.search("the wire", 2)
    clock.now = SEARCH_LIFETIME.total_seconds()
    await catalogue.search("the wire", 1)
    assert len(await stand_ins.tmdb.calls()) == 3


async def test_tmdb_is_never_called_more_often_at_once_than_it_bears(stand_ins: StandIns) -> None:
    catalogue = TmdbCatalogue(stand_ins.tmdb.token, stand_ins.tmdb.url)
    await stand_ins.tmdb.fail(Slow(delay=0.05))

    await asyncio.gather(
        *(catalogue.look_up(Media(MediaType.MOVIE, tmdb_id)) for tmdb_id in range(1, 61))
    )
    await catalogue.aclose()

    calls = await stand_ins.tmdb.calls()
    spans = [(call.at, call.answered_at) for call in calls if call.answered_at]
    at_once = max(sum(begun <= at < ended for begun, ended in spans) for at, _ in spans)
    assert len(spans) == 60
    assert 1 < at_once <= CONNECTIONS


async def test_the_check_proves_the_key(stand_ins: StandIns, catalogue: TmdbCatalogue) -> None:
    await catalogue.check()

    stranger = TmdbCatalogue("wrong.bearer.token", stand_ins.tmdb.url)
    with pytest.raises(CatalogueUnavailable, match="does not accept the API key"):
        await stranger.check()
    await stranger.aclose()


async def test_the_older_api_key_works_and_is_in_no_log_and_no_error(
    stand_ins: StandIns, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    key = stand_ins.tmdb.api_key
    catalogue = TmdbCatalogue(key, stand_ins.tmdb.url)
    with caplog.at_level(logging.DEBUG):
        assert (await catalogue.look_up(MATRIX)).name == "The Matrix"
        for fault in (Status(status=500), Drop(), Refuse()):
            await stand_ins.tmdb.fail(fault)
            with pytest.raises(CatalogueUnavailable) as raised:
                await catalogue.look_up(BREAKING_BAD)
    await catalogue.aclose()

    first, *_ = await stand_ins.tmdb.calls()
    assert first.query == {"api_key": "***"}
    assert "authorization" not in first.headers
    assert "/movie/603" in caplog.text, "httpx logs its calls"
    assert isinstance(raised.value.__cause__, UpstreamFailure)
    refusal = raised.value.__cause__.__cause__
    assert isinstance(refusal, httpx.ConnectError)
    assert "/tv/1396" in str(refusal.request.url), "and its errors know the URL"
    told = f"{caplog.text} {capsys.readouterr().out} {refusal.request.url} {vars(refusal)}"
    assert key not in told
