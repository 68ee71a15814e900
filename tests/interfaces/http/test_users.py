from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.accounts import Role
from domain.api_keys import Scope
from interfaces.http import call
from tests.fakes import new_id
from tests.interfaces.house import House, Person, context, film
from tests.interfaces.problems import problem, wrong_fields

USERS = "/api/v1/admin/users"

STEERING = [
    ("PATCH", "", {"role": "admin"}),
    ("POST", "/suspend", None),
    ("POST", "/restore", None),
    ("POST", "/sign-out", None),
    ("DELETE", "", None),
]
NOT_TO_ONESELF = [each for each in STEERING if each[1] != "/sign-out"]


async def steer(
    house: House,
    by: Person | None,
    whom: Any,
    method: str,
    path: str = "",
    body: dict[str, Any] | None = None,
) -> httpx.Response:
    whom = whom.id if isinstance(whom, Person) else whom
    async with house.client(by) as client:
        return await client.request(method, f"{USERS}/{whom}{path}", json=body)


async def listed(house: House, by: Person, **params: Any) -> list[dict[str, Any]]:
    async with house.client(by) as client:
        answer = await client.get(USERS, params=params)
    assert answer.status_code == 200
    return answer.json()["items"]


def emails(items: list[dict[str, Any]]) -> list[str | None]:
    return [item["email"] for item in items]


# Seeing


async def test_admins_see_who_there_is_newest_first(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    await house.accounts.rename(alice.id, "Alice", context("system:test"))
    items = await listed(house, admin)
    assert emails(items) == [admin.email, bob.email, alice.email]
    assert items[-1] | {"openedAt": ""} == {
        "id": str(alice.id),
        "email": "alice@example.org",
        "name": "Alice",
        "role": "user",
        "state": "active",
        "openedAt": "",
        "version": 2,
    }
    assert items[-1]["openedAt"].endswith("Z")
    one = await steer(house, admin, alice, "GET")
    assert (one.status_code, one.json()) == (200, items[-1])


async def test_a_list_is_narrowed_by_role_and_state(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    await house.accounts.suspend(bob.id, context("system:test"))
    assert emails(await listed(house, admin, role="admin")) == [admin.email]
    assert emails(await listed(house, admin, role="user")) == [bob.email, alice.email]
    assert emails(await listed(house, admin, state="suspended")) == [bob.email]
    assert emails(await listed(house, admin, role="user", state="active")) == [alice.email]
    assert await listed(house, admin, state="forgotten") == []


async def test_pages_follow_each_other(house: House, admin: Person) -> None:
    for number in range(4):
        await house.person(f"{number}@example.org")
    seen: list[str | None] = []
    sizes: list[int] = []
    params: dict[str, Any] = {"limit": 2}
    async with house.client(admin) as client:
        while True:
            page = (await client.get(USERS, params=params)).json()
            seen += emails(page["items"])
            sizes.append(len(page["items"]))
            if page["nextCursor"] is None:
                break
            params["cursor"] = page["nextCursor"]
    assert seen == [*(f"{number}@example.org" for number in (3, 2, 1, 0)), admin.email]
    assert sizes == [2, 2, 1]


async def test_a_list_that_stays_behind_is_told(
    house: House, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "LONGEST_WAIT", timedelta(milliseconds=50))
    head = house.store.head
    house.account_list.stopped_at = 0
    async with house.client(admin) as client:
        for path in (USERS, f"{USERS}/{admin.id}"):
            answer = await client.get(path, params={"after": head})
            problem(answer, 503, "read-model-behind")


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({"limit": "0"}, {"limit": "Must be a whole number, 1 to 100."}),
        ({"cursor": "!"}, {"cursor": "Must be the nextCursor of a page."}),
        (
            {"role": "root", "state": "gone", "q": "a"},
            {
                "role": "Must be one of: user, admin.",
                "state": "Must be one of: active, suspended, forgotten.",
                "q": "Is not known here.",
            },
        ),
    ],
)
async def test_every_wrong_parameter_is_named(
    house: House, admin: Person, params: dict[str, str], wrong: dict[str, str]
) -> None:
    async with house.client(admin) as client:
        assert wrong_fields(await client.get(USERS, params=params)) == wrong


# Steering


async def test_a_role_is_in_force_at_once(house: House, alice: Person, admin: Person) -> None:
    async with house.client(alice) as client:
        problem(await client.get(USERS), 403, "forbidden")
        answer = await steer(house, admin, alice, "PATCH", body={"role": "admin"})
        assert (await client.get(USERS)).status_code == 200
        assert (answer.json()["role"], answer.json()["version"]) == ("admin", 2)
        assert answer.headers["x-position"] == str(house.store.head)
        assert answer.json() == (await steer(house, admin, alice, "GET")).json()
        await steer(house, admin, alice, "PATCH", body={"role": "user"})
        problem(await client.get(USERS), 403, "forbidden")


async def test_the_same_role_again_changes_nothing(
    house: House, alice: Person, admin: Person
) -> None:
    events = len(house.store.events)
    answer = await steer(house, admin, alice, "PATCH", body={"role": "user"})
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert len(house.store.events) == events


async def test_a_suspended_person_is_out_at_once_until_restored(
    house: House, alice: Person, admin: Person
) -> None:
    suspended = await steer(house, admin, alice, "POST", "/suspend")
    assert (suspended.status_code, suspended.json()["state"]) == (200, "suspended")
    assert suspended.headers["x-position"] == str(house.store.head)
    async with house.client(alice) as client:
        problem(await client.get("/api/v1/auth/me"), 401, "unauthenticated")
        restored = await steer(house, admin, alice, "POST", "/restore")
        assert (restored.status_code, restored.json()["state"]) == (200, "active")
        assert restored.json()["version"] == 3
        problem(await client.get("/api/v1/auth/me"), 401, "unauthenticated")
    again = await house.again(alice.id, alice.email)
    async with house.client(again) as client:
        assert (await client.get("/api/v1/auth/me")).status_code == 200


async def test_a_person_is_signed_out_everywhere_and_may_come_back(
    house: House, alice: Person, admin: Person
) -> None:
    headers = await house.api_key(alice, Scope.READ)
    elsewhere = await house.again(alice.id, alice.email)
    answer = await steer(house, admin, alice, "POST", "/sign-out")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-position"] == str(house.store.head)
    for person in (alice, elsewhere):
        async with house.client(person) as client:
            problem(await client.get("/api/v1/auth/me"), 401, "unauthenticated")
    async with house.client() as program:
        assert (await program.get("/api/v1/auth/me", headers=headers)).status_code == 200
    again = await house.again(alice.id, alice.email)
    async with house.client(again) as client:
        assert (await client.get("/api/v1/auth/me")).status_code == 200


async def test_a_suspended_person_has_no_session_to_end(
    house: House, alice: Person, admin: Person
) -> None:
    await steer(house, admin, alice, "POST", "/suspend")
    problem(await steer(house, admin, alice, "POST", "/sign-out"), 403, "account-suspended")


async def test_a_forgotten_person_is_nameless_and_their_requests_stay(
    house: House, alice: Person, admin: Person
) -> None:
    async with house.client(alice) as client:
        request = (await client.post("/api/v1/media/request", json=film())).json()
    answer = await steer(house, admin, alice, "DELETE")
    assert (answer.status_code, answer.content) == (204, b"")
    forgotten = (await steer(house, admin, alice, "GET")).json()
    assert (forgotten["email"], forgotten["name"]) == (None, None)
    assert forgotten["state"] == "forgotten"
    assert alice.id in house.personal_data.destroyed
    async with house.client(admin) as client:
        kept = (await client.get(f"/api/v1/media/requests/{request['id']}")).json()
    assert kept["requestedBy"] == str(alice.id)
    async with house.client(alice) as client:
        problem(await client.get("/api/v1/auth/me"), 401, "unauthenticated")
    assert (await house.person(alice.email)).id != alice.id


async def test_forgetting_may_be_repeated_and_nothing_else_is_done_to_the_forgotten(
    house: House, alice: Person, admin: Person
) -> None:
    for _ in range(2):
        answer = await steer(house, admin, alice, "DELETE")
        assert answer.status_code == 204
    for method, path, body in STEERING[:-1]:
        answer = await steer(house, admin, alice, method, path, body)
        problem(answer, 404, "unknown-account")


@pytest.mark.parametrize(("method", "path", "body"), [*STEERING, ("GET", "", None)])
async def test_who_is_not_there_is_not_found(
    house: House,
    alice: Person,
    admin: Person,
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    for stream in (new_id(), alice.signed_in.session_id):
        answer = await steer(house, admin, stream, method, path, body)
        problem(answer, 404, "unknown-account")


@pytest.mark.parametrize(("method", "path", "body"), NOT_TO_ONESELF)
async def test_no_admin_shuts_themselves_out(
    house: House, admin: Person, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = await steer(house, admin, admin, method, path, {"role": "user"} if body else None)
    problem(answer, 403, "forbidden")
    (item,) = await listed(house, admin)
    assert (item["role"], item["state"], item["version"]) == ("admin", "active", 1)


async def test_an_admin_may_sign_out_everywhere(house: House, admin: Person) -> None:
    assert (await steer(house, admin, admin, "POST", "/sign-out")).status_code == 204
    async with house.client(admin) as client:
        problem(await client.get(USERS), 401, "unauthenticated")


@pytest.mark.parametrize(("method", "path", "body"), [*STEERING, ("GET", "", None)])
async def test_who_is_no_admin_sees_and_steers_nobody(
    house: House,
    alice: Person,
    bob: Person,
    admin: Person,
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    for whom in (alice, bob, admin):
        answer = await steer(house, alice, whom, method, path, body)
        problem(answer, 403, "forbidden")
        answer = await steer(house, None, whom, method, path, body)
        problem(answer, 401, "unauthenticated")
    states = {(item["email"], item["role"], item["version"]) for item in await listed(house, admin)}
    assert states == {(alice.email, "user", 1), (bob.email, "user", 1), (admin.email, "admin", 1)}


async def test_a_key_of_an_admin_steers_only_with_its_scope(
    house: House, alice: Person, admin: Person
) -> None:
    async with house.client() as client:
        reading = await house.api_key(admin, Scope.READ, Scope.WRITE)
        problem(await client.get(USERS, headers=reading), 403, "forbidden")
        steering = await house.api_key(admin, Scope.ADMIN)
        answer = await client.post(f"{USERS}/{alice.id}/suspend", headers=steering)
    assert answer.status_code == 200
    assert house.store.events[-1].metadata.actor == f"account:{admin.id}"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"role": "Is required."}),
        ({"role": "root"}, {"role": "Must be one of: user, admin."}),
        ({"role": "user", "state": "active"}, {"state": "Is not known here."}),
    ],
)
async def test_every_wrong_field_is_named(
    house: House, alice: Person, admin: Person, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    assert wrong_fields(await steer(house, admin, alice, "PATCH", body=body)) == wrong


@pytest.mark.parametrize(("method", "path", "body"), STEERING)
async def test_steering_takes_no_parameters(
    house: House,
    alice: Person,
    admin: Person,
    method: str,
    path: str,
    body: dict[str, Any] | None,
) -> None:
    answer = await steer(house, admin, alice, method, f"{path}?now=1", body)
    assert wrong_fields(answer) == {"now": "Is not known here."}


async def test_only_a_role_is_an_admins_to_give(house: House, alice: Person, admin: Person) -> None:
    await steer(house, admin, alice, "PATCH", body={"role": Role.ADMIN})
    async with house.client(alice) as client:
        me = (await client.get("/api/v1/auth/me")).json()
    assert me["role"] == "admin"
