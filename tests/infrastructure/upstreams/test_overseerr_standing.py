"""In whose name OverseerrForwarder asks, how a request stands there, and how it is taken back."""

from typing import Any

import httpx
import pytest

from application.ports import ForwardingFailure
from domain.media_requests import ForwardingProblem, UpstreamStatus
from infrastructure.stand_ins.faults import Drop, Fault, Garbage, Hang, Refuse, Status
from infrastructure.stand_ins.running import StandIns
from infrastructure.upstreams.overseerr import PAGE_OF_USERS, OverseerrForwarder
from tests.infrastructure.upstreams.test_overseerr import (
    MATRIX,
    MATRIX_4K,
    breaking_bad,
    requests_made,
)

REQUEST, AUTO_APPROVE = 32, 128
USERS = "/api/v1/user"


async def add_user(
    overseerr: httpx.AsyncClient, email: str, permissions: int = REQUEST, **quota: int
) -> int:
    added = await overseerr.post("/user", json={"email": email, "permissions": permissions})
    user: int = added.json()["id"]
    if quota:
        await overseerr.post(f"/user/{user}/settings/main", json=quota)
    return user


async def asked_by(stand_ins: StandIns, method: str = "POST") -> list[str | None]:
    """In whose name each call was made."""
    calls = await stand_ins.overseerr.calls()
    return [
        call.headers.get("x-api-user")
        for call in calls
        if call.method == method and call.path == "/api/v1/request"
    ]


# In whose name


async def test_a_request_is_made_by_who_asked_and_approved_by_their_rights(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    ann = await add_user(overseerr, "ann@example.org")
    bob = await add_user(overseerr, "bob@example.org", REQUEST | AUTO_APPROVE)

    await forwarder.submit(MATRIX, "ann@example.org")
    await forwarder.submit(MATRIX_4K)
    await forwarder.submit(breaking_bad(1), "bob@example.org")

    newest, middle, oldest = await requests_made(overseerr)
    assert (oldest["requestedBy"]["id"], oldest["status"]) == (ann, 1)
    assert (middle["requestedBy"]["id"], middle["status"]) == (1, 2)
    assert (newest["requestedBy"]["id"], newest["status"]) == (bob, 2)


async def test_an_address_is_the_same_in_capitals(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    ann = await add_user(overseerr, "Ann@Example.org")

    await forwarder.submit(MATRIX, "aNN@example.ORG")

    assert await asked_by(stand_ins) == [str(ann)]


async def test_who_has_no_account_there_is_stood_in_for_by_the_owner(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await add_user(overseerr, "ann@example.org")

    await forwarder.submit(MATRIX, "stranger@example.org")

    assert await asked_by(stand_ins) == [None]
    (made,) = await requests_made(overseerr)
    assert made["requestedBy"]["id"] == 1


async def test_an_account_is_found_on_whatever_page(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    for number in range(PAGE_OF_USERS):
        await add_user(overseerr, f"{number}@example.org")
    last = await add_user(overseerr, "last@example.org")

    await forwarder.submit(MATRIX, "last@example.org")

    assert await asked_by(stand_ins) == [str(last)]


async def test_an_account_is_looked_for_once_and_a_newcomer_each_time(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    ann = await add_user(overseerr, "ann@example.org")
    await forwarder.submit(MATRIX, "bob@example.org")
    bob = await add_user(overseerr, "bob@example.org")
    for number, name in enumerate(("bob", "ann", "ann", "bob"), start=1):
        await forwarder.submit(breaking_bad(number), f"{name}@example.org")

    assert await asked_by(stand_ins) == [None, str(bob), str(ann), str(ann), str(bob)]
    looked = [
        call
        for call in await stand_ins.overseerr.calls()
        if call.method == "GET" and call.path == USERS
    ]
    assert len(looked) == 3, "bob before he was there and after, and ann"


async def test_an_account_that_is_gone_is_not_taken_for_a_bad_key(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    ann = await add_user(overseerr, "ann@example.org")
    await forwarder.submit(MATRIX, "ann@example.org")
    await overseerr.delete(f"/user/{ann}")

    made = await forwarder.submit(breaking_bad(1), "ann@example.org")

    assert await asked_by(stand_ins) == [str(ann), str(ann), None]
    (request,) = await requests_made(overseerr)
    assert (request["id"], request["requestedBy"]["id"]) == (made, 1)


async def test_a_bad_key_is_told_whoever_asks(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    ann = await add_user(overseerr, "ann@example.org")
    await stand_ins.overseerr.fail(Status(status=403, method="POST"))

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX, "ann@example.org")

    assert raised.value.problem is ForwardingProblem.BAD_KEY
    assert await asked_by(stand_ins) == [str(ann)], "to ask again would change nothing"


async def test_while_nobody_knows_who_asks_nothing_is_made(
    stand_ins: StandIns, forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await stand_ins.overseerr.fail(Status(status=500, path=USERS))

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX, "ann@example.org")

    assert raised.value.problem is ForwardingProblem.UPSTREAM_ERROR
    assert await requests_made(overseerr) == []


@pytest.mark.parametrize(
    ("permissions", "quota", "problem", "sentence"),
    [
        (
            REQUEST,
            {"movieQuotaLimit": 1, "movieQuotaDays": 7},
            ForwardingProblem.QUOTA_USED,
            "The quota in Overseerr is used up.",
        ),
        (
            0,
            {},
            ForwardingProblem.REFUSED,
            "Overseerr does not permit its user to make this request.",
        ),
    ],
)
async def test_the_rights_and_the_quota_are_those_of_who_asked(
    forwarder: OverseerrForwarder,
    overseerr: httpx.AsyncClient,
    permissions: int,
    quota: dict[str, int],
    problem: ForwardingProblem,
    sentence: str,
) -> None:
    user = await add_user(overseerr, "ann@example.org", permissions, **quota)
    used = {"mediaType": "movie", "mediaId": 550, "is4k": False}
    await overseerr.post("/request", json=used, headers={"X-API-User": str(user)})

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.submit(MATRIX, "ann@example.org")

    assert (raised.value.problem, str(raised.value)) == (problem, sentence)


async def test_an_address_is_in_no_url_and_no_log(
    stand_ins: StandIns, forwarder: OverseerrForwarder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        await forwarder.submit(MATRIX, "secret@example.org")
        await stand_ins.overseerr.fail(Status(status=500))
        with pytest.raises(ForwardingFailure) as raised:
            await forwarder.submit(MATRIX, "secret@example.org")

    assert "secret@" not in f"{caplog.text} {await stand_ins.overseerr.calls()} {raised.value!r}"


# How it stands


async def test_a_request_waits_is_under_way_and_is_there(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    await add_user(overseerr, "ann@example.org")
    made = await forwarder.submit(MATRIX, "ann@example.org")
    assert await forwarder.look(made) is UpstreamStatus.WAITING

    await overseerr.post(f"/request/{made}/approve")
    assert await forwarder.look(made) is UpstreamStatus.UNDER_WAY

    await overseerr.post("/media/1/available", json={"is4k": False})
    assert await forwarder.look(made) is UpstreamStatus.AVAILABLE

    await overseerr.delete("/media/1/file")
    assert await forwarder.look(made) is UpstreamStatus.DELETED


async def test_a_request_that_was_declined_is_declined_though_the_title_is_there(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    made = await forwarder.submit(MATRIX)
    await overseerr.post(f"/request/{made}/decline")
    assert await forwarder.look(made) is UpstreamStatus.DECLINED

    await overseerr.post("/media/1/available", json={"is4k": False})
    assert await forwarder.look(made) is UpstreamStatus.DECLINED


async def test_the_two_qualities_stand_for_themselves(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    hd, uhd = await forwarder.submit(MATRIX), await forwarder.submit(MATRIX_4K)

    await overseerr.post("/media/1/available", json={"is4k": True})

    assert await forwarder.look(hd) is UpstreamStatus.UNDER_WAY
    assert await forwarder.look(uhd) is UpstreamStatus.AVAILABLE


async def test_a_series_is_there_when_all_its_seasons_that_were_asked_for_are(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    async def found(*seasons: int) -> None:
        named = [{"seasonNumber": number} for number in seasons]
        await overseerr.post("/media/1/partial", json={"is4k": False, "seasons": named})

    made = await forwarder.submit(breaking_bad(1, 2))
    await found(4)
    assert await forwarder.look(made) is UpstreamStatus.UNDER_WAY, "nobody asked for season 4"

    await found(1)
    assert await forwarder.look(made) is UpstreamStatus.PARTLY_AVAILABLE
    assert await forwarder.look(made, (1,)) is UpstreamStatus.AVAILABLE
    assert await forwarder.look(made, (1, 2, 3)) is UpstreamStatus.PARTLY_AVAILABLE

    await found(2)
    assert await forwarder.look(made) is UpstreamStatus.AVAILABLE
    assert await forwarder.look(made, (1, 2, 3)) is UpstreamStatus.PARTLY_AVAILABLE


async def test_a_series_that_an_admin_calls_available_is(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    made = await forwarder.submit(breaking_bad())

    await overseerr.post("/media/1/available", json={"is4k": False})

    assert await forwarder.look(made) is UpstreamStatus.AVAILABLE


def season(number: int, status: int, status4k: int = 1) -> dict[str, Any]:
    return {"seasonNumber": number, "status": status, "status4k": status4k}


FILM: tuple[int, int, list[Any]] = (1, 1, [])
"""A title that is not there: its two statuses, and what of its seasons is."""


NUMBERS: list[tuple[int, tuple[int, int, list[Any]], list[int], str]] = [
    # Requests, with Overseerr's numbers, Seerr's, and those of the future
    (1, FILM, [], "waiting"),
    (2, FILM, [], "under_way"),
    (2, (3, 1, []), [], "under_way"),
    (3, FILM, [], "declined"),
    (4, FILM, [], "failed"),
    (5, FILM, [], "available"),
    (6, FILM, [], "unknown"),
    (99, FILM, [], "unknown"),
    (0, FILM, [], "unknown"),
    # Titles
    (1, (5, 1, []), [], "available"),
    (4, (5, 1, []), [], "available"),
    (99, (5, 1, []), [], "available"),
    (3, (5, 1, []), [], "declined"),
    (2, (6, 1, []), [], "under_way"),
    (5, (7, 1, []), [], "deleted"),
    (2, (7, 1, []), [], "under_way"),
    (2, (8, 1, []), [], "under_way"),
    (2, (1, 5, []), [], "under_way"),
    # Seasons
    (2, (4, 1, [season(1, 5)]), [1, 2], "partly_available"),
    (2, (4, 1, [season(1, 4)]), [1, 2], "partly_available"),
    (2, (4, 1, [season(3, 5)]), [1, 2], "under_way"),
    (2, (4, 1, [season(1, 5), season(2, 5)]), [1, 2], "available"),
    (2, (4, 1, [season(1, 5), season(2, 4)]), [1, 2], "partly_available"),
    (2, (4, 1, [season(1, 3, 5)]), [1], "under_way"),
    (2, (4, 1, []), [1], "partly_available"),
    (4, (4, 1, [season(1, 5)]), [1, 2], "failed"),
    (5, (7, 1, []), [1], "deleted"),
    (2, (3, 1, [season(1, 42)]), [1], "under_way"),
]


@pytest.mark.parametrize(("status", "title", "wanted", "stands"), NUMBERS)
async def test_every_number_has_its_meaning_or_none(
    stand_ins: StandIns,
    forwarder: OverseerrForwarder,
    status: int,
    title: tuple[int, int, list[dict[str, Any]]],
    wanted: list[int],
    stands: str,
) -> None:
    media = {"id": 1, "status": title[0], "status4k": title[1], "seasons": title[2]}
    asked_for = [{"id": number, "seasonNumber": number, "status": 2} for number in wanted]
    body = {"id": 7, "status": status, "is4k": False, "media": media, "seasons": asked_for}
    await stand_ins.overseerr.fail(Status(status=200, body=body | {"novelty": {"a": 1}}))

    assert await forwarder.look(7) == stands


async def test_a_request_that_somebody_deleted_is_missing(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    made = await forwarder.submit(MATRIX)
    await overseerr.delete(f"/request/{made}")

    assert await forwarder.look(made) is UpstreamStatus.MISSING


NOT_TOLD: list[tuple[Fault, str]] = [
    (Refuse(), "unreachable"),
    (Drop(), "unreachable"),
    (Garbage(html=True), "upstream_error"),
    (Status(status=200, body={"id": 1}), "upstream_error"),
    (Status(status=404), "upstream_error"),
    (Status(status=404, body="<h1>404</h1>"), "upstream_error"),
    (Status(status=404, body={"message": "not found", "errors": []}), "upstream_error"),
    (Status(status=500), "upstream_error"),
    (Status(status=429), "throttled"),
    (Status(status=401), "bad_key"),
    (Status(status=403), "bad_key"),
]
"""What says nothing of a request; a 404 of a proxy, or of a wrong address, among them."""


@pytest.mark.parametrize(("fault", "problem"), NOT_TOLD)
async def test_a_request_is_not_missing_because_nobody_tells(
    stand_ins: StandIns, forwarder: OverseerrForwarder, fault: Fault, problem: str
) -> None:
    made = await forwarder.submit(MATRIX)
    await stand_ins.overseerr.fail(fault)

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.look(made)

    assert raised.value.problem == problem


# Taking it back


async def test_a_request_is_taken_back_once_and_for_all(
    forwarder: OverseerrForwarder, overseerr: httpx.AsyncClient
) -> None:
    made = await forwarder.submit(MATRIX)

    await forwarder.cancel(made)
    assert await requests_made(overseerr) == []

    await forwarder.cancel(made)
    assert await forwarder.submit(MATRIX) != made


@pytest.mark.parametrize(("fault", "problem"), NOT_TOLD)
async def test_a_request_is_not_taken_back_because_nobody_tells(
    stand_ins: StandIns,
    forwarder: OverseerrForwarder,
    overseerr: httpx.AsyncClient,
    fault: Fault,
    problem: str,
) -> None:
    made = await forwarder.submit(MATRIX)
    await stand_ins.overseerr.fail(fault)

    with pytest.raises(ForwardingFailure) as raised:
        await forwarder.cancel(made)

    assert raised.value.problem == problem
    await stand_ins.overseerr.fail()
    assert len(await requests_made(overseerr)) == 1


async def test_what_was_taken_back_although_it_did_not_look_so_is_gone(
    stand_ins: StandIns, forwarder: OverseerrForwarder, impatient: OverseerrForwarder
) -> None:
    made = await forwarder.submit(MATRIX)
    await stand_ins.overseerr.fail(Hang(work_first=True, method="DELETE"))
    with pytest.raises(ForwardingFailure) as raised:
        await impatient.cancel(made)
    await stand_ins.overseerr.fail()

    assert raised.value.problem is ForwardingProblem.TIMED_OUT
    await forwarder.cancel(made)
    assert await forwarder.look(made) is UpstreamStatus.MISSING
