from datetime import timedelta
from uuid import UUID

import pytest

from application.ports import StoreUnavailable
from domain.accounts import Role
from infrastructure.security import JwtAccessTokens
from tests.fakes import new_id, now
from tests.interfaces.house import PASSWORD, House, Person
from tests.interfaces.problems import problem, wrong_fields


async def test_a_right_password_gives_a_token_that_works(house: House, alice: Person) -> None:
    async with house.client() as client:
        answer = await client.post(
            "/api/v1/auth/login", json={"email": "Alice@Example.org", "password": PASSWORD}
        )
        body = answer.json()
        user = {"id": str(alice.id), "email": alice.email, "role": "user"}
        assert answer.status_code == 200
        assert (body["expiresIn"], body["user"]) == (3600, user)
        headers = {"Authorization": f"bearer {body['accessToken']}"}
        me = await client.get("/api/v1/auth/me", headers=headers)
    assert (me.status_code, me.json()) == (200, user)


async def test_a_wrong_password_and_an_unknown_address_answer_alike(
    house: House, alice: Person
) -> None:
    async with house.client() as client:
        wrong, unknown = [
            await client.post(
                "/api/v1/auth/login",
                json={"email": email, "password": "guess"},
                headers={"X-Correlation-Id": "same"},
            )
            for email in (alice.email, "nobody@example.org")
        ]
    problem(wrong, 401, "wrong-credentials")
    assert wrong.content == unknown.content
    assert wrong.headers == unknown.headers


async def test_too_many_sign_ins_are_told_when_to_come_back(house: House, alice: Person) -> None:
    house.hasher.busy = True
    async with house.client() as client:
        answer = await client.post(
            "/api/v1/auth/login", json={"email": alice.email, "password": PASSWORD}
        )
    assert problem(answer, 503, "sign-in-busy")["retryAfter"] == 1
    assert answer.headers["retry-after"] == "1"


async def test_signing_in_without_a_database_says_so(house: House, alice: Person) -> None:
    house.store.failure = StoreUnavailable("The database does not answer.")
    async with house.client() as client:
        answer = await client.post(
            "/api/v1/auth/login", json={"email": alice.email, "password": PASSWORD}
        )
    problem(answer, 503, "store-unavailable")


async def test_what_is_wrong_with_a_sign_in_is_named(house: House) -> None:
    async with house.client() as client:
        answer = await client.post(
            "/api/v1/auth/login", json={"email": "", "password": "x" * 1025, "remember": True}
        )
        query = await client.post("/api/v1/auth/login?next=/", json={"email": "a", "password": "b"})
    assert wrong_fields(answer) == {
        "email": "Must be a text, 1 to 320 characters.",
        "password": "Must be a text, 1 to 1024 characters.",
        "remember": "Is not known here.",
    }
    assert wrong_fields(query) == {"next": "Is not known here."}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer nonsense", "Bearer a.b.c", "Basic YTpi", "Bearer \u00e4.b.c"],
)
async def test_what_is_no_token_signs_nobody_in(house: House, header: str) -> None:
    async with house.client() as client:
        headers = {b"Authorization": header.encode("latin-1")}
        answer = await client.get("/api/v1/auth/me", headers=headers)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="medianest"'


async def test_an_expired_and_a_foreign_token_sign_nobody_in(house: House, alice: Person) -> None:
    expired = house.token_for(alice, Role.USER, timedelta(seconds=-1))
    foreign = JwtAccessTokens("another secret", now).issue(alice.id, Role.ADMIN).token
    async with house.client() as client:
        for token in (expired, foreign):
            answer = await client.get(
                "/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}
            )
            problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/auth/me"),
        ("POST", "/api/v1/media/request"),
        ("GET", "/api/v1/media/requests"),
        ("GET", f"/api/v1/media/requests/{UUID(int=7)}"),
        ("GET", f"/api/v1/media/requests/{UUID(int=7)}/history"),
    ],
)
async def test_signing_in_comes_before_everything_else(
    house: House, method: str, path: str
) -> None:
    async with house.client() as client:
        answer = await client.request(method, f"{path}?unknown=1", content=b"{")
    problem(answer, 401, "unauthenticated")


async def test_the_token_of_an_account_that_is_not_there_signs_nobody_in(house: House) -> None:
    token = house.tokens.issue(new_id(), Role.USER).token
    async with house.client() as client:
        answer = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    problem(answer, 401, "unauthenticated")
