from typing import Any

import httpx
import pytest

from domain.media_requests import MediaType, media_request_id
from domain.quotas import Quota
from tests.fakes import new_id
from tests.interfaces.house import MATRIX, House, Person, film
from tests.interfaces.problems import problem, wrong_fields

REQUEST = "/api/v1/media/request"
OWN = "/api/v1/media/quota"
UNLIMITED: dict[str, Any] = {
    "limit": None,
    "days": None,
    "remaining": None,
    "uses": [],
    "nextFreeAt": None,
}


@pytest.fixture
def strict(house: House) -> House:
    """A house in which everybody may ask for one film a week."""
    house.quota_rules[MediaType.MOVIE] = Quota(1, 7)
    return house


async def send(house: House, person: Person, method: str, path: str, **more: Any) -> httpx.Response:
    async with house.client(person) as client:
        return await client.request(method, path, **more)


def of(person: Person) -> str:
    return f"/api/v1/admin/users/{person.id}/quota"


async def test_a_refusal_explains_itself(strict: House, alice: Person) -> None:
    assert (await send(strict, alice, "POST", REQUEST, json=film())).status_code == 201
    answer = await send(strict, alice, "POST", REQUEST, json=film(1))
    body = problem(answer, 403, "quota-used-up")
    assert body["detail"].startswith("You have asked for 1 of at most 1 films in 7 days;")
    (use,) = body["quota"]["uses"]
    assert use["requestId"] == str(media_request_id(MATRIX))
    assert (body["quota"]["remaining"], body["quota"]["limit"]) == (0, 1)
    own = (await send(strict, alice, "GET", OWN)).json()
    assert own["movie"] == body["quota"]
    assert own["tv"] == UNLIMITED


async def test_an_admin_has_no_quota(strict: House, admin: Person) -> None:
    for number in (1, 2):
        answer = await send(strict, admin, "POST", REQUEST, json=film(number))
        assert answer.status_code == 201
    assert (await send(strict, admin, "GET", OWN)).json() == {"movie": UNLIMITED, "tv": UNLIMITED}


async def test_an_admin_lets_a_person_ask_for_more_and_no_more(
    strict: House, alice: Person, admin: Person
) -> None:
    more = {"mediaType": "movie", "limit": 2, "days": 30}
    changed = await send(strict, admin, "PUT", of(alice), json=more)
    assert (changed.json()["movie"]["limit"], changed.json()["movie"]["days"]) == (2, 30)
    assert changed.headers["x-position"] == str(strict.store.head)
    assert (await send(strict, admin, "GET", of(alice))).json() == changed.json()
    for number, status in ((1, 201), (2, 201), (3, 403)):
        answer = await send(strict, alice, "POST", REQUEST, json=film(number))
        assert answer.status_code == status
    ended = await send(strict, admin, "DELETE", of(alice), params={"mediaType": "movie"})
    assert ended.status_code == 204
    assert (await send(strict, alice, "GET", OWN)).json()["movie"]["limit"] == 1
    without = {"mediaType": "movie", "limit": None}
    changed = await send(strict, admin, "PUT", of(alice), json=without)
    assert changed.json()["movie"] == UNLIMITED


async def test_what_is_wrong_is_named(house: House, alice: Person, admin: Person) -> None:
    answer = await send(house, admin, "PUT", of(alice), json={"limit": 1001, "days": 0})
    assert wrong_fields(answer) == {
        "mediaType": "Is required.",
        "limit": "Must be a whole number, 0 to 1000.",
        "days": "Must be a whole number, 1 to 366.",
    }
    answer = await send(house, admin, "DELETE", of(alice))
    assert wrong_fields(answer) == {"mediaType": "Is required."}


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("GET", {}),
        ("PUT", {"json": {"mediaType": "tv", "limit": 1}}),
        ("DELETE", {"params": {"mediaType": "tv"}}),
    ],
)
async def test_nobody_has_no_quota(
    house: House, admin: Person, method: str, more: dict[str, Any]
) -> None:
    path = f"/api/v1/admin/users/{new_id()}/quota"
    before = house.store.head
    problem(await send(house, admin, method, path, **more), 404, "unknown-account")
    assert house.store.head == before
