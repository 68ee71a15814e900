import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from application.sign_in import Client
from domain.api_keys import Scope
from domain.sessions import SessionOver, SignInMethod
from interfaces.http import call
from tests.fakes import new_id, now
from tests.interfaces.house import PASSWORD, House, Person, context
from tests.interfaces.problems import problem, wrong_fields

SESSIONS = "/api/v1/auth/sessions"
ACTIVITY = "/api/v1/auth/activity"


async def listed(house: House, person: Person, **params: Any) -> list[dict[str, Any]]:
    async with house.client(person) as client:
        answer = await client.get(SESSIONS, params=params)
    assert answer.status_code == 200
    return answer.json()["items"]


async def activity(house: House, person: Person) -> list[dict[str, Any]]:
    async with house.client(person) as client:
        answer = await client.get(ACTIVITY)
    assert answer.status_code == 200
    return answer.json()["items"]


def session_id(person: Person) -> str:
    return str(person.signed_in.session_id)


async def on_the_phone(house: House, person: Person) -> Person:
    client = Client("192.0.2.7", "Phone")
    signed_in = await house.sign_in.as_account(
        person.id, SignInMethod.PLEX, client, context("system:test")
    )
    return Person(person.id, person.email, signed_in)


# Sessions


async def test_sessions_tell_how_since_when_and_from_where(
    house: House, alice: Person, bob: Person
) -> None:
    phone = await on_the_phone(house, alice)
    newest, oldest = await listed(house, alice)
    opened_at = datetime.fromisoformat(newest["openedAt"])
    assert datetime.fromisoformat(newest["expiresAt"]) == opened_at + timedelta(days=30)
    assert newest | {"openedAt": "", "expiresAt": ""} == {
        "id": session_id(phone),
        "method": "plex",
        "address": "192.0.2.7",
        "userAgent": "Phone",
        "openedAt": "",
        "lastUsedAt": newest["openedAt"],
        "expiresAt": "",
        "current": False,
    }
    assert (oldest["id"], oldest["current"]) == (session_id(alice), True)
    assert [item["id"] for item in await listed(house, bob)] == [session_id(bob)]


async def test_the_last_use_is_a_call_or_a_refresh_whatever_came_last(
    house: House, alice: Person
) -> None:
    phone = await on_the_phone(house, alice)
    opened_at = (await listed(house, alice))[0]["openedAt"]
    used_at = now() + timedelta(minutes=1)
    house.last_uses.note(UUID(session_id(phone)), used_at)
    assert (await listed(house, alice))[0]["lastUsedAt"] == msgspec.to_builtins(used_at)

    house.last_uses.uses.clear()
    await house.sign_in.refresh(
        phone.signed_in.refresh_token, Client("192.0.2.8"), context("anonymous")
    )
    refreshed = (await listed(house, alice))[0]
    assert refreshed["openedAt"] == opened_at
    assert refreshed["lastUsedAt"] > opened_at
    assert refreshed["address"] == "192.0.2.7"  # of the sign-in


async def test_what_cannot_be_revealed_hides_no_session(house: House, alice: Person) -> None:
    await house.personal_data.destroy(alice.id)
    (item,) = await listed(house, alice)
    assert (item["address"], item["userAgent"]) == (None, None)
    assert item["id"] == session_id(alice)


async def test_a_session_can_be_closed_from_another_one(house: House, alice: Person) -> None:
    phone = await on_the_phone(house, alice)
    async with house.client(alice) as client:
        answer = await client.delete(f"{SESSIONS}/{session_id(phone)}")
        again = await client.delete(f"{SESSIONS}/{session_id(phone)}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-position"] == str(house.store.head)
    assert again.headers["x-position"] == answer.headers["x-position"]
    after = int(answer.headers["x-position"])
    assert [item["id"] for item in await listed(house, alice, after=after)] == [session_id(alice)]
    async with house.client(phone) as client:
        problem(await client.get(SESSIONS), 401, "unauthenticated")
    with pytest.raises(SessionOver):
        await house.sign_in.refresh(
            phone.signed_in.refresh_token, Client("192.0.2.7"), context("anonymous")
        )


async def test_one_can_close_the_session_one_is_in(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        assert (await client.delete(f"{SESSIONS}/{session_id(alice)}")).status_code == 204
        problem(await client.get(SESSIONS), 401, "unauthenticated")


async def test_no_session_but_ones_own_is_known(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    events = len(house.store.events)
    for stranger in (bob, admin):
        async with house.client(stranger) as client:
            for other in (session_id(alice), new_id(), alice.id):
                answer = await client.delete(f"{SESSIONS}/{other}")
                problem(answer, 404, "unknown-session")
    assert len(house.store.events) == events
    assert [item["id"] for item in await listed(house, alice)] == [session_id(alice)]


async def test_no_key_and_nobody_sees_or_closes_sessions(house: House, alice: Person) -> None:
    headers = await house.api_key(alice, Scope.READ, Scope.WRITE)
    for person, credentials, status, kind in (
        (None, headers, 403, "forbidden"),
        (None, {}, 401, "unauthenticated"),
    ):
        async with house.client(person) as client:
            for answer in (
                await client.get(SESSIONS, headers=credentials),
                await client.get(ACTIVITY, headers=credentials),
                await client.delete(f"{SESSIONS}/{session_id(alice)}", headers=credentials),
            ):
                problem(answer, status, kind)
    assert len(await listed(house, alice)) == 1


# Activity


async def test_what_happened_is_told_newest_first(house: House, alice: Person, bob: Person) -> None:
    phone = await on_the_phone(house, alice)
    async with house.client(alice) as client:
        await client.delete(f"{SESSIONS}/{session_id(phone)}")
    closed, signed_in, first = await activity(house, alice)
    assert closed["at"] >= signed_in["at"] >= first["at"]
    assert closed | {"at": ""} == {
        "at": "",
        "kind": "session_revoked",
        "method": None,
        "address": None,
        "userAgent": None,
        "sessionId": session_id(phone),
    }
    assert signed_in | {"at": ""} == {
        "at": "",
        "kind": "signed_in",
        "method": "plex",
        "address": "192.0.2.7",
        "userAgent": "Phone",
        "sessionId": session_id(phone),
    }
    assert first["sessionId"] == session_id(alice)
    assert [item["kind"] for item in await activity(house, bob)] == ["signed_in"]


async def test_a_wrong_password_is_told_to_the_owner_of_the_account(
    house: House, alice: Person
) -> None:
    async with house.client() as client:
        answer = await client.post(
            "/api/v1/auth/login",
            json={"email": alice.email, "password": f"not {PASSWORD}"},
            headers={"User-Agent": "Guesser"},
        )
    problem(answer, 401, "wrong-credentials")
    await house.sign_in.aclose()
    failed = (await activity(house, alice))[0]
    assert (failed["kind"], failed["userAgent"]) == ("sign_in_failed", "Guesser")
    assert failed["address"] == "127.0.0.1"
    assert failed["sessionId"] is None


async def test_a_reused_token_is_told_once_with_from_where(house: House, alice: Person) -> None:
    phone = await on_the_phone(house, alice)
    token = phone.signed_in.refresh_token
    second = await house.sign_in.refresh(token, Client("192.0.2.7"), context("anonymous"))
    await house.sign_in.refresh(second.refresh_token, Client("192.0.2.7"), context("anonymous"))
    with pytest.raises(SessionOver):
        await house.sign_in.refresh(token, Client("198.51.100.1", "Thief"), context("anonymous"))
    reused, signed_in, _ = await activity(house, alice)
    assert (reused["kind"], reused["address"]) == ("refresh_token_reused", "198.51.100.1")
    assert signed_in["kind"] == "signed_in"


async def test_pages_of_activity_follow_each_other(house: House, alice: Person) -> None:
    for _ in range(4):
        await on_the_phone(house, alice)
    whole = [item["sessionId"] for item in await activity(house, alice)]
    assert len(set(whole)) == 5
    seen: list[str] = []
    sizes: list[int] = []
    params: dict[str, Any] = {"limit": 2}
    async with house.client(alice) as client:
        while True:
            page = (await client.get(ACTIVITY, params=params)).json()
            seen += [item["sessionId"] for item in page["items"]]
            sizes.append(len(page["items"]))
            if page["nextCursor"] is None:
                break
            params["cursor"] = page["nextCursor"]
            await on_the_phone(house, alice)  # what comes meanwhile is on no later page
    assert seen == whole
    assert sizes == [2, 2, 1]


# Both


@pytest.mark.parametrize(
    ("path", "params", "wrong"),
    [
        (SESSIONS, {"limit": "1"}, {"limit": "Is not known here."}),
        (ACTIVITY, {"limit": "0"}, {"limit": "Must be a whole number, 1 to 100."}),
        (ACTIVITY, {"limit": "101"}, {"limit": "Must be a whole number, 1 to 100."}),
        (ACTIVITY, {"cursor": "!"}, {"cursor": "Must be the nextCursor of a page."}),
    ],
)
async def test_every_wrong_parameter_is_named(
    house: House, alice: Person, path: str, params: dict[str, str], wrong: dict[str, str]
) -> None:
    async with house.client(alice) as client:
        assert wrong_fields(await client.get(path, params=params)) == wrong


async def test_closing_takes_no_parameters(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        answer = await client.delete(f"{SESSIONS}/{session_id(alice)}?now=1")
    assert wrong_fields(answer) == {"now": "Is not known here."}
    assert len(await listed(house, alice)) == 1


async def test_a_list_waits_for_each_read_model_it_is_made_of(
    house: House, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "LONGEST_WAIT", timedelta(milliseconds=50))
    head = house.store.head

    async def ask(client: httpx.AsyncClient, path: str) -> httpx.Response:
        return await client.get(path, params={"after": head})

    async with house.client(alice) as client:
        for read_model, path in (
            (house.session_list, SESSIONS),
            (house.account_list, SESSIONS),
            (house.activity, ACTIVITY),
        ):
            read_model.stopped_at = head - 1
            problem(await ask(client, path), 503, "read-model-behind")
            monkeypatch.setattr(call, "LONGEST_WAIT", timedelta(seconds=5))
            waiting = asyncio.create_task(ask(client, path))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            read_model.stopped_at = None
            assert (await waiting).status_code == 200
            monkeypatch.setattr(call, "LONGEST_WAIT", timedelta(milliseconds=50))
