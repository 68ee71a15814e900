"""A request's way through people's hands, over HTTP."""

import asyncio
import csv
import io
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from application.media_requests import MediaRequests, RequestRules
from application.ports import ForwardingFailure
from domain.media_requests import ForwardingProblem, media_request_id
from interfaces.http import request_export
from tests.fakes import new_id
from tests.interfaces.house import MATRIX, SEVERANCE, House, Person, film, series
from tests.interfaces.problems import problem, wrong_fields

REQUEST = "/api/v1/media/request"
REQUESTS = "/api/v1/media/requests"
ADMIN = "/api/v1/admin/requests"
THE_MATRIX = media_request_id(MATRIX)


@pytest.fixture
def strict(house: House) -> House:
    """A house in which an admin has to say yes."""
    use_cases = MediaRequests(
        house.executor,
        house.store,
        house.catalogue,
        house.quotas,
        RequestRules(auto_approve=False),
    )
    house.use_cases.request_media = use_cases.request_media
    return house


async def ask(house: House, person: Person, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with house.client(person) as client:
        answer = await client.post(REQUEST, json=body or film())
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


async def send(house: House, person: Person, method: str, path: str, **more: Any) -> httpx.Response:
    async with house.client(person) as client:
        return await client.request(method, path, **more)


async def statuses(house: House, admin: Person) -> str:
    answer = await send(house, admin, "GET", f"{REQUESTS}/{THE_MATRIX}")
    return answer.json()["status"]


# Approval


async def test_a_user_s_request_waits_until_an_admin_approves_it(
    strict: House, alice: Person, admin: Person
) -> None:
    made = await ask(strict, alice)
    assert (made["status"], made["awaitsApproval"]) == ("awaiting_approval", True)
    waiting = await send(strict, admin, "GET", REQUESTS, params={"awaitsApproval": "true"})
    assert [item["id"] for item in waiting.json()["items"]] == [made["id"]]
    approved = await send(strict, admin, "POST", f"{ADMIN}/{made['id']}/approve")
    body = approved.json()
    assert (body["status"], body["awaitsApproval"]) == ("pending", False)
    assert body["decidedBy"] == str(admin.id)
    assert approved.headers["x-position"] == str(strict.store.head)
    waiting = await send(strict, admin, "GET", REQUESTS, params={"awaitsApproval": "true"})
    assert waiting.json()["items"] == []


async def test_an_admin_s_own_request_needs_nobody_s_word(strict: House, admin: Person) -> None:
    assert (await ask(strict, admin))["status"] == "pending"


async def test_a_request_is_declined_with_a_reason_and_reopened(
    house: House, alice: Person, admin: Person
) -> None:
    await ask(house, alice)
    path = f"{ADMIN}/{THE_MATRIX}"
    assert wrong_fields(await send(house, admin, "POST", f"{path}/decline", json={})) == {
        "reason": "Is required."
    }
    empty = await send(house, admin, "POST", f"{path}/decline", json={"reason": ""})
    assert wrong_fields(empty).keys() == {"reason"}
    declined = await send(house, admin, "POST", f"{path}/decline", json={"reason": "No room."})
    assert (declined.json()["status"], declined.json()["reason"]) == ("declined", "No room.")
    problem(await send(house, admin, "POST", f"{path}/approve"), 409, "request-over")
    reopened = await send(house, admin, "POST", f"{path}/reopen")
    assert (reopened.json()["status"], reopened.json()["reason"]) == ("awaiting_approval", None)
    again = await send(house, admin, "POST", f"{path}/approve")
    assert again.json()["status"] == "pending"
    problem(await send(house, admin, "POST", f"{path}/reopen"), 409, "not-declined")


async def test_an_admin_fulfils_by_hand(house: House, alice: Person, admin: Person) -> None:
    await ask(house, alice)
    done = await send(house, admin, "POST", f"{ADMIN}/{THE_MATRIX}/fulfil")
    assert done.json()["status"] == "available"
    async with house.client(alice) as client:
        body = problem(await client.post(REQUEST, json=film()), 409, "already-available")
    href = f"{REQUESTS}/{THE_MATRIX}"
    assert body["existing"] == {"id": str(THE_MATRIX), "href": href}


# Ends


async def test_who_asked_takes_it_back_and_can_ask_again(house: House, alice: Person) -> None:
    await ask(house, alice)
    ended = await send(house, alice, "DELETE", f"{REQUESTS}/{THE_MATRIX}")
    assert (ended.status_code, ended.content) == (204, b"")
    assert ended.headers["x-position"] == str(house.store.head)
    assert await statuses(house, alice) == "withdrawn"
    assert (await ask(house, alice))["status"] == "pending"


async def test_an_admin_ends_somebody_else_s_request_and_may_say_why(
    house: House, alice: Person, admin: Person
) -> None:
    await ask(house, alice)
    path = f"{REQUESTS}/{THE_MATRIX}"
    await send(house, admin, "DELETE", path, params={"reason": "Twice the same."})
    shown = (await send(house, alice, "GET", path)).json()
    assert (shown["status"], shown["reason"]) == ("cancelled", "Twice the same.")
    problem(await send(house, alice, "DELETE", path), 409, "request-over")


@pytest.mark.parametrize(
    ("method", "step"),
    [("POST", "/follow"), ("DELETE", "/follow"), ("POST", "/retry"), ("DELETE", "")],
)
async def test_there_is_no_step_on_what_is_not_there(
    house: House, alice: Person, method: str, step: str
) -> None:
    for unknown in (new_id(), alice.id):  # nothing at all, and a stream of another kind
        answer = await send(house, alice, method, f"{REQUESTS}/{unknown}{step}")
        problem(answer, 404, "unknown-request")


async def test_a_failed_request_is_tried_again(house: House, alice: Person) -> None:
    await ask(house, alice)
    path = f"{REQUESTS}/{THE_MATRIX}/retry"
    house.forwarder.failure = ForwardingFailure(ForwardingProblem.REFUSED, "No.")
    await house.forward(THE_MATRIX)
    assert await statuses(house, alice) == "failed"
    house.forwarder.failure = None
    tried = (await send(house, alice, "POST", path)).json()
    assert (tried["status"], tried["attempts"], tried["problem"]) == ("pending", 0, None)
    await house.forward(THE_MATRIX)
    problem(await send(house, alice, "POST", path), 409, "not-failed")


# Following


async def test_who_follows_sees_the_request_and_nobody_else_does(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    await ask(house, alice)
    path = f"{REQUESTS}/{THE_MATRIX}"
    problem(await send(house, bob, "GET", path), 403, "forbidden")
    problem(await send(house, bob, "GET", f"{path}/history"), 403, "forbidden")
    followed = await send(house, bob, "POST", f"{path}/follow")
    assert followed.json()["followers"] == 1
    assert (await send(house, bob, "GET", path)).status_code == 200
    assert (await send(house, bob, "GET", f"{path}/history")).status_code == 200
    listed = await send(house, bob, "GET", REQUESTS, params={"following": "true"})
    assert [item["id"] for item in listed.json()["items"]] == [str(THE_MATRIX)]
    for other in (alice, admin):
        listed = await send(house, other, "GET", REQUESTS, params={"following": "true"})
        assert listed.json()["items"] == []
    await send(house, bob, "DELETE", f"{path}/follow")
    problem(await send(house, bob, "GET", path), 403, "forbidden")


# More of a series


async def test_what_was_not_asked_for_is_added(house: House, alice: Person, bob: Person) -> None:
    await ask(house, alice, series(1))
    async with house.client(bob) as client:
        more = await client.post(REQUEST, json=series(1, 2))
    assert more.status_code == 200
    body = more.json()
    assert (body["id"], body["seasons"]) == (str(media_request_id(SEVERANCE)), [1, 2])
    assert (body["requestedBy"], body["followers"]) == (str(alice.id), 1)


async def test_more_that_waits_is_approved_on_its_own(
    strict: House, alice: Person, bob: Person, admin: Person
) -> None:
    made = await ask(strict, alice, series(1))
    await send(strict, admin, "POST", f"{ADMIN}/{made['id']}/approve")
    wish = {"mediaType": "tv", "tmdbId": 95396, "episodes": [{"season": 2, "number": 3}]}
    more = await ask(strict, bob, wish)
    assert (more["status"], more["awaitsApproval"]) == ("pending", True)
    assert more["more"] == {"seasons": [2], "episodes": [{"season": 2, "number": 3}]}
    approved = (await send(strict, admin, "POST", f"{ADMIN}/{made['id']}/approve")).json()
    assert (approved["seasons"], approved["more"]) == ([1, 2], None)
    assert approved["episodes"] == [{"season": 2, "number": 3}]


async def test_a_film_has_no_episodes_and_an_episode_has_a_season(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        answer = await client.post(REQUEST, json=film(episodes=[{"season": 1, "number": 1}]))
        assert wrong_fields(answer) == {"episodes": "A film has no episodes."}
        wish = {"mediaType": "tv", "tmdbId": 95396, "episodes": [{"season": 1, "number": 0}]}
        answer = await client.post(REQUEST, json=wish)
        assert wrong_fields(answer) == {"episodes[0].number": "Must be a whole number, 1 to 9999."}
        wish["episodes"] = [{"season": 7, "number": 1}]
        problem(await client.post(REQUEST, json=wish), 400, "unknown-seasons")


# Waiting


async def test_who_is_willing_to_wait_is_told_overseerr_s_id(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        waiting = asyncio.create_task(
            client.post(REQUEST, json=film(), headers={"Prefer": "wait=20"})
        )
        while not any(recorded.stream_id == THE_MATRIX for recorded in house.store.events):
            await asyncio.sleep(0)
        await house.forward(THE_MATRIX)
        answer = await waiting
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=20"
    assert (answer.json()["status"], answer.json()["overseerrId"]) == ("forwarded", 1)


async def test_patience_ends(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.post(REQUEST, json=film(), headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert answer.headers["preference-applied"] == "wait=0"


async def test_what_waits_for_an_admin_is_not_waited_for(strict: House, alice: Person) -> None:
    async with asyncio.timeout(10), strict.client(alice) as client:
        answer = await client.post(REQUEST, json=film(), headers={"Prefer": "wait=30"})
    assert answer.json()["status"] == "awaiting_approval"


@pytest.mark.parametrize("prefer", ["respond-async", "respond-async, wait=20", "wait=soon", "=,;"])
async def test_who_does_not_want_to_wait_is_answered_at_once(
    house: House, alice: Person, prefer: str
) -> None:
    async with asyncio.timeout(10), house.client(alice) as client:
        answer = await client.post(REQUEST, json=film(), headers={"Prefer": prefer})
    assert answer.status_code == 201
    assert "preference-applied" not in answer.headers


# The past


async def test_a_request_is_shown_as_it_stood(house: House, alice: Person, admin: Person) -> None:
    made = await ask(house, alice)
    asked = house.store.events[-1]
    await house.forward(THE_MATRIX)
    path = f"{REQUESTS}/{THE_MATRIX}"

    async def then(**params: Any) -> dict[str, Any]:
        return (await send(house, alice, "GET", path, params=params)).json()

    assert await then(position=asked.position) == made
    assert await then(at=asked.at.isoformat()) == made
    assert (await then())["status"] == "forwarded"
    assert (await then(position=house.store.head))["status"] == "forwarded"
    earlier = await then(position=house.store.head, at=asked.at.isoformat())
    assert earlier["status"] == "pending"
    before = {"position": asked.position - 1}
    problem(await send(house, alice, "GET", path, params=before), 404, "unknown-request")
    naive = await send(house, alice, "GET", path, params={"at": "2026-05-01T12:00:00"})
    assert wrong_fields(naive).keys() == {"at"}


async def test_only_who_could_see_it_then_sees_it_as_it_stood(
    house: House, alice: Person, bob: Person
) -> None:
    await ask(house, alice)
    first = house.store.head
    path = f"{REQUESTS}/{THE_MATRIX}"
    await send(house, alice, "DELETE", path)
    await ask(house, bob, film(note="My own reasons"))
    then = {"position": first}
    assert (await send(house, alice, "GET", path, params=then)).status_code == 200
    problem(await send(house, bob, "GET", path, params=then), 403, "forbidden")
    problem(await send(house, alice, "GET", path), 403, "forbidden")


async def words(house: House, person: Person, request_id: UUID = THE_MATRIX) -> list[str]:
    answer = await send(house, person, "GET", f"{REQUESTS}/{request_id}/history")
    return [item["words"] for item in answer.json()["items"]]


async def test_of_several_requests_for_a_title_everybody_sees_their_own(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    await ask(house, alice, film(note="Hers"))
    await send(house, alice, "DELETE", f"{REQUESTS}/{THE_MATRIX}")
    await ask(house, bob)
    asked, ended = "Asked for “The Matrix” (1999).", "Taken back by who had asked for it."
    assert await words(house, alice) == [asked, ended]
    assert await words(house, bob) == [asked]
    assert await words(house, admin) == [asked, ended, asked]


async def test_names_are_for_admins_and_for_oneself(
    house: House, alice: Person, admin: Person
) -> None:
    await ask(house, alice)
    await send(house, admin, "POST", f"{ADMIN}/{THE_MATRIX}/decline", json={"reason": "No."})

    async def named(person: Person) -> list[str | None]:
        answer = await send(house, person, "GET", f"{REQUESTS}/{THE_MATRIX}/history")
        return [item["actorName"] for item in answer.json()["items"]]

    assert await named(alice) == [alice.email, None]
    assert await named(admin) == [alice.email, admin.email]


# Lists


async def test_lists_are_sorted_searched_and_narrowed(
    house: House, alice: Person, admin: Person
) -> None:
    async with house.client(alice) as client:
        for body in (film(), film(is4k=True), film(7), series(1)):
            assert (await client.post(REQUEST, json=body)).status_code == 201
    await house.forward(THE_MATRIX)

    async def listed(**params: str) -> list[tuple[str, bool]]:
        answer = await send(house, admin, "GET", REQUESTS, params=params)
        assert answer.status_code == 200, answer.text
        return [(item["title"], item["is4k"]) for item in answer.json()["items"]]

    hd, uhd, other, show = [
        ("The Matrix", False),
        ("The Matrix", True),
        ("Film 7", False),
        ("Severance", False),
    ]
    assert await listed() == await listed(sort="newest") == [show, other, uhd, hd]
    assert await listed(sort="oldest") == [hd, uhd, other, show]
    assert await listed(sort="title") == [other, show, hd, uhd]
    assert await listed(sort="updated") == [hd, show, other, uhd]
    assert await listed(is4k="true") == [uhd]
    assert await listed(q="MATR", sort="oldest") == [hd, uhd]
    assert await listed(q="the matr", is4k="false") == [hd]
    assert await listed(q="atrix") == await listed(q="!") == []


@pytest.mark.parametrize("sort", ["newest", "oldest", "title", "updated"])
async def test_pages_of_every_order_follow_each_other(
    house: House, alice: Person, sort: str
) -> None:
    async with house.client(alice) as client:
        for number in (11, 2, 101, 30, 4):
            assert (await client.post(REQUEST, json=film(number))).status_code == 201
        whole = (await client.get(REQUESTS, params={"sort": sort})).json()["items"]
        seen: list[Any] = []
        params: dict[str, Any] = {"sort": sort, "limit": 2}
        for size in (2, 2, 1):
            page = (await client.get(REQUESTS, params=params)).json()
            assert len(page["items"]) == size
            seen += page["items"]
            params["cursor"] = page["nextCursor"]
    assert seen == whole
    assert page["nextCursor"] is None


async def test_requests_are_counted_by_status(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    await ask(house, alice)
    await ask(house, bob, film(1))
    await house.forward(THE_MATRIX)

    async def counted(person: Person) -> tuple[int, int, int]:
        body = (await send(house, person, "GET", f"{REQUESTS}/counts")).json()
        return body["counts"]["forwarded"], body["counts"]["pending"], body["total"]

    assert await counted(alice) == (1, 0, 1)
    assert await counted(admin) == (1, 1, 2)
    others = {"requestedBy": str(alice.id)}
    problem(await send(house, bob, "GET", f"{REQUESTS}/counts", params=others), 403, "forbidden")


# Export


async def test_an_admin_gets_every_request_as_json_lines(
    house: House, alice: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_export, "PAGE", 2)
    made = [await ask(house, alice, film(number)) for number in (1, 2, 3, 4, 5)]
    answer = await send(house, admin, "GET", f"{ADMIN}/export", params={"sort": "oldest"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == made
    none = await send(house, admin, "GET", f"{ADMIN}/export", params={"status": "declined"})
    assert (none.status_code, none.text) == (200, "")


async def test_an_admin_gets_every_request_as_a_table_that_runs_nothing(
    house: House, alice: Person, admin: Person
) -> None:
    await ask(house, alice, series(1) | {"note": '=HYPERLINK("x"), "y"\nz'})
    answer = await send(house, admin, "GET", f"{ADMIN}/export", params={"format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "requests.csv" in answer.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["note"] == '\'=HYPERLINK("x"), "y"\nz'
    assert (row["title"], row["seasons"], row["is4k"]) == ("Severance", "[1]", "false")
    assert (row["reason"], row["followers"]) == ("", "0")
