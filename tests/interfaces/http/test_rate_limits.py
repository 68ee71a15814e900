from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.rate_limits import Policy, RateLimitViolated
from tests.events import NOON, new_events
from tests.interfaces.house import UNLIMITED, House, Person
from tests.interfaces.problems import problem, wrong_fields

RATE_LIMITS = "/api/v1/admin/rate-limits"
HOUR = 3600


async def refused(house: House, number: int, policy: Policy = Policy.AUTH) -> str:
    """Somebody was refused three times."""
    subject = f"address:00000000-0000-5000-8000-{number:012}"
    event = RateLimitViolated(policy, subject, 3, NOON)
    await house.store.append(new_events(event, stream=uuid4()))
    return subject


def wish(limit: Any = 20, window: Any = 60) -> dict[str, Any]:
    return {"limit": limit, "windowSeconds": window}


def of(answer: httpx.Response, policy: str) -> dict[str, Any]:
    (found,) = (each for each in answer.json()["policies"] if each["policy"] == policy)
    return found


async def test_every_policy_is_shown_with_its_default(house: House, admin: Person) -> None:
    async with house.client(admin) as client:
        answer = await client.get(RATE_LIMITS)
    assert answer.status_code == 200
    shown = {each["policy"]: each["limit"] for each in answer.json()["policies"]}
    assert shown == {policy: limit.limit for policy, limit in UNLIMITED.items()}
    assert of(answer, "auth") == {
        "policy": "auth",
        "limit": UNLIMITED[Policy.AUTH].limit,
        "windowSeconds": HOUR,
        "changedAt": None,
        "changedBy": None,
    }
    assert answer.json()["violations"] == {"items": [], "nextCursor": None}


async def test_a_change_is_in_force_and_shown_with_who_made_it(house: House, admin: Person) -> None:
    async with house.client(admin) as client:
        answer = await client.put(f"{RATE_LIMITS}/download", json=wish())
        shown = await client.get(RATE_LIMITS)
    changed = answer.json()
    assert answer.status_code == 200
    assert changed == of(shown, "download")
    assert (changed["limit"], changed["windowSeconds"]) == (20, 60)
    assert changed["changedBy"] == f"account:{admin.id}"
    assert changed["changedAt"] is not None
    assert answer.headers["x-position"] == str(house.store.head)
    assert house.doors.rate_limits.limit_of(Policy.DOWNLOAD).limit == 20


async def test_the_same_again_changes_nothing(house: House, admin: Person) -> None:
    async with house.client(admin) as client:
        first = await client.put(f"{RATE_LIMITS}/download", json=wish())
        events = len(house.store.events)
        again = await client.put(f"{RATE_LIMITS}/download", json=wish())
    assert again.json() == first.json()
    assert again.headers["x-position"] == first.headers["x-position"]
    assert len(house.store.events) == events


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"limit": "Is required.", "windowSeconds": "Is required."}),
        (
            wish(-1, 0),
            {
                "limit": "Must be a whole number, 0 to 100000.",
                "windowSeconds": "Must be a whole number, 1 to 604800.",
            },
        ),
        (
            wish(100_001, "60"),
            {
                "limit": "Must be a whole number, 0 to 100000.",
                "windowSeconds": "Must be a whole number, 1 to 604800.",
            },
        ),
        (wish() | {"window": 60}, {"window": "Is not known here."}),
    ],
)
async def test_every_wrong_field_is_named(
    house: House, admin: Person, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    events = len(house.store.events)
    async with house.client(admin) as client:
        answer = await client.put(f"{RATE_LIMITS}/download", json=body)
    assert wrong_fields(answer) == wrong
    assert len(house.store.events) == events


@pytest.mark.parametrize("policy", ["auth", "admin"])
async def test_no_limit_may_lock_the_admins_out(house: House, admin: Person, policy: str) -> None:
    async with house.client(admin) as client:
        answer = await client.put(f"{RATE_LIMITS}/{policy}", json=wish(0))
    body = problem(answer, 400, "locks-admins-out")
    assert [error["field"] for error in body["errors"]] == ["limit"]


async def test_nobody_may_download_if_an_admin_says_so(house: House, admin: Person) -> None:
    async with house.client(admin) as client:
        answer = await client.put(f"{RATE_LIMITS}/download", json=wish(0))
    assert answer.json()["limit"] == 0


async def test_a_policy_that_does_not_exist_is_not_found(house: House, admin: Person) -> None:
    async with house.client(admin) as client:
        problem(await client.put(f"{RATE_LIMITS}/uploads", json=wish()), 404, "not-found")


async def test_violations_come_newest_first_page_by_page(house: House, admin: Person) -> None:
    subjects = [await refused(house, number) for number in range(5)]
    await refused(house, 9, Policy.GENERAL)
    assert await refused(house, 0) == subjects[0]
    params: dict[str, Any] = {"policy": "auth", "limit": 2}
    seen: list[dict[str, Any]] = []
    async with house.client(admin) as client:
        while True:
            page = (await client.get(RATE_LIMITS, params=params)).json()["violations"]
            assert len(page["items"]) <= 2
            seen += page["items"]
            if page["nextCursor"] is None:
                break
            params["cursor"] = page["nextCursor"]
    assert [each["subject"] for each in seen] == [subjects[number] for number in (0, 4, 3, 2, 1)]
    assert [each["count"] for each in seen] == [6, 3, 3, 3, 3]
    assert {each["policy"] for each in seen} == {"auth"}
    assert seen[0].keys() == {"policy", "subject", "count", "firstAt", "lastAt"}


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({"policy": "uploads"}, {"policy": "Must be one of: general, auth, download, admin."}),
        ({"limit": "101"}, {"limit": "Must be a whole number, 1 to 100."}),
        ({"cursor": "é"}, {"cursor": "Must be the nextCursor of a page."}),
        ({"cursor": "bm90aGluZw"}, {"cursor": "Must be the nextCursor of a page."}),
        ({"page": "2"}, {"page": "Is not known here."}),
    ],
)
async def test_every_wrong_parameter_is_named(
    house: House, admin: Person, params: dict[str, str], wrong: dict[str, str]
) -> None:
    async with house.client(admin) as client:
        assert wrong_fields(await client.get(RATE_LIMITS, params=params)) == wrong
