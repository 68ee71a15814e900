from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.api_keys import ApiKeyMade, ApiKeyRevoked, Scope
from domain.kernel import Recorded
from projections.api_keys import ApiKeyQueries, ApiKeyRow, fold
from tests.events import NOON, metadata
from tests.projections.conftest import Projected

ANN = UUID(int=1)
BOB = UUID(int=2)
END = NOON + timedelta(days=90)


def made(account_id: UUID = ANN, name: str = "Home Assistant") -> ApiKeyMade:
    return ApiKeyMade(account_id, name, (Scope.WRITE, Scope.READ), "digest", END)


async def test_a_key_is_shown_as_it_was_made_without_its_digest(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    key_id = uuid4()
    position = await projected.put(key_id, made())
    assert await ApiKeyQueries(pool).of(ANN) == [
        ApiKeyRow(
            id=key_id,
            account_id=ANN,
            made_position=position,
            name="Home Assistant",
            scopes=(Scope.WRITE, Scope.READ),
            made_at=NOON,
            expires_at=END,
        )
    ]
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT to_json(api_keys_v1)::text FROM api_keys_v1")
        (row,) = await cursor.fetchone() or ("digest",)
    assert "digest" not in row


async def test_keys_are_ones_own_newest_first_without_the_revoked_ones(
    projected: Projected, pool: AsyncConnectionPool
) -> None:
    first, others, revoked, last = [uuid4() for _ in range(4)]
    for key_id, owner in ((first, ANN), (others, BOB), (revoked, ANN), (last, ANN)):
        await projected.put(key_id, made(owner))
    queries = ApiKeyQueries(pool)
    assert [row.id for row in await queries.of(ANN)] == [last, revoked, first]
    await projected.put(revoked, ApiKeyRevoked(ANN))
    assert [row.id for row in await queries.of(ANN)] == [last, first]
    assert [row.id for row in await queries.of(BOB)] == [others]
    assert await queries.of(uuid4()) == []


def test_an_event_without_a_key_is_not_folded() -> None:
    with pytest.raises(LookupError, match="ApiKeyRevoked without an API key"):
        fold(None, Recorded(1, uuid4(), 1, metadata(), ApiKeyRevoked(ANN)))
