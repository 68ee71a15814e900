# PyJWT names key types of a package that HS256 does not need.
# pyright: reportUnknownMemberType=false
import asyncio
import json
import warnings
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest

from application.ports import HasherBusy
from domain.accounts import Role
from infrastructure.security import Argon2idHasher, JwtAccessTokens, derive_key
from tests.events import NOON

SECRET = "a secret of at least 32 characters"
ANN = UUID(int=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def forge(key: bytes | str, algorithm: str = "HS256", typ: str = "at+jwt", **claims: Any) -> str:
    right = {"sub": str(ANN), "role": "admin", "aud": "medianest", "exp": NOON + timedelta(hours=1)}
    chosen = {name: value for name, value in {**right, **claims}.items() if value is not None}
    with warnings.catch_warnings(action="ignore"):  # of keys that are too short to be right
        return jwt.encode(chosen, key, algorithm, headers={"typ": typ})


def unsigned() -> str:
    def part(document: dict[str, Any]) -> str:
        return urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    claims = {"sub": str(ANN), "role": "admin", "aud": "medianest", "exp": 9999999999}
    return f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims)}."


KEY = derive_key(SECRET, "access token")


def test_a_token_reads_as_who_it_was_issued_to_until_it_expires() -> None:
    clock = Clock()
    tokens = JwtAccessTokens(SECRET, clock, lifetime=timedelta(minutes=5))
    issued = tokens.issue(ANN, Role.USER)
    caller = tokens.read(issued.token)
    assert issued.expires_in == timedelta(minutes=5)
    assert caller is not None
    assert (caller.account_id, caller.role) == (ANN, Role.USER)
    assert caller.expires_at == NOON + timedelta(minutes=5)
    clock.now += timedelta(minutes=5)
    assert tokens.read(issued.token) is None


def test_the_forger_of_the_other_tests_knows_how() -> None:
    assert JwtAccessTokens(SECRET, Clock()).read(forge(KEY)) is not None


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("not.a.token", id="garbage"),
        pytest.param(unsigned(), id="algorithm none"),
        pytest.param(forge(KEY, "HS512"), id="another algorithm"),
        pytest.param(forge(SECRET), id="the secret itself as the key"),
        pytest.param(forge(b"k" * 32), id="another key"),
        pytest.param(forge(KEY, aud="other"), id="another audience"),
        pytest.param(forge(KEY, aud=None), id="no audience"),
        pytest.param(forge(KEY, typ="rt+jwt"), id="another kind of token"),
        pytest.param(forge(KEY, exp=NOON - timedelta(seconds=1)), id="expired"),
        pytest.param(forge(KEY, exp=None), id="without an end"),
        pytest.param(forge(KEY, exp=10**20), id="an end beyond all time"),
        pytest.param(forge(KEY, role="owner"), id="a role that is none"),
        pytest.param(forge(KEY, role=None), id="without a role"),
        pytest.param(forge(KEY, sub="ann"), id="an id that is none"),
        pytest.param(forge(KEY)[:-2], id="a cut signature"),
    ],
)
def test_what_is_not_our_token_is_nobody_s(token: str) -> None:
    assert JwtAccessTokens(SECRET, Clock()).read(token) is None


async def test_passwords_are_hashed_and_verified() -> None:
    hasher = Argon2idHasher()
    hashed = await hasher.hash("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify("correct horse", hashed)
    assert not await hasher.verify("wrong horse", hashed)
    assert not await hasher.verify("correct horse", None)
    assert not await hasher.verify("correct horse", "not a hash")
    hasher.close()


async def test_a_crowd_is_told_to_come_again() -> None:
    hasher = Argon2idHasher()
    crowd = [asyncio.create_task(hasher.verify("password", None)) for _ in range(80)]
    results = await asyncio.gather(*crowd, return_exceptions=True)
    busy = [result for result in results if isinstance(result, HasherBusy)]
    assert len(busy) == 16
    assert busy[0].retry_after == timedelta(seconds=2)
    assert results.count(False) == 64
    hasher.close()
