import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from application.ports import CatalogueUnavailable, ForwardingFailure, StoreBusy, StoreUnavailable
from domain.media_requests import ForwardingProblem, RequestStatus, media_request_id
from interfaces.http import call
from tests.fakes import new_id
from tests.interfaces.house import MATRIX, SEVERANCE, House, Person, film, series
from tests.interfaces.problems import problem, wrong_fields

REQUEST = "/api/v1/media/request"
REQUESTS = "/api/v1/media/requests"


async def ask(client: httpx.AsyncClient, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    answers = [await client.post(REQUEST, json=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [201] * len(bodies)
    return [answer.json() for answer in answers]


# Asking


async def test_a_request_is_made_found_and_says_where_it_stands(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        created = await client.post(REQUEST, json=film(note="For Friday", title="the matrix"))
        found = await client.get(
            created.headers["location"], params={"after": created.headers["x-position"]}
        )
    body = created.json()
    assert created.status_code == 201
    assert created.headers["location"] == f"{REQUESTS}/{media_request_id(MATRIX)}"
    assert created.headers["x-position"] == str(house.store.head)
    assert body == found.json()
    assert body | {"requestedAt": "", "updatedAt": ""} == {
        "id": str(media_request_id(MATRIX)),
        "mediaType": "movie",
        "tmdbId": 603,
        "is4k": False,
        "title": "The Matrix",
        "year": 1999,
        "posterPath": "/matrix.jpg",
        "seasons": None,
        "episodes": [],
        "note": "For Friday",
        "requestedBy": str(alice.id),
        "requestedAt": "",
        "status": "pending",
        "awaitsApproval": False,
        "more": None,
        "decidedBy": None,
        "reason": None,
        "followers": 0,
        "version": 1,
        "updatedAt": "",
        "overseerrId": None,
        "attempts": 0,
        "problem": None,
        "nextAttemptAt": None,
    }


async def test_seasons_are_kept_in_order_and_once(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        (request,) = await ask(client, series(2, 0, 2))
    assert request["seasons"] == [0, 2]


async def test_hd_and_4k_are_requests_of_their_own(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        hd, uhd = await ask(client, film(), film(is4k=True))
    assert hd["id"] != uhd["id"]


async def test_a_second_request_is_refused_and_led_to_the_first(
    house: House, alice: Person, bob: Person
) -> None:
    async with house.client(alice) as client:
        (first,) = await ask(client, film())
    async with house.client(bob) as client:
        answer = await client.post(REQUEST, json=film())
    body = problem(answer, 409, "already-requested")
    href = f"{REQUESTS}/{first['id']}"
    assert body["existing"] == {"id": first["id"], "href": href, "follow": f"{href}/follow"}
    assert body["detail"] == "“The Matrix” has already been requested."


async def test_of_many_at_once_one_is_made(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answers = await asyncio.gather(*(client.post(REQUEST, json=film()) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"mediaType": "Is required.", "tmdbId": "Is required."}),
        (
            film(tmdb_id=0, note="x" * 501, is4k="yes"),
            {
                "tmdbId": "Must be a whole number, 1 to 2147483647.",
                "note": "Must be a text, at most 500 characters, without NUL characters.",
                "is4k": "Must be true or false.",
            },
        ),
        (film(tmdb_id=2**31), {"tmdbId": "Must be a whole number, 1 to 2147483647."}),
        (
            film(note="a\0b"),
            {"note": "Must be a text, at most 500 characters, without NUL characters."},
        ),
        (
            film(tmdbID=1, is_4k=True),
            {"is_4k": "Is not known here.", "tmdbID": "Is not known here."},
        ),
        (film() | {"mediaType": "book"}, {"mediaType": "Must be one of: movie, tv."}),
        (
            series(1) | {"seasons": [1, "2", -1]},
            {
                "seasons[1]": "Must be a whole number, 0 to 9999.",
                "seasons[2]": "Must be a whole number, 0 to 9999.",
            },
        ),
        (
            series(),
            {"seasons": "Must be a list, 1 to 500 items, each a whole number, 0 to 9999."},
        ),
        (film(seasons=[1]), {"seasons": "A film has no seasons."}),
    ],
)
async def test_every_wrong_field_is_named(
    house: House, alice: Person, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    before = house.store.head
    async with house.client(alice) as client:
        answer = await client.post(REQUEST, json=body)
    assert wrong_fields(answer) == wrong
    assert house.store.head == before


async def test_a_season_that_does_not_exist_is_refused(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.post(REQUEST, json=series(1, 7))
    body = problem(answer, 400, "unknown-seasons")
    assert body["errors"] == [{"field": "seasons", "message": "“Severance” has no season 7."}]


async def test_a_title_that_does_not_exist_is_refused(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        problem(await client.post(REQUEST, json=film(999_999)), 404, "unknown-title")


async def test_what_the_world_does_not_do_is_told_with_when_to_come_back(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        house.catalogue.failure = CatalogueUnavailable("TMDB is away.", timedelta(seconds=30))
        answer = await client.post(REQUEST, json=film())
        assert problem(answer, 503, "catalogue-unavailable")["retryAfter"] == 30
        assert answer.headers["retry-after"] == "30"
        house.catalogue.failure = None
        house.store.failure = StoreBusy("Too many at once.")
        problem(await client.post(REQUEST, json=film()), 503, "busy")
        house.store.failure = StoreUnavailable("The database does not answer.")
        problem(await client.post(REQUEST, json=film()), 503, "store-unavailable")


# Seeing


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        made = await ask(client, *(film(tmdb_id) for tmdb_id in range(1, 8)))
        seen: list[str] = []
        params: dict[str, Any] = {"limit": 3}
        sizes: list[int] = []
        while True:
            page = (await client.get(REQUESTS, params=params)).json()
            seen += [item["id"] for item in page["items"]]
            sizes.append(len(page["items"]))
            if page["nextCursor"] is None:
                break
            params["cursor"] = page["nextCursor"]
            await ask(client, film(100 + len(sizes)))  # what comes meanwhile is on no later page
    assert seen == [request["id"] for request in reversed(made)]
    assert sizes == [3, 3, 1]


async def test_a_list_is_narrowed_by_what_is_asked(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    async with house.client(alice) as client:
        first, second = await ask(client, film(1), series(1))
    async with house.client(bob) as client:
        (third,) = await ask(client, film(2))
    await house.forward(UUID(first["id"]))

    async with house.client(admin) as client:

        async def listed(**params: str) -> Sequence[str]:
            answer = await client.get(REQUESTS, params=params)
            return [item["id"] for item in answer.json()["items"]]

        assert await listed() == [third["id"], second["id"], first["id"]]
        assert await listed(status="forwarded") == [first["id"]]
        assert await listed(status="pending", mediaType="tv") == [second["id"]]
        assert await listed(requestedBy=str(bob.id)) == [third["id"]]
        assert await listed(requestedBy=str(bob.id), mediaType="tv") == []


async def test_a_page_has_twenty_unless_asked_otherwise(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        await ask(client, *(film(tmdb_id) for tmdb_id in range(1, 22)))
        assert len((await client.get(REQUESTS)).json()["items"]) == 20
        assert len((await client.get(REQUESTS, params={"limit": 100})).json()["items"]) == 21


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({"limit": "101"}, {"limit": "Must be a whole number, 1 to 100."}),
        ({"limit": ""}, {"limit": "Must be a whole number, 1 to 100."}),
        (
            {"status": "lost", "requestedBy": "me", "sort": "best"},
            {
                "status": f"Must be one of: {', '.join(RequestStatus)}.",
                "requestedBy": "Must be a UUID.",
                "sort": "Must be one of: newest, oldest, title, updated.",
            },
        ),
        ({"cursor": "!"}, {"cursor": "Must be the nextCursor of a page."}),
        ({"cursor": "bm90LWEtbnVtYmVy"}, {"cursor": "Must be the nextCursor of a page."}),
        ({"cursor": "ä"}, {"cursor": "Must be the nextCursor of a page."}),
        ({"after": "-1"}, {"after": f"Must be a whole number, 0 to {2**63 - 1}."}),
    ],
)
async def test_every_wrong_parameter_is_named(
    house: House, alice: Person, params: dict[str, str], wrong: dict[str, str]
) -> None:
    async with house.client(alice) as client:
        assert wrong_fields(await client.get(REQUESTS, params=params)) == wrong


@pytest.mark.parametrize("path", ["", "/history"])
async def test_a_request_that_is_not_there_is_not_found(
    house: House, alice: Person, path: str
) -> None:
    async with house.client(alice) as client:
        answer = await client.get(f"{REQUESTS}/{new_id()}{path}")
        problem(answer, 404, "unknown-request")
        account = await client.get(f"{REQUESTS}/{alice.id}{path}")  # a stream, but no request
        problem(account, 404, "unknown-request")
        odd = await client.get(f"{REQUESTS}/{new_id()}{path}?verbose=1")
        assert wrong_fields(odd) == {"verbose": "Is not known here."}


# History


async def test_the_history_says_who_when_and_what(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        (request,) = await ask(client, film())
        house.forwarder.failure = ForwardingFailure(ForwardingProblem.TIMED_OUT, "No answer.")
        await house.forward(media_request_id(MATRIX))
        house.forwarder.failure = None
        await house.forward(media_request_id(MATRIX))
        answer = await client.get(f"{REQUESTS}/{request['id']}/history")
    asked, failed, forwarded = answer.json()["items"]
    assert [asked["type"], failed["type"], forwarded["type"]] == [
        "media_request.requested",
        "media_request.forwarding_failed",
        "media_request.forwarded",
    ]
    assert [asked["version"], failed["version"], forwarded["version"]] == [1, 2, 3]
    assert asked["position"] < failed["position"] < forwarded["position"]
    assert (asked["actor"], forwarded["actor"]) == (
        f"account:{alice.id}",
        "system:forward_requests",
    )
    assert asked["words"] == "Asked for “The Matrix” (1999)."
    assert failed["words"].startswith("Attempt 1 failed: Overseerr did not answer in time.")
    assert forwarded["data"] == {"overseerrId": 1, "alreadyThere": False}
    assert asked["at"].endswith("Z")


# Reading one's writes


async def test_a_read_waits_for_the_position_it_is_to_show(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        house.requests.stopped_at = house.store.head
        created = await client.post(REQUEST, json=film())
        location, position = created.headers["location"], created.headers["x-position"]
        problem(await client.get(location), 404, "unknown-request")
        waiting = asyncio.create_task(client.get(location, params={"after": position}))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        house.requests.stopped_at = None
        assert (await waiting).json() == created.json()


async def test_a_read_model_that_stays_behind_is_told(
    house: House, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "LONGEST_WAIT", timedelta(milliseconds=50))
    async with house.client(alice) as client:
        (request,) = await ask(client, series(1))
        house.requests.stopped_at = 0
        for path in (REQUESTS, f"{REQUESTS}/{request['id']}"):
            answer = await client.get(path, params={"after": house.store.head})
            assert problem(answer, 503, "read-model-behind")["retryAfter"] == 1
            assert answer.headers["retry-after"] == "1"
        for path in (f"{REQUESTS}/{request['id']}/history", "/api/v1/auth/me"):  # never behind
            answer = await client.get(path, params={"after": house.store.head})
            assert answer.status_code == 200
    assert request["id"] == str(media_request_id(SEVERANCE))
