"""Asking a read model's table: the one way to read its rows."""

from collections.abc import Sequence
from typing import Any, LiteralString, TypeVar

import msgspec
from psycopg_pool import AsyncConnectionPool

R = TypeVar("R", bound=msgspec.Struct)


def where(*conditions: tuple[LiteralString, Any]) -> tuple[LiteralString, list[Any]]:
    """A WHERE clause of the conditions that have a value, and the values; ``None`` is any."""
    wanted: list[LiteralString] = [
        condition for condition, value in conditions if value is not None
    ]
    values = [value for _, value in conditions if value is not None]
    return "WHERE " + " AND ".join(wanted) if wanted else "", values


async def select(
    pool: AsyncConnectionPool, row: type[R], query: LiteralString, values: Sequence[Any]
) -> list[R]:
    """What ``query`` finds, as structs. Raises StoreUnavailable."""
    # One JSON document is decoded into structs in one step, faster than row by row.
    async with pool.connection() as connection:
        cursor = await connection.execute(
            f"SELECT coalesce(json_agg(found), '[]')::text FROM ({query}) AS found", values
        )
        (document,) = await cursor.fetchone() or ("[]",)
    return msgspec.json.decode(document, type=list[row])
