"""OverseerrForwarder against the Overseerr stand-in, over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from application.ports import ForwardingFailure
from domain.media_requests import ForwardingProblem, Media, MediaRequest, MediaType
from infrastructure.stand_ins.faults import Drop, Fault, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.running import StandIns
from infrastructure.upstreams.overseerr import OverseerrForwarder

SOMEBODY = UUID(int=1)
MATRIX = MediaRequest(Media(MediaType.MOVIE, 603), "The Matrix", SOMEBODY)
MATRIX_4K = MediaRequest(Media(MediaType.MOVIE, 603, is4k=True), "The Matrix", SOMEBODY)
UNHEARD_OF = MediaRequest(Media(MediaType.MOVIE, 99_999_999), "?", SOMEBODY)
MERELY_ANNOUNCED = MediaRequest(Media(MediaType.TV, 4711099), "Soon", SOMEBODY)

REQUEST_PATH = "/api/v1/request"


def breaking_bad(*seasons: int) -> MediaRequest:
    media = Media(MediaType.TV, 1396)
    return MediaRequest(media, "Breaking Bad", SOMEBODY, tvdb_id=81189, seasons=seasons or None)


async def requests_made(overseerr: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await overseerr.get("/request?take=100")).json()["results"]


# submit


async def test_a_film_is_requested_in_its_quality(
    stand_ins: StandIns, forwarder: OverseerrForwarder
) -> None:
    assert await forwarder.submit(MATRIX) == 1
    assert await forwarder.submit(MATRIX_4K) == 2

    bodies = [call.body for call in await stand_ins.overseerr.calls()]
    assert bodies == [
        {"mediaType": "movie", "mediaId": 603, "is4k": False},
        {"mediaType": "movie", "mediaId": 603, "is4k": True},
    ]


async def test_a_series_is_requested_by_seasons_or_whole(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await forwarder.submit(breaking_bad(2))
    await forwarder.submit(breaking_bad())

    bodies = [call.body for call in await stand_ins.overseerr.calls()]
    common = {"mediaType": "tv", "mediaId": 1396, "is4k": False, "tvdbId": 81189}
    assert bodies == [common | {"seasons": [2]}, common | {"seasons": "all"}]
    whole, part = await requests_made(overseerr)
    assert [season["seasonNumber"] for season in part["seasons"]] == [2]
    assert [season["seasonNumber"] for season in whole["seasons"]] == [1, 3, 4, 5]


async def test_an_unknown_tvdb_id_is_not_sent(
    stand_ins: StandIns, forwarder: OverseerrForwarder
) -> None:
    with pytest.raises(ForwardingFailure):
        await forwarder.submit(MERELY_ANNOUNCED)

    (posted, _) = await stand_ins.overseerr.calls()
    assert posted.body == {
        "mediaType": "tv", "mediaId": 4711099, "is4k": False, "seasons": "all",
    }  # fmt: skip


async def test_a_film_requested_already_has_the_id_of_that_request(
    forwarder: OverseerrForwarder,
) -> None:
    assert await forwarder.submit(MATRIX) == await forwarder.submit(MATRIX) == 1


async def test_seasons_requested_already_have_the_id_of_the_newest_such_request(
    forwarder: OverseerrForwarder,
) -> None:
    await forwarder.submit(breaking_bad(1))
    second = await forwarder.submit(breaking_bad(2))
    await forwarder.submit(breaking_bad(5))

    assert await forwarder.submit(breaking_bad(1, 2)) == second


async def test_of_fifty_simultaneous_requests_one_is_made_and_all_have_its_id(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    ids = await asyncio.gather(*(forwarder.submit(MATRIX) for _ in range(50)))

    assert set(ids) == {1}
    assert len(await requests_made(overseerr)) == 1


async def test_specials_that_overseerr_leaves_out_do_not_make_it_refuse(
    forwarder: OverseerrForwarder,
) -> None:
    made = await forwarder.submit(breaking_bad(0, 1))

    assert await forwarder.find(breaking_bad(0, 1)) is None
    assert await forwarder.submit(breaking_bad(0, 1)) == made


async def test_a_series_without_seasons_is_refused(forwarder: OverseerrForwarder) -> None:
    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MERELY_ANNOUNCED)

    assert raised.value.problem is ForwardingProblem.REFUSED
    assert str(raised.value) == "Overseerr has nothing left to request of this series."


async def test_a_conflict_with_nothing_to_show_for_it_is_overseerrs_error(
    stand_ins: StandIns, forwarder: OverseerrForwarder
) -> None:
    await stand_ins.overseerr.fail(Status(status=409, path=REQUEST_PATH))

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX)

    assert raised.value.problem is ForwardingProblem.UPSTREAM_ERROR
    assert "shows no such request" in str(raised.value)


async def test_a_blocklisted_title_is_refused(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await overseerr.post("/blocklist", json={"tmdbId": 603, "mediaType": "movie"})

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX)

    assert raised.value.problem is ForwardingProblem.REFUSED
    assert str(raised.value) == "The title is on Overseerr's blocklist."


async def test_a_title_that_overseerr_cannot_look_up_is_its_error(
    forwarder: OverseerrForwarder,
) -> None:
    for attempt in (forwarder.submit, forwarder.find):
        with pytest.raises(ForwardingFailure) as raised:
            await attempt(UNHEARD_OF)
        assert raised.value.problem is ForwardingProblem.UPSTREAM_ERROR


# find


async def test_nothing_is_found_where_nothing_was_made(forwarder: OverseerrForwarder) -> None:
    assert await forwarder.find(MATRIX) is None
    assert await forwarder.find(breaking_bad()) is None


async def test_what_was_made_is_found_in_its_quality_only(forwarder: OverseerrForwarder) -> None:
    made = await forwarder.submit(MATRIX_4K)

    assert await forwarder.find(MATRIX_4K) == made
    assert await forwarder.find(MATRIX) is None


async def test_a_declined_request_is_not_found(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await forwarder.submit(MATRIX)
    await overseerr.post("/request/1/decline")

    assert await forwarder.find(MATRIX) is None
    assert await forwarder.submit(MATRIX) == 2
    assert await forwarder.find(MATRIX) == 2


async def test_a_fulfilled_request_is_found_for_as_long_as_the_title_is_there(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await forwarder.submit(MATRIX)
    await overseerr.post("/media/1/available", json={"is4k": False})
    assert await forwarder.find(MATRIX) == 1

    await overseerr.delete("/media/1/file")
    assert await forwarder.find(MATRIX) is None
    assert await forwarder.submit(MATRIX) == 2


async def test_a_request_with_a_status_from_the_future_is_found(
    stand_ins: StandIns, forwarder: OverseerrForwarder
) -> None:
    newer = {"id": 8, "status": 99, "is4k": False, "novelty": {"a": 1}}
    info = {"status": 42, "status4k": 1, "requests": [newer]}
    await stand_ins.overseerr.fail(Status(status=200, body={"id": 603, "mediaInfo": info}))

    assert await forwarder.find(MATRIX) == 8


async def test_seasons_are_found_when_all_of_them_were_asked_for(
    forwarder: OverseerrForwarder,
) -> None:
    await forwarder.submit(breaking_bad(1, 2))

    assert await forwarder.find(breaking_bad(1)) == 1
    assert await forwarder.find(breaking_bad(2, 3)) is None
    assert await forwarder.find(breaking_bad()) is None

    await forwarder.submit(breaking_bad(3, 4, 5))
    assert await forwarder.find(breaking_bad(2, 3)) == 2
    assert await forwarder.find(breaking_bad(1)) == 1, "the newest has none of it"
    assert await forwarder.find(breaking_bad()) == 2, "all seasons, and no specials"


# What was made although it did not look so


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Hang(work_first=True, method="POST"), ForwardingProblem.TIMED_OUT),
        (Slow(delay=1, work_first=True, method="POST"), ForwardingProblem.TIMED_OUT),
        (Drop(work_first=True, method="POST"), ForwardingProblem.UNREACHABLE),
        (Garbage(work_first=True, method="POST"), ForwardingProblem.UPSTREAM_ERROR),
        (Status(status=500, work_first=True, method="POST"), ForwardingProblem.UPSTREAM_ERROR),
    ],
)
@pytest.mark.parametrize("wish", [MATRIX, breaking_bad(), breaking_bad(1, 2)])
async def test_a_request_whose_answer_was_lost_is_found_and_made_once(
    stand_ins: StandIns,
    forwarder: OverseerrForwarder,
    impatient: OverseerrForwarder,
    overseerr: httpx.AsyncClient,
    fault: Fault,
    problem: ForwardingProblem,
    wish: MediaRequest,
) -> None:
    await stand_ins.overseerr.fail(fault)
    with pytest.raises(ForwardingFailure) as raised:
        await (impatient if isinstance(fault, Hang | Slow) else forwarder).submit(wish)
    await stand_ins.overseerr.fail()

    assert raised.value.problem is problem
    assert await forwarder.find(wish) == 1
    assert await forwarder.submit(wish) == 1
    assert len(await requests_made(overseerr)) == 1


async def test_requests_outlive_an_outage(
    stand_ins: StandIns, forwarder: OverseerrForwarder
) -> None:
    await forwarder.submit(MATRIX)
    await stand_ins.overseerr.fail(Refuse())
    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.find(MATRIX)
    await stand_ins.overseerr.fail()

    assert raised.value.problem is ForwardingProblem.UNREACHABLE
    assert await forwarder.find(MATRIX) == 1


# Failures


UNREACHABLE = "Overseerr cannot be reached."
SENSELESS = "Overseerr gave an answer that makes no sense."
UNEXPECTED = "Overseerr answered with an unexpected status (%d)."
BROKEN = "Overseerr has a problem of its own."
BAD_KEY = "Overseerr does not accept the API key."
QUOTA = "The quota in Overseerr is used up."
NOT_PERMITTED = "Overseerr does not permit its user to make this request."
BLOCKLISTED = "The title is on Overseerr's blocklist."
READ_ONLY = "Overseerr's CSRF protection lets API keys only read; it must be switched off."


def forbidden(message: str) -> Status:
    return Status(status=403, body={"message": message})


@pytest.mark.parametrize(
    ("fault", "problem", "sentence"),
    [
        (Refuse(), "unreachable", UNREACHABLE),
        (Drop(), "unreachable", UNREACHABLE),
        (Garbage(), "upstream_error", UNEXPECTED % 200),
        (Garbage(html=True), "upstream_error", UNEXPECTED % 200),
        (Status(status=200, body={}), "upstream_error", UNEXPECTED % 200),
        (Status(status=201, body={}), "upstream_error", SENSELESS),
        (Status(status=302), "upstream_error", UNEXPECTED % 302),
        (Status(status=404), "upstream_error", UNEXPECTED % 404),
        (Status(status=500), "upstream_error", BROKEN),
        (Status(status=503), "upstream_error", BROKEN),
        (Status(status=429), "throttled", "Overseerr asks us to slow down."),
        (Status(status=400), "refused", "Overseerr does not understand such a request."),
        (Status(status=401), "bad_key", BAD_KEY),
        (Status(status=403), "bad_key", BAD_KEY),
        (forbidden("Movie Quota exceeded."), "quota_used", QUOTA),
        (forbidden("Series Quota exceeded."), "quota_used", QUOTA),
        (forbidden("You do not have permission to make movie requests."), "refused", NOT_PERMITTED),
        (forbidden("This media is blacklisted."), "refused", BLOCKLISTED),
        (forbidden("This media is blocklisted."), "refused", BLOCKLISTED),
        (forbidden("invalid csrf token"), "bad_key", READ_ONLY),
        (forbidden("Something new."), "refused", "Overseerr refuses the request."),
        (Status(status=403, body="not for you"), "upstream_error", SENSELESS),
    ],
)
async def test_a_failure_to_submit_is_told_in_a_sentence(
    stand_ins: StandIns,
    forwarder: OverseerrForwarder,
    fault: Fault,
    problem: str,
    sentence: str,
) -> None:
    await stand_ins.overseerr.fail(fault)

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX)

    assert raised.value.problem == problem
    assert str(raised.value) == sentence
    assert raised.value.retry_after is None


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (Refuse(), "unreachable"),
        (Garbage(), "upstream_error"),
        (Garbage(html=True), "upstream_error"),
        (Status(status=200, body={"mediaInfo": "none"}), "upstream_error"),
        (Status(status=500), "upstream_error"),
        (Status(status=429), "throttled"),
        (Status(status=403), "bad_key"),
    ],
)
async def test_a_failure_to_find_is_not_mistaken_for_nothing(
    stand_ins: StandIns, forwarder: OverseerrForwarder, fault: Fault, problem: str
) -> None:
    await stand_ins.overseerr.fail(fault)

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.find(MATRIX)

    assert raised.value.problem == problem


@pytest.mark.parametrize("fault", [Hang(), Slow(delay=1)])
async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(
    stand_ins: StandIns, impatient: OverseerrForwarder, fault: Fault
) -> None:
    await stand_ins.overseerr.fail(fault)

    for attempt in (impatient.submit, impatient.find):
        with pytest.raises(ForwardingFailure) as raised:
            await attempt(MATRIX)
        assert raised.value.problem is ForwardingProblem.TIMED_OUT
        assert str(raised.value) == "Overseerr did not answer in time."


async def test_a_failure_to_see_what_is_in_the_way_is_a_failure(
    stand_ins: StandIns, forwarder: OverseerrForwarder
) -> None:
    await forwarder.submit(MATRIX)
    await stand_ins.overseerr.fail(Status(status=500, method="GET"))

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX)

    assert raised.value.problem is ForwardingProblem.UPSTREAM_ERROR


@pytest.mark.parametrize("status", [429, 503])
async def test_overseerr_may_say_when_to_come_back(
    stand_ins: StandIns, forwarder: OverseerrForwarder, status: int
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    waits: list[timedelta] = []
    for retry_after in ("30", date):
        headers = {"Retry-After": retry_after}
        await stand_ins.overseerr.fail(Status(status=status, headers=headers))
        with pytest.raises(ForwardingFailure) as raised:
            await forwarder.submit(MATRIX)
        assert raised.value.retry_after is not None
        waits.append(raised.value.retry_after)

    assert waits[0] == timedelta(seconds=30)
    assert timedelta(minutes=1) < waits[1] <= timedelta(minutes=2)


# check


async def test_the_check_proves_the_key(stand_ins: StandIns, forwarder: OverseerrForwarder) -> None:
    await forwarder.check()

    stranger = OverseerrForwarder(stand_ins.overseerr.url, "wrong")
    with pytest.raises(ForwardingFailure) as raised:
        await stranger.check()
    await stranger.aclose()

    assert raised.value.problem is ForwardingProblem.BAD_KEY


@pytest.mark.parametrize("fault", [Garbage(html=True), Status(status=200, body={"status": "ok"})])
async def test_the_check_is_not_content_with_any_200(
    stand_ins: StandIns, forwarder: OverseerrForwarder, fault: Fault
) -> None:
    await stand_ins.overseerr.fail(fault)

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.check()

    assert raised.value.problem is ForwardingProblem.UPSTREAM_ERROR
