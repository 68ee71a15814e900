"""Sessions, roles, API keys and accounts that change at one process, and are felt at the other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets

from tests.interfaces.problems import problem
from tests.journeys.people import (
    AT_ONCE,
    Person,
    SignedIn,
    activity,
    add_person,
    ends_at_once,
    is_in,
    refresh,
    sign_in,
)
from tests.running import Running


@asynccontextmanager
async def socket_at(
    running: Running, place: int, held: SignedIn
) -> AsyncGenerator[websockets.ClientConnection]:
    """A subscribed socket at the first or the second API process."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(headers=held.headers))
        async with running.accepting(running.pids("api")[place]):
            socket = await stack.enter_async_context(running.socket(client, "requests"))
        yield socket


async def close_code(socket: websockets.ClientConnection) -> int | None:
    """With what the server ends the socket, which must not take longer than AT_ONCE."""
    async with asyncio.timeout(AT_ONCE):
        await socket.wait_closed()
    return socket.close_code


async def listed(client: httpx.AsyncClient, held: SignedIn, path: str, **params: Any) -> Any:
    answer = await client.get(path, headers=held.headers, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_who_signs_out_at_one_process_is_out_at_the_other(
    running: Running, person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    leaving, staying = await sign_in(here, person), await sign_in(here, person)
    async with socket_at(running, 1, leaving) as ends, socket_at(running, 1, staying) as lasts:
        assert await is_in(there, leaving)
        answer = await here.post("/auth/logout", headers=leaving.headers)
        assert answer.status_code == 204
        assert await close_code(ends) == 4401
        await ends_at_once(there, leaving)
        for client in (here, there):
            problem(await refresh(client, leaving.refresh_token), 401, "session-over")
            assert await is_in(client, staying)
        assert lasts.close_code is None
    assert (await activity(there, staying, "signed_out"))[0]["kind"] == "signed_out"


@pytest.mark.parametrize("place", [0, 1])
async def test_signing_out_everywhere_ends_every_session_at_every_process(
    running: Running,
    person: Person,
    here: httpx.AsyncClient,
    there: httpx.AsyncClient,
    place: int,
) -> None:
    held = [await sign_in(client, person) for client in (here, there)]
    async with (
        socket_at(running, place, held[0]) as first,
        socket_at(running, place, held[1]) as second,
    ):
        answer = await here.post("/auth/logout?everywhere=true", headers=held[0].headers)
        assert answer.status_code == 204
        assert [await close_code(first), await close_code(second)] == [4401, 4401]
    for client in (here, there):
        for session in held:
            await ends_at_once(client, session)
            problem(await refresh(client, session.refresh_token), 401, "session-over")
    assert await is_in(there, await sign_in(there, person))


async def test_one_session_lists_and_closes_another(
    running: Running, person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    tv = await sign_in(here, person, **{"User-Agent": "A television"})
    desk = await sign_in(there, person, **{"User-Agent": "A desk"})
    stranger = await sign_in(here, await add_person(running))
    before = await listed(here, desk, "/auth/sessions", after=desk.position)
    assert [(item["userAgent"], item["current"]) for item in before] == [
        ("A desk", True),
        ("A television", False),
    ]
    path = f"/auth/sessions/{before[1]['id']}"
    problem(await here.delete(path, headers=stranger.headers), 404, "unknown-session")
    async with socket_at(running, 0, tv) as socket:
        answer = await there.delete(path, headers=desk.headers)
        assert answer.status_code == 204
        assert await close_code(socket) == 4401
    await ends_at_once(here, tv)
    problem(await refresh(here, tv.refresh_token), 401, "session-over")
    after = await listed(here, desk, "/auth/sessions", after=answer.headers["X-Position"])
    assert [item["id"] for item in after] == [before[0]["id"]]


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(
    running: Running, person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    other, own = await sign_in(there, person), await sign_in(here, person)
    form = {"password": "not the password", "newPassword": "another password"}
    problem(
        await here.post("/auth/password", json=form, headers=own.headers), 403, "wrong-password"
    )
    assert await is_in(there, other)
    async with socket_at(running, 1, other) as ends, socket_at(running, 1, own) as lasts:
        form["password"] = person.password
        answer = await here.post("/auth/password", json=form, headers=own.headers)
        assert answer.status_code == 204
        assert await close_code(ends) == 4401
        await ends_at_once(there, other)
        assert lasts.close_code is None
    for client in (here, there):
        problem(await refresh(client, other.refresh_token), 401, "session-over")
        assert await is_in(client, own)
    assert (await refresh(there, own.refresh_token)).status_code == 200
    body = {"email": person.email, "password": person.password}
    problem(await there.post("/auth/login", json=body), 401, "wrong-credentials")
    body["password"] = form["newPassword"]
    assert (await there.post("/auth/login", json=body)).status_code == 200


async def test_an_admin_keeps_a_person_out_and_lets_them_in_again(
    running: Running,
    person: Person,
    admin: httpx.AsyncClient,
    here: httpx.AsyncClient,
    there: httpx.AsyncClient,
) -> None:
    held = await sign_in(there, person)
    problem(
        await there.post(f"/admin/users/{person.id}/suspend", headers=held.headers),
        403,
        "forbidden",
    )
    async with socket_at(running, 0, held) as first, socket_at(running, 1, held) as second:
        answer = await admin.post(f"/admin/users/{person.id}/suspend")
        assert answer.json()["state"] == "suspended"
        assert [await close_code(first), await close_code(second)] == [4401, 4401]
    body = {"email": person.email, "password": person.password}
    for client in (here, there):
        await ends_at_once(client, held)
        problem(await refresh(client, held.refresh_token), 401, "session-over")
        problem(await client.post("/auth/login", json=body), 403, "account-suspended")
        # Only to who knows the password.
        wrong = await client.post("/auth/login", json=body | {"password": "a guess"})
        problem(wrong, 401, "wrong-credentials")

    answer = await admin.post(f"/admin/users/{person.id}/restore")
    assert answer.json()["state"] == "active"
    again = await sign_in(there, person)
    assert await is_in(here, again)
    assert not await is_in(here, held)
    kinds = [item["kind"] for item in await activity(there, again, "restored")]
    assert kinds.index("restored") < kinds.index("suspended")  # the newest comes first


async def test_a_role_counts_at_once_in_a_session_that_is_open(
    running: Running,
    person: Person,
    admin: httpx.AsyncClient,
    here: httpx.AsyncClient,
    there: httpx.AsyncClient,
) -> None:
    held = await sign_in(here, person)
    path = f"/admin/users/{person.id}"
    for role, status in (("admin", 200), ("user", 403)):
        async with socket_at(running, 0, held) as first, socket_at(running, 1, held) as second:
            answer = await admin.patch(path, json={"role": role})
            assert answer.json()["role"] == role
            # They were opened with other rights, and are to be opened again.
            assert [await close_code(first), await close_code(second)] == [4401, 4401]
        for client in (here, there):
            answer = await client.get("/admin/users", headers=held.headers)
            assert answer.status_code == status


async def test_who_is_forgotten_has_no_name_anywhere_and_their_requests_stay(
    person: Person,
    admin: httpx.AsyncClient,
    here: httpx.AsyncClient,
    there: httpx.AsyncClient,
    tmdb_id: int,
) -> None:
    held = await sign_in(there, person)
    answer = await there.patch("/auth/me", json={"name": "Wilhelmina"}, headers=held.headers)
    assert answer.json()["name"] == "Wilhelmina"
    body = {"mediaType": "movie", "tmdbId": tmdb_id}
    answer = await there.post("/media/request", json=body, headers=held.headers)
    request = answer.json()
    named = (person.email, "Wilhelmina")
    after = {"after": answer.headers["X-Position"]}
    shown = await admin.get(f"/admin/users/{person.id}", params=after)
    assert all(name in shown.text for name in named)

    answer = await admin.delete(f"/admin/users/{person.id}")
    assert answer.status_code == 204
    for client in (here, there):
        await ends_at_once(client, held)
        problem(await refresh(client, held.refresh_token), 401, "session-over")
    after = {"after": answer.headers["X-Position"]}
    shown = await admin.get(f"/admin/users/{person.id}", params=after)
    user = shown.json()
    assert (user["state"], user["email"], user["name"]) == ("forgotten", None, None)
    one = f"/media/requests/{request['id']}"
    for path in ("/admin/users", "/media/requests", one, f"{one}/history"):
        many = {} if path.startswith(one) else {"limit": 100}
        answer = await admin.get(path, params=after | many)
        assert answer.status_code == 200
        assert person.id in answer.text
        assert not [name for name in named if name in answer.text]
    assert (await admin.get(one)).json()["title"] == request["title"]
    login = {"email": person.email, "password": person.password}
    problem(await there.post("/auth/login", json=login), 401, "wrong-credentials")


# API keys


async def make_key(
    client: httpx.AsyncClient, held: SignedIn, *scopes: str, lasting: timedelta
) -> dict[str, Any]:
    expires_at = (datetime.now(UTC) + lasting).isoformat()
    wish = {"name": "My script", "scopes": scopes, "expiresAt": expires_at}
    answer = await client.post("/auth/keys", json=wish, headers=held.headers)
    assert answer.status_code == 201, answer.text
    return answer.json() | {"position": answer.headers["X-Position"]}


async def test_an_api_key_is_shown_once_used_and_taken_back(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient, tmdb_id: int
) -> None:
    held = await sign_in(here, person)
    made = await make_key(here, held, "read", lasting=timedelta(days=1))
    shown = {"X-Api-Key": made["key"]}
    body = {"mediaType": "movie", "tmdbId": tmdb_id}
    (item,) = await listed(there, held, "/auth/keys", after=made["position"])
    assert (item["id"], item["name"], item["lastUsedAt"]) == (made["id"], "My script", None)
    assert made["key"] not in str(item)

    assert (await there.get("/media/requests", headers=shown)).status_code == 200
    problem(await there.post("/media/request", json=body, headers=shown), 403, "forbidden")
    problem(await there.get("/auth/keys", headers=shown), 403, "forbidden")
    (item,) = await listed(there, held, "/auth/keys")
    assert item["lastUsedAt"] >= item["madeAt"]

    # It outlives the sessions of its owner, who can still take it back.
    await here.post("/auth/logout?everywhere=true", headers=held.headers)
    assert (await there.get("/auth/me", headers=shown)).json()["id"] == person.id
    held = await sign_in(here, person)
    answer = await here.delete(f"/auth/keys/{made['id']}", headers=held.headers)
    assert answer.status_code == 204
    async with asyncio.timeout(AT_ONCE):
        while (await there.get("/auth/me", headers=shown)).status_code != 401:
            await asyncio.sleep(0.01)
    assert await listed(there, held, "/auth/keys", after=answer.headers["X-Position"]) == []


async def test_an_api_key_ends_with_its_time(
    person: Person, here: httpx.AsyncClient, there: httpx.AsyncClient
) -> None:
    held = await sign_in(here, person)
    made = await make_key(here, held, "read", lasting=timedelta(seconds=2))
    shown = {"X-Api-Key": made["key"]}
    expires_at = datetime.fromisoformat(made["expiresAt"])
    for client in (here, there):
        while (answer := await client.get("/auth/me", headers=shown)).status_code == 200:
            assert datetime.now(UTC) < expires_at + timedelta(seconds=AT_ONCE)
            await asyncio.sleep(0.05)
        problem(answer, 401, "unauthenticated")
    assert datetime.now(UTC) >= expires_at
