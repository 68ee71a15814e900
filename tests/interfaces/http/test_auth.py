from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from application.ports import PlexUnavailable, PlexUser, StoreUnavailable
from domain.accounts import AccountForgotten, Role
from domain.sessions import RefreshTokenReused
from infrastructure.security.access_tokens import JwtAccessTokens
from infrastructure.security.keyring import SigningKey, SigningKeys
from tests.fakes import new_id, now
from tests.interfaces.house import PASSWORD, House, Person, context
from tests.interfaces.problems import problem, wrong_fields

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
ME = "/api/v1/auth/me"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def login(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> Any:
    answer = await client.post(LOGIN, json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post(REFRESH, json={"refreshToken": token})


async def is_in(client: httpx.AsyncClient, access_token: str) -> bool:
    answer = await client.get(ME, headers=bearer(access_token))
    if answer.status_code != 200:
        problem(answer, 401, "unauthenticated")
    return answer.status_code == 200


# Signing in


async def test_a_right_password_gives_a_token_that_works(house: House, alice: Person) -> None:
    async with house.client() as client:
        body = await login(client, "Alice@Example.org")
        user = {"id": str(alice.id), "email": alice.email, "name": None, "role": "user"}
        assert (body["expiresIn"], body["user"]) == (900, user)
        me = await client.get(ME, headers={"Authorization": f"bearer {body['accessToken']}"})
    assert (me.status_code, me.json()) == (200, user)


async def test_a_wrong_password_and_an_unknown_address_answer_alike(
    house: House, alice: Person
) -> None:
    async with house.client() as client:
        wrong, unknown = [
            await client.post(
                LOGIN,
                json={"email": email, "password": "guess"},
                headers={"X-Correlation-Id": "same"},
            )
            for email in (alice.email, "nobody@example.org")
        ]
    problem(wrong, 401, "wrong-credentials")
    assert wrong.content == unknown.content
    ours = {"x-rate-limit-remaining", "x-rate-limit-reset", "ratelimit"}
    shown = [
        {name: value for name, value in answer.headers.items() if name not in ours}
        for answer in (wrong, unknown)
    ]
    assert shown[0] == shown[1]


async def test_too_many_sign_ins_are_told_when_to_come_back(house: House, alice: Person) -> None:
    house.hasher.busy = True
    async with house.client() as client:
        answer = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
    assert problem(answer, 503, "sign-in-busy")["retryAfter"] == 1
    assert answer.headers["retry-after"] == "1"


async def test_signing_in_without_a_database_says_so(house: House, alice: Person) -> None:
    house.store.failure = StoreUnavailable("The database does not answer.")
    async with house.client() as client:
        answer = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
    problem(answer, 503, "store-unavailable")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (
            {"email": "", "password": "x" * 1025, "remember": True},
            {
                "email": "Must be a text, 1 to 320 characters.",
                "password": "Must be a text, 1 to 1024 characters.",
                "remember": "Is not known here.",
            },
        ),
        ({}, {"email": "Is required.", "password": "Is required."}),
        ({"email": "a"}, {"password": "Is required."}),
        (
            {"email": "a", "password": "b", "plexToken": "c"},
            {"plexToken": "Must come alone, or not at all."},
        ),
    ],
)
async def test_what_is_wrong_with_a_sign_in_is_named(
    house: House, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    async with house.client() as client:
        assert wrong_fields(await client.post(LOGIN, json=body)) == wrong


async def test_a_suspended_account_is_told_so_only_behind_its_password(
    house: House, alice: Person
) -> None:
    await house.accounts.suspend(alice.id, context("test"))
    async with house.client() as client:
        right = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
        wrong = await client.post(LOGIN, json={"email": alice.email, "password": "guess"})
    problem(right, 403, "account-suspended")
    problem(wrong, 401, "wrong-credentials")


async def test_a_password_is_hashed_anew_when_hashing_gets_stronger(
    house: House, alice: Person
) -> None:
    house.hasher.stronger = True
    async with house.client() as client:
        for _ in range(2):
            await login(client, alice.email)
    tags = [type(recorded.event).__name__ for recorded in house.store.events]
    assert tags.count("PasswordRehashed") == 1


# Tokens


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer nonsense", "Bearer a.b.c", "Basic YTpi", "Bearer \u00e4.b.c"],
)
async def test_what_is_no_token_signs_nobody_in(house: House, header: str) -> None:
    async with house.client() as client:
        answer = await client.get(ME, headers={b"Authorization": header.encode("latin-1")})
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="medianest"'


async def test_no_token_but_the_right_one_signs_anybody_in(house: House, alice: Person) -> None:
    session_id = alice.signed_in.session_id
    other_key = JwtAccessTokens(SigningKeys([SigningKey.random(now())], now), now)
    async with house.client() as client:
        for token in (
            house.token_for(alice, timedelta(seconds=-1)),
            other_key.issue(alice.id, session_id).token,
            house.tokens.issue(new_id(), new_id()).token,
            house.tokens.issue(alice.id, new_id()).token,
            alice.signed_in.refresh_token,
        ):
            assert not await is_in(client, token)
        assert await is_in(client, house.token_for(alice))


async def test_the_session_of_another_account_signs_nobody_in(
    house: House, alice: Person, bob: Person
) -> None:
    token = house.tokens.issue(alice.id, bob.signed_in.session_id).token
    async with house.client() as client:
        assert not await is_in(client, token)


# Refreshing


async def test_a_refresh_token_gives_new_tokens(house: House, alice: Person) -> None:
    async with house.client() as client:
        first = await login(client, alice.email)
        second = (await refresh(client, first["refreshToken"])).json()
        assert second["refreshToken"] != first["refreshToken"]
        assert await is_in(client, second["accessToken"])
        third = await refresh(client, second["refreshToken"])
    assert third.status_code == 200


async def test_who_lost_the_answer_may_ask_again(house: House, alice: Person) -> None:
    async with house.client() as client:
        first = await login(client, alice.email)
        answers = [(await refresh(client, first["refreshToken"])).json() for _ in range(3)]
        assert len({answer["refreshToken"] for answer in answers}) == 1
        assert all([await is_in(client, answer["accessToken"]) for answer in answers])
        assert (await refresh(client, answers[0]["refreshToken"])).status_code == 200


async def test_a_token_that_is_used_after_its_successor_ends_the_session(
    house: House, alice: Person
) -> None:
    async with house.client() as client:
        first = await login(client, alice.email)
        second = (await refresh(client, first["refreshToken"])).json()
        third = (await refresh(client, second["refreshToken"])).json()
        problem(await refresh(client, first["refreshToken"]), 401, "session-over")
        problem(await refresh(client, third["refreshToken"]), 401, "session-over")
        for tokens in (first, second, third):
            assert not await is_in(client, tokens["accessToken"])
        assert await is_in(client, alice.token)  # another session of the same person
    assert any(isinstance(recorded.event, RefreshTokenReused) for recorded in house.store.events)


@pytest.mark.parametrize("token", ["nonsense", "mnr_", "mnr_" + "A" * 64])
async def test_a_guessed_refresh_token_is_refused_and_ends_nothing(
    house: House, alice: Person, token: str
) -> None:
    guess = house.refresh_tokens.make(alice.signed_in.session_id).token
    async with house.client() as client:
        problem(await refresh(client, token), 401, "session-over")
        problem(await refresh(client, guess), 401, "session-over")
        problem(await refresh(client, alice.token), 401, "session-over")
        assert await is_in(client, alice.token)


# Signing out


async def test_signing_out_ends_this_session_only(house: House, alice: Person) -> None:
    async with house.client() as client:
        other = await login(client, alice.email)
        answer = await client.post("/api/v1/auth/logout", headers=bearer(other["accessToken"]))
        assert answer.status_code == 204
        assert int(answer.headers["x-position"]) == house.store.head
        assert not await is_in(client, other["accessToken"])
        problem(await refresh(client, other["refreshToken"]), 401, "session-over")
        assert await is_in(client, alice.token)


async def test_signing_out_everywhere_ends_every_session(house: House, alice: Person) -> None:
    async with house.client() as client:
        other = await login(client, alice.email)
        answer = await client.post(
            "/api/v1/auth/logout?everywhere=true", headers=bearer(other["accessToken"])
        )
        assert answer.status_code == 204
        for token in (other["accessToken"], alice.token):
            assert not await is_in(client, token)
        problem(await refresh(client, alice.signed_in.refresh_token), 401, "session-over")
        assert await is_in(client, (await login(client, alice.email))["accessToken"])


# One's own account


async def test_a_new_password_ends_every_other_session(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        other = await login(client, alice.email)
        body = {"password": PASSWORD, "newPassword": "an even better one"}
        answer = await client.post("/api/v1/auth/password", json=body)
        assert answer.status_code == 204
        assert await is_in(client, alice.token)
        assert not await is_in(client, other["accessToken"])
        problem(await refresh(client, other["refreshToken"]), 401, "session-over")
        assert (await refresh(client, alice.signed_in.refresh_token)).status_code == 200
        await login(client, alice.email, "an even better one")
        old = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
    problem(old, 401, "wrong-credentials")


async def test_a_new_password_needs_the_present_one(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        wrong = await client.post(
            "/api/v1/auth/password", json={"password": "guess", "newPassword": "long enough"}
        )
        short = await client.post(
            "/api/v1/auth/password", json={"password": PASSWORD, "newPassword": "short"}
        )
    problem(wrong, 403, "wrong-password")
    assert wrong_fields(short) == {"newPassword": "Must be a text, 8 to 1024 characters."}


async def test_one_can_change_name_and_address(house: House, alice: Person) -> None:
    async with house.client(alice) as client:
        named = await client.patch(ME, json={"name": " Alice "})
        assert named.json()["name"] == "Alice"
        moved = await client.patch(ME, json={"email": "al@example.org", "password": PASSWORD})
        assert moved.json()["email"] == "al@example.org"
        assert (await client.get(ME)).json() == moved.json()
        await login(client, "al@example.org")
        old = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
        problem(old, 401, "wrong-credentials")
        assert (await client.patch(ME, json={"name": ""})).json()["name"] is None
    await house.person(alice.email)  # the address is free again


async def test_what_cannot_be_changed_is_told(house: House, alice: Person, bob: Person) -> None:
    async with house.client(alice) as client:
        nothing = await client.patch(ME, json={})
        unproved = await client.patch(ME, json={"email": "al@example.org"})
        wrong = await client.patch(ME, json={"email": "al@example.org", "password": "guess"})
        taken = await client.patch(ME, json={"email": bob.email, "password": PASSWORD})
        crooked = await client.patch(ME, json={"email": "no address", "password": PASSWORD})
    assert wrong_fields(nothing) == {"": "Nothing is to be changed."}
    assert wrong_fields(unproved) == {"password": "Is required to change the e-mail address."}
    problem(wrong, 403, "wrong-password")
    problem(taken, 409, "account-exists")
    assert wrong_fields(crooked).keys() == {"email"}


# Through Plex


MEMBER = PlexUser(42, "friend", "friend@example.org", owner=False)


async def test_a_member_signs_in_with_a_plex_token_to_one_account(house: House) -> None:
    house.plex.members |= {"one": MEMBER, "two": MEMBER}
    async with house.client() as client:
        bodies = [
            (await client.post(LOGIN, json={"plexToken": token})).json() for token in ("one", "two")
        ]
    assert bodies[0]["user"] == bodies[1]["user"]
    assert bodies[0]["user"]["name"] == "friend"
    assert bodies[0]["user"]["role"] == "user"


async def test_an_account_of_the_same_address_is_not_taken_over_through_plex(
    house: House, alice: Person
) -> None:
    house.plex.members["mallory"] = PlexUser(66, "mallory", alice.email, owner=False)
    async with house.client() as client:
        body = (await client.post(LOGIN, json={"plexToken": "mallory"})).json()
    assert body["user"]["id"] != str(alice.id)


async def test_who_has_no_access_to_the_server_stays_outside(house: House) -> None:
    house.plex.strangers.add("stranger")
    async with house.client() as client:
        stranger = await client.post(LOGIN, json={"plexToken": "stranger"})
        forged = await client.post(LOGIN, json={"plexToken": "forged"})
        house.plex.failure = PlexUnavailable("Plex does not answer.", timedelta(seconds=30))
        away = await client.post(LOGIN, json={"plexToken": "one"})
    problem(stranger, 403, "no-access-to-server")
    problem(forged, 401, "bad-plex-token")
    assert problem(away, 503, "plex-unavailable")["retryAfter"] == 30
    assert house.store.events == []


async def test_how_sign_ins_end_is_counted(house: House, alice: Person) -> None:
    house.plex.members["one"] = MEMBER
    house.plex.members["two"] = PlexUser(2, "two", "two@example.org", owner=False)
    async with house.client() as client:
        await login(client, alice.email)
        await client.post(LOGIN, json={"email": alice.email, "password": "guess"})
        await client.post(LOGIN, json={"email": "nobody@example.org", "password": "guess"})
        await client.post(LOGIN, json={"plexToken": "one"})
        await client.post(LOGIN, json={"plexToken": "forged"})
        pin = (await client.post("/api/v1/auth/plex/pin")).json()
        await client.get(f"/api/v1/auth/plex/pin/{pin['id']}")  # which is nobody's yet
        house.plex.confirmed[pin["code"]] = "two"
        await client.get(f"/api/v1/auth/plex/pin/{pin['id']}")
        house.plex.failure = PlexUnavailable("Plex does not answer.")
        await client.post(LOGIN, json={"plexToken": "one"})
    lines = house.metrics.exposition().decode().splitlines()
    assert sorted(line for line in lines if line.startswith("medianest_sign_ins_total{")) == [
        'medianest_sign_ins_total{method="password",outcome="refused"} 2.0',
        'medianest_sign_ins_total{method="password",outcome="signed_in"} 1.0',
        'medianest_sign_ins_total{method="plex",outcome="failed"} 1.0',
        'medianest_sign_ins_total{method="plex",outcome="refused"} 1.0',
        'medianest_sign_ins_total{method="plex",outcome="signed_in"} 2.0',
    ]


async def test_plex_being_away_signs_nobody_out(house: House) -> None:
    house.plex.members["one"] = MEMBER
    async with house.client() as client:
        body = (await client.post(LOGIN, json={"plexToken": "one"})).json()
        house.plex.failure = PlexUnavailable("Plex does not answer.")
        assert await is_in(client, body["accessToken"])
        assert (await refresh(client, body["refreshToken"])).status_code == 200


async def test_a_pin_signs_in_once(house: House) -> None:
    house.plex.members["one"] = MEMBER
    async with house.client() as client:
        pin = (await client.post("/api/v1/auth/plex/pin")).json()
        assert pin["expiresIn"] == 1800
        path = f"/api/v1/auth/plex/pin/{pin['id']}"
        assert (await client.get(path)).json() == {"status": "pending"}
        house.plex.confirmed[pin["code"]] = "one"
        body = (await client.get(path)).json()
        assert body["status"] == "signedIn"
        assert await is_in(client, body["accessToken"])
        problem(await client.get(path), 409, "sign-in-used")


@pytest.mark.parametrize(
    "pin",
    [
        "7",
        "7-",
        "7-OTHER",
        "8-CODE",
        "x-CODE",
        "\N{ARABIC-INDIC DIGIT SEVEN}-CODE",
        "7-" + "C" * 99,
    ],
)
async def test_another_pin_is_unknown(house: House, pin: str) -> None:
    async with house.client() as client:
        problem(await client.get(f"/api/v1/auth/plex/pin/{pin}"), 404, "unknown-pin")


async def test_a_plex_account_has_no_password_to_change(house: House) -> None:
    house.plex.members["one"] = MEMBER
    async with house.client() as client:
        body = (await client.post(LOGIN, json={"plexToken": "one"})).json()
        headers = bearer(body["accessToken"])
        form = {"password": "x", "newPassword": "long enough"}
        answer = await client.post("/api/v1/auth/password", json=form, headers=headers)
    problem(answer, 409, "no-password")


# The first admin


async def test_the_set_up_token_makes_the_first_admin_once(house: House) -> None:
    token = await house.setup.offer(context("system:up"))
    form = {"token": token, "email": "boss@example.org", "password": PASSWORD}
    async with house.client() as client:
        wrong = await client.post("/api/v1/auth/setup", json=form | {"token": "mns_nonsense"})
        problem(wrong, 401, "wrong-setup-token")
        made = await client.post("/api/v1/auth/setup", json=form)
        assert (made.status_code, made.json()["user"]["role"]) == (201, "admin")
        assert await is_in(client, made.json()["accessToken"])
        again = await client.post("/api/v1/auth/setup", json=form | {"email": "x@example.org"})
        problem(again, 401, "wrong-setup-token")
    assert await house.setup.offer(context("system:up")) is None


async def test_a_later_token_replaces_an_earlier_one(house: House) -> None:
    first = await house.setup.offer(context("system:up"))
    second = await house.setup.offer(context("system:up"))
    form = {"email": "boss@example.org", "password": PASSWORD}
    async with house.client() as client:
        old = await client.post("/api/v1/auth/setup", json=form | {"token": first})
        new = await client.post("/api/v1/auth/setup", json=form | {"token": second})
    problem(old, 401, "wrong-setup-token")
    assert new.status_code == 201


async def test_an_operator_who_makes_an_admin_needs_no_token(house: House, admin: Person) -> None:
    assert await house.setup.offer(context("system:up")) is None


# Cookies


async def test_browsers_are_given_cookies_that_work_for_reading(
    house: House, alice: Person
) -> None:
    async with house.client() as client:
        answer = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
        cookies = answer.headers.get_list("set-cookie")
        assert (await client.get(ME)).json()["id"] == str(alice.id)
    by_name = {cookie.split("=")[0]: cookie for cookie in cookies}
    assert by_name.keys() == {"medianest_access", "medianest_refresh", "medianest_csrf"}
    for name in ("medianest_access", "medianest_refresh"):
        assert "HttpOnly" in by_name[name]
    assert "HttpOnly" not in by_name["medianest_csrf"]
    assert "SameSite=strict" in by_name["medianest_refresh"]
    assert "Path=/api/v1/auth" in by_name["medianest_refresh"]
    assert all("Secure" not in cookie for cookie in cookies)


async def test_behind_tls_cookies_are_secure_by_name_too(house: House, alice: Person) -> None:
    async with house.client() as client:
        client.base_url = httpx.URL("https://medianest.test")
        answer = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
        cookies = answer.headers.get_list("set-cookie")
        assert (await client.get(ME)).status_code == 200
    assert all(cookie.startswith("__Secure-") and "Secure" in cookie for cookie in cookies)


async def test_a_change_with_cookies_needs_the_csrf_token(house: House, alice: Person) -> None:
    async with house.client() as client:
        await login(client, alice.email)
        form = {"name": "Al"}
        token = client.cookies["medianest_csrf"]
        without = await client.patch(ME, json=form)
        wrong = await client.patch(ME, json=form, headers={"X-Csrf-Token": str(UUID(int=0))})
        other = await client.patch(
            ME,
            json=form,
            headers={"X-Csrf-Token": token, "Sec-Fetch-Site": "cross-site"},
        )
        right = await client.patch(ME, json=form, headers={"X-Csrf-Token": token})
        with_token = await client.patch(ME, json=form, headers=bearer(alice.token))
    for answer in (without, wrong, other):
        problem(answer, 403, "csrf-token-missing")
    assert (right.status_code, with_token.status_code) == (200, 200)


async def test_the_csrf_token_of_another_session_is_wrong(
    house: House, alice: Person, bob: Person
) -> None:
    async with house.client() as client:
        await login(client, bob.email)
        foreign = client.cookies["medianest_csrf"]
        client.cookies.clear()
        await login(client, alice.email)
        answer = await client.patch(ME, json={"name": "Al"}, headers={"X-Csrf-Token": foreign})
    problem(answer, 403, "csrf-token-missing")


async def test_a_browser_refreshes_with_its_cookie(house: House, alice: Person) -> None:
    async with house.client() as client:
        await login(client, alice.email)
        headers = {"X-Csrf-Token": client.cookies["medianest_csrf"]}
        problem(await client.post(REFRESH, json={}), 403, "csrf-token-missing")
        answer = await client.post(REFRESH, json={}, headers=headers)
        assert answer.status_code == 200
        client.cookies.clear()
        problem(await client.post(REFRESH, json={}), 401, "session-over")


async def test_signing_out_takes_the_cookies_away(house: House, alice: Person) -> None:
    async with house.client() as client:
        await login(client, alice.email)
        headers = {"X-Csrf-Token": client.cookies["medianest_csrf"]}
        answer = await client.post("/api/v1/auth/logout", headers=headers)
        assert answer.status_code == 204
        assert not client.cookies


# Being forgotten


async def test_who_was_forgotten_is_out_and_the_address_is_free(
    house: House, alice: Person
) -> None:
    await house.accounts.forget(alice.id, context("test"))
    async with house.client() as client:
        assert not await is_in(client, alice.token)
        problem(await refresh(client, alice.signed_in.refresh_token), 401, "session-over")
        answer = await client.post(LOGIN, json={"email": alice.email, "password": PASSWORD})
        problem(answer, 401, "wrong-credentials")
    assert isinstance(house.store.events[-2].event, AccountForgotten)
    again = await house.person(alice.email, Role.USER)
    assert again.id != alice.id
