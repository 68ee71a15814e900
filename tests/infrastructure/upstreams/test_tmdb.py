"""TmdbCatalogue against the TMDB stand-in, over HTTP."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from application.ports import CatalogueUnavailable, Title, UnknownTitle
from domain.media_requests import Media, MediaType
from infrastructure.stand_ins.faults import Drop, Fault, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.running import StandIns
from infrastructure.stand_ins.titles import LAST_ID
from infrastructure.upstreams.tmdb import CONNECTIONS, LIFETIME, TmdbCatalogue
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
