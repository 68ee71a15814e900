"""The list of API keys: one row for each, its fold and its queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from domain.api_keys import ApiKeyMade, ApiKeyRevoked, Scope, api_keys
from domain.kernel import Recorded
from projections.kernel import Key, ReadModel
from projections.queries import select


class ApiKeyRow(msgspec.Struct, frozen=True):
    """An API key, without its digest; ``name`` is sealed.

    ``made_position`` orders the list, newest last.
    """

    id: UUID
    account_id: UUID
    made_position: int
    name: str
    scopes: tuple[Scope, ...]
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


def keys(recorded: Recorded[Any]) -> Iterable[Key]:
    """A key's row has its stream's id."""
    return ((recorded.stream_id,),)


def fold(row: ApiKeyRow | None, recorded: Recorded[Any]) -> ApiKeyRow | None:
    """The row after the event."""
    match recorded.event:
        case ApiKeyMade(account_id, name, scopes, expires_at=expires_at):
            return ApiKeyRow(
                recorded.stream_id,
                account_id,
                recorded.position,
                name,
                scopes,
                recorded.at,
                expires_at,
            )
        case ApiKeyRevoked() if row is not None:
            return msgspec.structs.replace(row, revoked_at=recorded.at)
        case event:
            raise LookupError(f"{type(event).__name__} without an API key")


API_KEYS: ReadModel[ApiKeyRow] = ReadModel(
    name="api_keys",
    version=1,
    row=ApiKeyRow,
    key=("id",),
    events=api_keys.events,
    keys=keys,
    fold=fold,
    indexes=("account_id, made_position",),
)


class ApiKeyQueries:
    """What can be asked of the list of API keys."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def of(self, account_id: UUID) -> Sequence[ApiKeyRow]:
        """The account's keys that were not revoked, newest first; among them those that expired."""
        return await select(
            self._pool,
            ApiKeyRow,
            "SELECT * FROM api_keys_v1 WHERE account_id = %s AND revoked_at IS NULL"
            " ORDER BY made_position DESC",
            [account_id],
        )
