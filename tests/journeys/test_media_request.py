"""A media request from the asking to Overseerr, as the seed's diagram draws it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
import websockets

from infrastructure.stand_ins.faults import Refuse, Status
from tests.running import Running


class Messages:
    """What a socket has received, newest last."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self.received: list[dict[str, Any]] = []

    async def until(self, kind: str, **data: Any) -> dict[str, Any]:
        """Receive until a message of this kind, with this data, has come."""
        async with asyncio.timeout(15):
            while True:
                message = msgspec.json.decode(await self._socket.recv())
                self.received.append(message)
                if message["type"] == kind and data.items() <= message["data"].items():
                    return message

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.received]


@asynccontextmanager
async def listening(
    running: Running, client: httpx.AsyncClient, start: int | None = None
) -> AsyncGenerator[Messages]:
    async with running.socket(client, "requests", start=start) as socket:
        yield Messages(socket)


async def test_a_request_goes_all_the_way(
    running: Running, user: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    async with listening(running, user) as mine, listening(running, admin) as theirs:
        # POST /api/v1/media/request {title, mediaType, tmdbId}; the title is looked up at TMDB
        body = {"mediaType": "tv", "tmdbId": 1396, "title": "Whatever", "seasons": [2, 1]}
        answer = await user.post("/media/request", json=body)
        assert answer.status_code == httpx.codes.CREATED
        request = answer.json()
        assert request["title"] == "Breaking Bad"
        assert request["year"] == 2008
        assert request["seasons"] == [1, 2]
        assert request["status"] == "pending"
        assert answer.headers["Location"] == f"/api/v1/media/requests/{request['id']}"

        # emit('newRequest') to the admins, 'mediaRequestUpdate' to the person who asked
        position = int(answer.headers["X-Position"])
        assert (await theirs.until("newRequest", id=request["id"]))["position"] == position
        await mine.until("mediaRequestUpdate", id=request["id"], status="pending")

        # Overseerr's createRequest; updateOverseerrId
        update = await mine.until("mediaRequestUpdate", id=request["id"], status="forwarded")
        await theirs.until("mediaRequestUpdate", id=request["id"], status="forwarded")
        assert "newRequest" not in mine.kinds()

    assert (await running.in_overseerr()).count(1396) == 1
    after = {"after": update["position"]}
    shown = (await user.get(f"/media/requests/{request['id']}", params=after)).json()
    assert shown["status"] == "forwarded"
    assert shown["overseerrId"] == update["data"]["overseerrId"]
    listed = (await user.get("/media/requests", params=after)).json()["items"]
    assert shown in listed
    history = (await user.get(f"/media/requests/{request['id']}/history")).json()["items"]
    assert [entry["type"] for entry in history] == [
        "media_request.requested",
        "media_request.forwarded",
    ]
    assert all(entry["words"] for entry in history)

    # checkExistingRequest: 409, naming the one that is there
    again = await user.post("/media/request", json=body)
    assert again.status_code == httpx.codes.CONFLICT
    assert again.json()["existing"] == {
        "id": request["id"],
        "href": f"/api/v1/media/requests/{request['id']}",
    }


async def test_whoever_prefers_to_wait_is_answered_with_the_outcome(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    body = {"mediaType": "movie", "tmdbId": tmdb_id}
    answer = await user.post("/media/request", json=body, headers={"Prefer": "wait=15"})
    assert answer.status_code == httpx.codes.CREATED
    assert answer.headers["Preference-Applied"] == "wait=15"
    request = answer.json()
    assert request["status"] == "forwarded"
    assert (await running.in_overseerr()).count(tmdb_id) == 1
    shown = (await user.get(f"/media/requests/{request['id']}")).json()
    assert shown["overseerrId"] == request["overseerrId"]


async def test_a_click_is_followed_from_the_request_to_overseerr(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    async with listening(running, user) as mine:
        answer = await user.post(
            "/media/request",
            json={"mediaType": "movie", "tmdbId": tmdb_id},
            headers={"X-Correlation-Id": f"click-{tmdb_id}"},
        )
        assert answer.headers["X-Correlation-Id"] == f"click-{tmdb_id}"
        await mine.until("mediaRequestUpdate", id=answer.json()["id"], status="forwarded")
    for upstream in (running.tmdb, running.overseerr):
        about = [
            call for call in await upstream.calls() if str(tmdb_id) in f"{call.path}{call.body}"
        ]
        assert about
        assert {call.headers["x-correlation-id"] for call in about} == {f"click-{tmdb_id}"}


async def test_fifty_identical_requests_at_once_are_one(
    running: Running, user: httpx.AsyncClient, admin: httpx.AsyncClient, tmdb_id: int
) -> None:
    body = {"mediaType": "movie", "tmdbId": tmdb_id}
    answers = await asyncio.gather(
        *(client.post("/media/request", json=body) for client in [user, admin] * 25)
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    (made,) = [answer.json() for answer in answers if answer.status_code == 201]
    named = [answer.json()["existing"]["id"] for answer in answers if answer.status_code == 409]
    assert named == [made["id"]] * 49


async def test_both_api_processes_take_part(running: Running, tmdb_id: int) -> None:
    """Connections of their own, so that the kernel spreads them over the two processes."""
    async with running.client("user") as first:
        headers = {"Authorization": first.headers["Authorization"]}
        body = {"mediaType": "movie", "tmdbId": tmdb_id}

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                return await client.post(
                    f"{running.url}/api/v1/media/request", json=body, headers=headers
                )

        answers = await asyncio.gather(*(ask() for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    assert len(running.pids("api")) == 2


async def test_a_client_that_was_away_goes_on_where_it_was(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    body = {"mediaType": "movie", "tmdbId": tmdb_id}
    async with listening(running, user) as mine:
        request = (await user.post("/media/request", json=body)).json()
        seen = await mine.until("mediaRequestUpdate", id=request["id"], status="pending")
    async with listening(running, user, start=seen["position"]) as mine:
        await mine.until("mediaRequestUpdate", id=request["id"], status="forwarded")
        positions = [message["position"] for message in mine.received]
    assert all(position > seen["position"] for position in positions)
    assert positions == sorted(set(positions))


async def test_a_person_sees_only_their_own_and_an_admin_all(
    running: Running, user: httpx.AsyncClient, admin: httpx.AsyncClient, tmdb_id: int
) -> None:
    body = {"mediaType": "movie", "tmdbId": tmdb_id}
    async with listening(running, user) as mine:
        answer = await admin.post("/media/request", json=body)
        theirs = answer.json()
        own = (await user.post("/media/request", json={**body, "is4k": True})).json()
        await mine.until("mediaRequestUpdate", id=own["id"])
    assert theirs["id"] not in {message["data"]["id"] for message in mine.received}
    after = {"after": answer.headers["X-Position"], "limit": 100}
    listed = (await user.get("/media/requests", params=after)).json()["items"]
    assert theirs["id"] not in {item["id"] for item in listed}
    assert (await user.get(f"/media/requests/{theirs['id']}")).status_code in {403, 404}
    everything = (await admin.get("/media/requests", params=after)).json()["items"]
    assert {theirs["id"], own["id"]} <= {item["id"] for item in everything}


async def test_without_tmdb_nothing_is_requested_and_nothing_is_left_behind(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    await running.tmdb.fail(Refuse())
    try:
        answer = await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
    finally:
        await running.tmdb.fail()
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["type"] == "catalogue-unavailable"
    again = await user.post("/media/request", json={"mediaType": "movie", "tmdbId": tmdb_id})
    assert again.status_code == httpx.codes.CREATED


async def test_a_title_that_tmdb_does_not_know_is_not_requested(user: httpx.AsyncClient) -> None:
    body = {"mediaType": "movie", "tmdbId": 10_000_001}
    answer = await user.post("/media/request", json=body)
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert answer.json()["type"] == "unknown-title"


async def test_the_answer_does_not_wait_for_overseerr(
    running: Running, user: httpx.AsyncClient, tmdb_id: int
) -> None:
    await running.overseerr.fail(Status(status=500))
    try:
        async with listening(running, user) as mine:
            body = {"mediaType": "movie", "tmdbId": tmdb_id}
            answer = await user.post("/media/request", json=body)
            assert answer.status_code == httpx.codes.CREATED
            update = await mine.until("mediaRequestUpdate", id=answer.json()["id"], attempts=1)
            assert update["data"]["problem"] == "upstream_error"
            assert update["data"]["nextAttemptAt"]
    finally:
        await running.overseerr.fail()


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b'{"mediaType": "movie", "tmdbId": 603', 400, "malformed-json"),
        (b'{"mediaType": "book", "tmdbId": 603}', 400, "validation"),
        (b'{"mediaType": "movie", "tmdbId": "603"}', 400, "validation"),
        (b'{"mediaType": "movie", "tmdbId": 603, "quality": "best"}', 400, "validation"),
        (b'{"mediaType": "movie"}', 400, "validation"),
        (b"[]", 400, "validation"),
    ],
)
async def test_bad_input_is_named_and_changes_nothing(
    running: Running, user: httpx.AsyncClient, body: bytes, status: int, slug: str
) -> None:
    asked_for = "SELECT count(*) FROM events WHERE topic = 'media_request.requested'"
    with running.connect() as connection:
        before = connection.execute(asked_for).fetchone()
        answer = await user.post(
            "/media/request", content=body, headers={"Content-Type": "application/json"}
        )
        after = connection.execute(asked_for).fetchone()
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == slug
    assert before == after


async def test_nobody_gets_in_without_the_password(running: Running) -> None:
    async with running.client(None) as nobody:
        answer = await nobody.post(
            "/auth/login", json={"email": "admin@medianest.test", "password": "wrong"}
        )
        assert answer.status_code == httpx.codes.UNAUTHORIZED
        for path in ("/media/requests", "/auth/me"):
            assert (await nobody.get(path)).status_code == httpx.codes.UNAUTHORIZED


async def test_the_health_page_says_that_all_is_well(running: Running) -> None:
    async with running.client(None) as nobody:
        ready = await nobody.get("/health/ready")
        assert ready.status_code == httpx.codes.OK, ready.text
        assert {part["name"] for part in ready.json()["parts"]} == {
            "postgres",
            "redis",
            "projector",
        }
