"""Tokens that were forged in every classic way, shown at the doors of HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from domain.accounts import Role
from domain.api_keys import Scope
from domain.installation import INSTALLATION
from infrastructure.security.access_tokens import LIFETIME
from infrastructure.security.keyring import SigningKey
from infrastructure.security.opaque_tokens import OpaqueTokenMint
from interfaces.http.entrance import csrf_token
from tests.fakes import now
from tests.interfaces.callers import Headers
from tests.interfaces.forgeries import Forger, Tokens, an_unused_setup_token, forgeries
from tests.interfaces.house import PASSWORD, SECRET, House, Person
from tests.interfaces.problems import problem

ME = "/api/v1/auth/me"
REFRESH = "/api/v1/auth/refresh"
SET_UP = "/api/v1/auth/setup"
ROUTES = [("GET", ME), ("GET", "/api/v1/admin/users"), ("POST", "/api/v1/auth/logout")]
A_MINUTE = timedelta(minutes=1)

Show = Callable[[str, str], Headers]


def as_bearer(token: str, csrf: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def as_cookie(token: str, csrf: str) -> Headers:
    return {"Cookie": f"medianest_access={token}", "X-Csrf-Token": csrf}


def as_quoted_cookie(token: str, csrf: str) -> Headers:
    return as_cookie(f'"{token}"', csrf)


WAYS = [as_bearer, as_cookie, as_quoted_cookie]


@pytest.fixture
async def setup_token(house: House) -> str:
    return await an_unused_setup_token(house)


@pytest.fixture
async def victim(house: House, setup_token: str) -> Person:
    """An admin, whom it is worth to be."""
    return await house.person("admin@example.org", Role.ADMIN)


@pytest.fixture
async def forged(house: House, victim: Person, bob: Person, setup_token: str) -> Tokens:
    return await forgeries(house, victim, bob, setup_token)


@pytest.fixture
def csrf(house: House, victim: Person) -> str:
    """The right one, so that nothing but the token can be the reason of a refusal."""
    return csrf_token(house.pseudonym, victim.signed_in.session_id)


async def answer_to(
    house: House, headers: Headers, method: str = "GET", path: str = ME, body: Any = None
) -> httpx.Response:
    """The answer to headers that go out as they are, ASCII or not."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    async with house.client() as client:
        return await client.request(method, path, headers=raw, json=body)


def said(answer: httpx.Response) -> tuple[int, str]:
    """How it was answered: the status, and the type of the problem if it is one."""
    if answer.is_success:
        return answer.status_code, ""
    return answer.status_code, problem(answer, answer.status_code, answer.json()["type"])["type"]


# Access tokens


@pytest.mark.parametrize("show", WAYS)
async def test_the_forger_of_the_other_tests_knows_how(
    house: House, victim: Person, csrf: str, show: Show
) -> None:
    token = Forger(house, victim).token()
    for method, path in ROUTES:
        assert (await answer_to(house, show(token, csrf), method, path)).is_success


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("show", WAYS)
async def test_what_was_forged_signs_nobody_in(
    house: House, forged: Tokens, csrf: str, show: Show, method: str, path: str
) -> None:
    before = list(house.store.events)
    answers = {
        name: await answer_to(house, show(token, csrf), method, path)
        for name, token in forged.items()
    }
    assert {name: said(answer) for name, answer in answers.items()} == dict.fromkeys(
        forged, (401, "unauthenticated")
    )
    for name, answer in answers.items():
        assert answer.headers["www-authenticate"] == 'Bearer realm="medianest"'
        assert forged[name] not in answer.text
    assert house.store.events == before
    assert house.errors.noted == []


async def test_what_was_forged_takes_the_place_of_nothing_that_is_right(
    house: House, victim: Person, forged: Tokens, csrf: str
) -> None:
    for token in forged.values():
        headers = as_bearer(token, csrf) | as_cookie(victim.token, csrf)
        assert said(await answer_to(house, headers)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "{token}"},
        {"Authorization": "Basic {token}"},
        {"Authorization": "Token {token}"},
        {"Authorization": "Bearer: {token}"},
        {"Authorization": "Bearer,{token}"},
        {"X-Authorization": "Bearer {token}"},
        {"X-Access-Token": "{token}"},
        {"X-Api-Key": "{token}"},
        {"X-Forwarded-Access-Token": "{token}"},
        {"Cookie": "access={token}"},
        {"Cookie": "Medianest_Access={token}"},
        {"Cookie": "__Secure-medianest_access={token}"},
        {"Cookie": "medianest_refresh={token}"},
        {"Sec-WebSocket-Protocol": "medianest.v1, bearer.{token}"},
    ],
    ids=str,
)
async def test_a_right_token_counts_in_no_other_place(
    house: House, victim: Person, headers: Headers
) -> None:
    shown = {name: value.format(token=victim.token) for name, value in headers.items()}
    assert said(await answer_to(house, shown)) == (401, "unauthenticated")


@pytest.mark.parametrize("name", ["access_token", "token", "apiKey"])
async def test_a_right_token_does_not_count_in_the_address(
    house: House, victim: Person, name: str
) -> None:
    answer = await answer_to(house, {}, path=f"{ME}?{name}={victim.token}")
    assert said(answer) == (401, "unauthenticated")


# Keys that sign


@pytest.mark.parametrize("show", WAYS)
async def test_a_key_that_was_retired_counts_for_the_life_of_a_token_and_no_longer(
    house: House, victim: Person, csrf: str, show: Show
) -> None:
    old = house.signing_keys.current
    long_lived = Forger(house, victim).token(exp=int((now() + timedelta(days=900)).timestamp()))
    new = SigningKey.random(now() - A_MINUTE)

    async def statuses() -> list[int]:
        tokens = (victim.token, long_lived, new_token)
        return [(await answer_to(house, show(token, csrf))).status_code for token in tokens]

    house.signing_keys.replace([new])
    new_token = house.token_for(victim)
    for retired_at, status in (
        (now() - LIFETIME + A_MINUTE, 200),
        (now() - LIFETIME - timedelta(seconds=1), 401),
    ):
        retired = msgspec.structs.replace(old, retired_at=retired_at)
        house.signing_keys.replace([retired, new])
        assert await statuses() == [status, status, 200]
    house.signing_keys.replace([new])
    assert await statuses() == [401, 401, 200]


# The other tokens


async def test_a_refresh_token_is_used_for_nothing_but_itself(
    house: House, victim: Person, bob: Person, setup_token: str
) -> None:
    right = victim.signed_in.refresh_token
    key = (await house.api_key(victim, *Scope))["X-Api-Key"]
    wrong = {
        "an access token": victim.token,
        "a forged access token": Forger(house, victim).token({"typ": "rt+jwt"}),
        "an API key": key,
        "an API key, renamed": f"mnr_{key.removeprefix('mnk_')}",
        "a set-up token": setup_token,
        "a set-up token, renamed": f"mnr_{setup_token.removeprefix('mns_')}",
        "a guess": house.refresh_tokens.make(victim.signed_in.session_id).token,
        "the secret of another": _crossed(right, bob.signed_in.refresh_token),
        "its successor": _successor(house, right),
        "a letter behind": f"{right}A",
        "a letter less": right[:-1],
        "no ASCII": f"{right[:-1]}\N{LATIN SMALL LETTER E WITH ACUTE}",
    }
    before = list(house.store.events)
    for name, token in wrong.items():
        answer = await answer_to(house, {}, "POST", REFRESH, {"refreshToken": token})
        assert (name, *said(answer)) == (name, 401, "session-over")
        named = house.sign_in.session_of(token) or victim.signed_in.session_id
        headers = {
            "Cookie": f"medianest_refresh={token}",
            "X-Csrf-Token": csrf_token(house.pseudonym, named),
        }
        answer = await answer_to(house, headers, "POST", REFRESH, {})
        assert (name, *said(answer)) == (name, 401, "session-over")
    assert house.store.events == before  # nobody was signed out by a guess
    answer = await answer_to(house, {}, "POST", REFRESH, {"refreshToken": right})
    assert answer.status_code == 200


async def test_an_api_key_is_nothing_but_itself(
    house: House, victim: Person, bob: Person, setup_token: str
) -> None:
    right = (await house.api_key(victim, *Scope))["X-Api-Key"]
    other = (await house.api_key(bob, Scope.READ))["X-Api-Key"]
    refresh = victim.signed_in.refresh_token
    key_id = OpaqueTokenMint(SECRET, "mnk").read(right)
    assert key_id is not None
    assert (await answer_to(house, {"X-Api-Key": right})).status_code == 200
    wrong = {
        "an access token": victim.token,
        "a refresh token": refresh,
        "a refresh token, renamed": f"mnk_{refresh.removeprefix('mnr_')}",
        "a set-up token": setup_token,
        "a set-up token, renamed": f"mnk_{setup_token.removeprefix('mns_')}",
        "a guess": OpaqueTokenMint(SECRET, "mnk").make(key_id.id).token,
        "the secret of another": _crossed(right, other),
        "its digest": key_id.digest,
        "its id": str(key_id.id),
        "in capitals": right.upper(),
        "a letter behind": f"{right}A",
        "a letter less": right[:-1],
        "padding": f"{right}==",
        "no ASCII": f"{right[:-1]}\N{LATIN SMALL LETTER E WITH ACUTE}",
        "nothing": "",
    }
    for name, key in wrong.items():
        answer = await answer_to(house, {"X-Api-Key": key})
        assert (name, *said(answer)) == (name, 401, "unauthenticated")
    assert house.errors.noted == []


async def test_no_other_token_makes_an_admin(house: House, setup_token: str, alice: Person) -> None:
    key = (await house.api_key(alice, *Scope))["X-Api-Key"]
    mint = OpaqueTokenMint(SECRET, "mns")
    form = {"email": "boss@example.org", "password": PASSWORD}
    before = list(house.store.events)
    for token in (
        alice.token,
        alice.signed_in.refresh_token,
        key,
        f"mns_{key.removeprefix('mnk_')}",
        mint.make(INSTALLATION).token,
        mint.make(alice.id).token,
        setup_token[:-1],
    ):
        answer = await answer_to(house, {}, "POST", SET_UP, form | {"token": token})
        assert said(answer) == (401, "wrong-setup-token")
    assert house.store.events == before
    answer = await answer_to(house, {}, "POST", SET_UP, form | {"token": setup_token})
    assert answer.status_code == 201


def _crossed(token: str, other: str) -> str:
    """The id of one token, which takes 22 letters, with the secret of the other."""
    place = len("mnk_") + 22
    return token[:place] + other[place:]


def _successor(house: House, token: str) -> str:
    shown = house.refresh_tokens.read(token)
    assert shown is not None
    return house.refresh_tokens.successor(shown).token
