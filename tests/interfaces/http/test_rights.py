"""What is in the answers to those who may ask: own, another's, everybody's."""

import msgspec
import pytest

from domain.accounts import Role
from domain.api_keys import Scope
from tests.interfaces.house import House, Person, context, film
from tests.interfaces.problems import problem
from tests.interfaces.samples import Thing, a_key, a_request, a_session

REQUESTS = "/api/v1/media/requests"


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("owner", "/{id}", 200),
        ("other", "/{id}", 403),
        ("admin", "/{id}", 200),
        ("nobody", "/{id}", 401),
        ("owner", "/{id}/history", 200),
        ("other", "/{id}/history", 403),
        ("admin", "/{id}/history", 200),
        ("nobody", "/{id}/history", 401),
        ("owner", "?requestedBy={owner}", 200),
        ("other", "?requestedBy={owner}", 403),
        ("admin", "?requestedBy={owner}", 200),
        ("nobody", "?requestedBy={owner}", 401),
    ],
)
async def test_rights(
    house: House, alice: Person, bob: Person, admin: Person, who: str, path: str, status: int
) -> None:
    async with house.client(alice) as client:
        created = (await client.post("/api/v1/media/request", json=film())).json()
    person = {"owner": alice, "other": bob, "admin": admin, "nobody": None}[who]
    async with house.client(person) as client:
        answer = await client.get(REQUESTS + path.format(id=created["id"], owner=alice.id))
    if status == 200:
        assert answer.status_code == 200
        assert "Matrix" in answer.text
    else:
        problem(answer, status, {401: "unauthenticated", 403: "forbidden"}[status])
        assert "Matrix" not in answer.text


@pytest.mark.parametrize(("who", "titles"), [("owner", 1), ("other", 1), ("admin", 2)])
async def test_a_list_holds_what_one_may_see(
    house: House, alice: Person, bob: Person, admin: Person, who: str, titles: int
) -> None:
    for person, tmdb_id in ((alice, 1), (bob, 2)):
        async with house.client(person) as client:
            await client.post("/api/v1/media/request", json=film(tmdb_id))
    person = {"owner": alice, "other": bob, "admin": admin}[who]
    async with house.client(person) as client:
        items = (await client.get(REQUESTS)).json()["items"]
    assert len(items) == titles
    if person is not admin:
        assert {item["requestedBy"] for item in items} == {str(person.id)}


# What guards an account


GUARDED = {
    "/api/v1/auth/sessions": a_session,
    "/api/v1/auth/keys": a_key,
}


@pytest.mark.parametrize(("path", "make"), GUARDED.items(), ids=GUARDED)
async def test_sessions_and_keys_are_shown_to_their_owner_alone(
    house: House, alice: Person, bob: Person, admin: Person, path: str, make: Thing
) -> None:
    made = {person.id: str(await make(house, person)) for person in (alice, bob, admin)}
    for person in (alice, bob, admin):
        async with house.client(person) as client:
            text = (await client.get(path)).text
        assert {owner for owner, thing in made.items() if thing in text} == {person.id}


async def test_activity_is_shown_to_its_owner_alone(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    for person in (alice, bob, admin):
        async with house.client(person) as client:
            items = (await client.get("/api/v1/auth/activity")).json()["items"]
        assert [item["sessionId"] for item in items] == [str(person.signed_in.session_id)]


async def test_a_key_sees_as_much_as_its_owner(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    for owner in (alice, bob):
        await a_request(house, owner)
    seen: dict[str, set[str]] = {}
    for person in (alice, bob, admin):
        async with house.client() as client:
            key = await house.api_key(person, Scope.READ)
            items = (await client.get(REQUESTS, headers=key)).json()["items"]
        seen[person.email] = {item["requestedBy"] for item in items}
    assert seen == {
        alice.email: {str(alice.id)},
        bob.email: {str(bob.id)},
        admin.email: {str(alice.id), str(bob.id)},
    }


async def test_another_role_is_felt_by_the_next_call(
    house: House, alice: Person, bob: Person
) -> None:
    await a_request(house, bob)
    async with house.client(alice) as client:
        for role, seen in ((Role.ADMIN, 1), (Role.USER, 0)):
            await house.accounts.grant(alice.id, role, context("system:test"))
            assert len((await client.get(REQUESTS)).json()["items"]) == seen


@pytest.mark.parametrize("kept", [b"", b"nonsense", b"{}", b'{"as_of": 9}', b"[1]", b"\xff"])
async def test_what_the_gate_keeps_and_nobody_can_read_signs_nobody_out(
    house: House, alice: Person, kept: bytes
) -> None:
    async with house.client(alice) as client:
        assert (await client.get(REQUESTS)).status_code == 200
        for id_, standing in house.gate.standings.items():
            house.gate.standings[id_] = msgspec.structs.replace(standing, value=kept)
        assert (await client.get(REQUESTS)).status_code == 200
        await house.accounts.suspend(alice.id, context("system:test"))
        for id_, standing in house.gate.standings.items():
            house.gate.standings[id_] = msgspec.structs.replace(standing, value=kept)
        problem(await client.get(REQUESTS), 401, "unauthenticated")
