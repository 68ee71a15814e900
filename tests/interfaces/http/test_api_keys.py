from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from domain.api_keys import Scope
from interfaces.http import call
from tests.fakes import new_id, now
from tests.interfaces.house import House, Person, film
from tests.interfaces.problems import problem, wrong_fields

KEYS = "/api/v1/auth/keys"
REQUESTS = "/api/v1/media/requests"


def wish(*scopes: str, **more: Any) -> dict[str, Any]:
    return {"name": "Home Assistant", "scopes": scopes or ("read",), **more}


def since(at: datetime, text: str) -> timedelta:
    return datetime.fromisoformat(text) - at


async def listed(house: House, person: Person) -> list[dict[str, Any]]:
    async with house.client(person) as client:
        answer = await client.get(KEYS, params={"after": house.store.head})
    assert answer.status_code == 200
    return answer.json()["items"]


# Making


async def test_a_key_is_shown_once_and_opens_what_its_scopes_say(
    house: House, alice: Person
) -> None:
    async with house.client(alice) as client:
        made = await client.post(KEYS, json=wish("write", "read"))
    body = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == f"{KEYS}/{body['id']}"
    assert made.headers["x-position"] == str(house.store.head)
    assert made.headers["cache-control"] == "no-store"
    assert body.keys() == {"id", "name", "scopes", "expiresAt", "key"}
    assert (body["name"], body["scopes"]) == ("Home Assistant", ["write", "read"])
    assert abs(since(now(), body["expiresAt"]) - timedelta(days=90)) < timedelta(minutes=1)

    (item,) = await listed(house, alice)
    assert body["key"] not in str(item)
    assert item == {
        "id": body["id"],
        "name": "Home Assistant",
        "scopes": ["write", "read"],
        "madeAt": item["madeAt"],
        "expiresAt": body["expiresAt"],
        "lastUsedAt": None,
    }
    assert not any(body["key"].encode() in msgspec.json.encode(each) for each in house.store.events)

    async with house.client() as client:
        client.headers["X-Api-Key"] = body["key"]
        created = await client.post("/api/v1/media/request", json=film())
        assert (created.status_code, created.json()["requestedBy"]) == (201, str(alice.id))
        problem(await client.get(KEYS), 403, "forbidden")
        problem(await client.post(KEYS, json=wish()), 403, "forbidden")
    assert since(now(), (await listed(house, alice))[0]["lastUsedAt"]) < timedelta(seconds=1)


async def test_a_chosen_expiry_is_kept_in_utc(house: House, alice: Person) -> None:
    chosen = (now() + timedelta(days=7)).replace(microsecond=0)
    async with house.client(alice) as client:
        made = await client.post(
            KEYS, json=wish(expiresAt=f"{chosen + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00")
        )
    assert made.json()["expiresAt"] == f"{chosen:%Y-%m-%dT%H:%M:%SZ}"
    assert [item["expiresAt"] for item in await listed(house, alice)] == [made.json()["expiresAt"]]


@pytest.mark.parametrize(
    "expires_at",
    [
        "2026-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
        f"{datetime.now(UTC) + timedelta(days=367):%Y-%m-%dT%H:%M:%SZ}",
    ],
    ids=["past", "the end of time", "its beginning", "too late"],
)
async def test_an_expiry_in_the_past_or_too_late_is_refused(
    house: House, alice: Person, expires_at: str
) -> None:
    async with house.client(alice) as client:
        answer = await client.post(KEYS, json=wish(expiresAt=expires_at))
    assert wrong_fields(answer) == {
        "expiresAt": "Must be in the future, and within 366 days.",
    }
    assert await listed(house, alice) == []


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"name": "Is required.", "scopes": "Is required."}),
        (
            {"name": "", "scopes": [], "expires": None},
            {
                "name": "Must be a text, 1 to 100 characters, without NUL characters.",
                "scopes": "Must be a list, 1 to 3 items, each one of: read, write, admin.",
                "expires": "Is not known here.",
            },
        ),
        (
            {"name": "x" * 101, "scopes": ["root"]},
            {
                "name": "Must be a text, 1 to 100 characters, without NUL characters.",
                "scopes[0]": "Must be one of: read, write, admin.",
            },
        ),
        (wish("read", "read"), {"scopes": "Each can be given only once."}),
        (
            wish(expiresAt="2027-01-01T00:00:00"),
            {"expiresAt": "Must be a time with its offset, such as 2026-05-01T12:00:00Z."},
        ),
    ],
)
async def test_every_wrong_field_is_named(
    house: House, alice: Person, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    async with house.client(alice) as client:
        assert wrong_fields(await client.post(KEYS, json=body)) == wrong
    assert await listed(house, alice) == []


async def test_only_an_admin_makes_a_key_that_steers(
    house: House, alice: Person, admin: Person
) -> None:
    async with house.client(alice) as client:
        refused = await client.post(KEYS, json=wish("read", "admin"))
        problem(refused, 403, "forbidden")
    assert await listed(house, alice) == []
    async with house.client(admin) as client:
        made = await client.post(KEYS, json=wish("admin"))
    async with house.client() as client:
        client.headers["X-Api-Key"] = made.json()["key"]
        assert (await client.get("/api/v1/admin/users")).status_code == 200
        problem(await client.get(REQUESTS), 403, "forbidden")


# Seeing and revoking


async def test_a_revoked_key_opens_nothing_and_is_not_listed(house: House, alice: Person) -> None:
    headers = await house.api_key(alice, Scope.READ)
    (key,) = await listed(house, alice)
    async with house.client() as program, house.client(alice) as client:
        assert (await program.get(REQUESTS, headers=headers)).status_code == 200
        answer = await client.delete(f"{KEYS}/{key['id']}")
        again = await client.delete(f"{KEYS}/{key['id']}")
        problem(await program.get(REQUESTS, headers=headers), 401, "unauthenticated")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-position"] == again.headers["x-position"] == str(house.store.head)
    assert await listed(house, alice) == []


async def test_no_key_but_ones_own_is_known(
    house: House, alice: Person, bob: Person, admin: Person
) -> None:
    headers = await house.api_key(alice, Scope.READ)
    (key,) = await listed(house, alice)
    for stranger in (bob, admin):
        async with house.client(stranger) as client:
            for other in (key["id"], new_id(), alice.id):
                problem(await client.delete(f"{KEYS}/{other}"), 404, "unknown-api-key")
        assert await listed(house, stranger) == []
    async with house.client() as program:
        assert (await program.get(REQUESTS, headers=headers)).status_code == 200


async def test_nobody_sees_makes_or_revokes_keys(house: House, alice: Person) -> None:
    async with house.client() as client:
        for answer in (
            await client.get(KEYS),
            await client.post(KEYS, json=wish()),
            await client.delete(f"{KEYS}/{new_id()}"),
        ):
            problem(answer, 401, "unauthenticated")


async def test_no_route_takes_parameters_it_does_not_know(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        for answer in (
            await client.get(f"{KEYS}?all=1"),
            await client.post(f"{KEYS}?all=1", json=wish()),
            await client.delete(f"{KEYS}/{new_id()}?all=1"),
        ):
            assert wrong_fields(answer) == {"all": "Is not known here."}


async def test_a_list_that_stays_behind_is_told(
    house: House, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "LONGEST_WAIT", timedelta(milliseconds=50))
    house.api_key_list.stopped_at = 0
    async with house.client(alice) as client:
        answer = await client.get(KEYS, params={"after": house.store.head})
    problem(answer, 503, "read-model-behind")
