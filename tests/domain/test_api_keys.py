from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.api_keys import (
    LONGEST_LIFE,
    ApiKey,
    ApiKeyMade,
    ApiKeyRevoked,
    MakeApiKey,
    RevokeApiKey,
    Scope,
    UnknownApiKey,
    WrongExpiry,
    api_keys,
)
from tests.given import given

ANN = UUID(int=1)
BOB = UUID(int=2)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SCOPES = (Scope.READ, Scope.WRITE)


def make(expires_at: datetime) -> MakeApiKey:
    return MakeApiKey(ANN, "Home Assistant", SCOPES, "digest", NOON, expires_at)


def made(expires_at: datetime = NOON + LONGEST_LIFE) -> ApiKeyMade:
    return ApiKeyMade(ANN, "Home Assistant", SCOPES, "digest", expires_at)


@pytest.mark.parametrize("expires_at", [NOON + TICK, NOON + LONGEST_LIFE])
def test_a_key_is_made(expires_at: datetime) -> None:
    given(api_keys).when(make(expires_at)).then(made(expires_at))


@pytest.mark.parametrize(
    "expires_at", [NOON - TICK, NOON, NOON + LONGEST_LIFE + TICK], ids=["past", "now", "too late"]
)
def test_a_key_expires_in_the_future_and_within_a_year(expires_at: datetime) -> None:
    given(api_keys).when(make(expires_at)).then_refused(WrongExpiry)


def test_a_key_is_made_once() -> None:
    given(api_keys, made()).when(make(NOON + TICK)).then_nothing()


def test_its_owner_takes_a_key_back_once() -> None:
    given(api_keys, made()).when(RevokeApiKey(ANN)).then(ApiKeyRevoked(ANN))
    given(api_keys, made(), ApiKeyRevoked(ANN)).when(RevokeApiKey(ANN)).then_nothing()


def test_nobody_else_learns_that_there_is_such_a_key() -> None:
    given(api_keys, made()).when(RevokeApiKey(BOB)).then_refused(UnknownApiKey)
    given(api_keys).when(RevokeApiKey(ANN)).then_refused(UnknownApiKey)


def test_a_revoked_key_is_known_as_revoked() -> None:
    assert api_keys.fold([made(), ApiKeyRevoked(ANN)]) == ApiKey(
        ANN, SCOPES, "digest", NOON + LONGEST_LIFE, revoked=True
    )
