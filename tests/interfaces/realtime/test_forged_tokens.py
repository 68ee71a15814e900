"""Tokens that were forged in every classic way, shown at the door of the WebSocket."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from domain.accounts import Role
from domain.api_keys import Scope
from infrastructure.security.access_tokens import LIFETIME
from infrastructure.security.keyring import SigningKey
from tests.fakes import now
from tests.interfaces.forgeries import Forger, Tokens, an_unused_setup_token, forgeries
from tests.interfaces.house import House, Person
from tests.interfaces.realtime.client import Client, connected, served

WAYS = ["header", "subprotocol", "message"]
NOT_VALID = (4401, "The token is not valid.")
A_MINUTE = timedelta(minutes=1)

FITS_A_SUBPROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2: a browser sends no other."""
LONGEST_LINE = 8_000
"""The server takes no header that is longer than 8 KiB."""


@pytest.fixture
async def port(house: House) -> AsyncGenerator[int]:
    async with served(house.app) as port:
        yield port


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


@asynccontextmanager
async def showing(port: int, token: str, way: str) -> AsyncGenerator[Client]:
    """A client that has shown the token."""
    headers = {"Authorization": f"Bearer {token}"} if way == "header" else {}
    offered = ["medianest.v1", f"bearer.{token}"] if way == "subprotocol" else []
    async with connected(port, headers=headers, subprotocols=offered) as client:
        if way == "message":
            await client.say(type="authenticate", token=token)
        yield client


async def is_let_in(port: int, token: str, way: str) -> bool:
    async with showing(port, token, way) as client:
        try:
            await client.say(type="subscribe", topics=["audit"])
            return (await client.hear())["type"] == "subscribed"
        except ConnectionClosed:
            assert await client.closed() == NOT_VALID
            return False


@pytest.mark.parametrize("way", WAYS)
async def test_the_forger_of_the_other_tests_knows_how(
    house: House, port: int, victim: Person, way: str
) -> None:
    assert await is_let_in(port, Forger(house, victim).token(), way)


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_forged_opens_no_socket(port: int, forged: Tokens, way: str) -> None:
    shown = {name: token for name, token in forged.items() if _can_come(token, way)}
    found: dict[str, tuple[int, str]] = {}
    for name, token in shown.items():
        async with showing(port, token, way) as client:
            found[name] = await client.closed()
    assert found == dict.fromkeys(shown, NOT_VALID)
    assert len(found) > 100


def _can_come(token: str, way: str) -> bool:
    """Whether the client and the server let it come as far as to us."""
    match way:
        case "header":
            return len(token) < LONGEST_LINE and max(token) <= "\xff"
        case "subprotocol":
            return len(token) < LONGEST_LINE and bool(FITS_A_SUBPROTOCOL.fullmatch(token))
        case _:
            return True


async def test_what_is_no_key_opens_no_socket(
    house: House, port: int, victim: Person, setup_token: str
) -> None:
    key = (await house.api_key(victim, *Scope))["X-Api-Key"]
    refresh = victim.signed_in.refresh_token
    for shown in (
        victim.token,
        refresh,
        f"mnk_{refresh.removeprefix('mnr_')}",
        setup_token,
        f"mnk_{setup_token.removeprefix('mns_')}",
        key[:-1],
        f"{key}A",
        f"{key[:30]}{key[:1] * 38}",
        key.upper(),
    ):
        async with connected(port, headers={"X-Api-Key": shown}) as client:
            assert await client.closed() == NOT_VALID
    async with connected(port, headers={"X-Api-Key": key}) as client:
        await client.subscribe("audit")


async def test_what_is_wrong_in_a_header_is_made_good_by_nothing_else(
    port: int, victim: Person
) -> None:
    offered = ["medianest.v1", f"bearer.{victim.token}"]
    for wrong in ({"Authorization": "Bearer guess"}, {"X-Api-Key": "guess"}):
        async with connected(port, headers=wrong, subprotocols=offered) as client:
            assert await client.closed() == NOT_VALID


# Keys that sign


@pytest.mark.parametrize("way", WAYS)
async def test_a_key_that_was_retired_counts_for_the_life_of_a_token_and_no_longer(
    house: House, port: int, victim: Person, way: str
) -> None:
    old = house.signing_keys.current
    new = SigningKey.random(now() - A_MINUTE)
    for retired_at, let_in in (
        (now() - LIFETIME + A_MINUTE, True),
        (now() - LIFETIME - timedelta(seconds=1), False),
    ):
        house.signing_keys.replace([msgspec.structs.replace(old, retired_at=retired_at), new])
        assert await is_let_in(port, victim.token, way) is let_in
    house.signing_keys.replace([new])
    assert not await is_let_in(port, victim.token, way)
    assert await is_let_in(port, house.token_for(victim), way)
