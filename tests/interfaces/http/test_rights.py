"""Who may see what: own, another's, everybody's; as a table."""

import pytest

from tests.interfaces.house import House, Person, film
from tests.interfaces.problems import problem

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
