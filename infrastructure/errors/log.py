"""The error log in PostgreSQL: one row for each fingerprint, however often it came."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports.errors import LoggedError

MOST_FINGERPRINTS = 10_000
"""Rows that are kept; beyond them those go that have not come for the longest time."""

_TABLE = """
CREATE TABLE IF NOT EXISTS error_log (
    fingerprint text PRIMARY KEY,
    kind text NOT NULL,
    place text NOT NULL,
    caught_in text NOT NULL,
    message text NOT NULL,
    frames jsonb NOT NULL,
    critical boolean NOT NULL,
    process text NOT NULL,
    count bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    first_correlation_id text,
    last_correlation_id text
);
CREATE INDEX IF NOT EXISTS error_log_newest ON error_log (last_at DESC, fingerprint DESC)
"""

# All processes take the rows in the same order, so that none waits for another in a circle.
_ADD = """
INSERT INTO error_log AS known
SELECT noted.* FROM json_populate_recordset(NULL::error_log, %s::json) AS noted
ORDER BY noted.fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET
    caught_in = excluded.caught_in,
    message = excluded.message,
    frames = excluded.frames,
    critical = excluded.critical,
    process = excluded.process,
    count = known.count + excluded.count,
    first_at = least(known.first_at, excluded.first_at),
    last_at = greatest(known.last_at, excluded.last_at),
    last_correlation_id = excluded.last_correlation_id
RETURNING xmax = 0  -- a row that is new
"""

_TRIM = """
DELETE FROM error_log WHERE fingerprint IN (
    SELECT fingerprint FROM error_log ORDER BY last_at DESC, fingerprint DESC OFFSET %s
)
"""

_PAGE = """
SELECT coalesce(json_agg(found), '[]')::text FROM (
    SELECT * FROM error_log
    WHERE %(before)s::timestamptz IS NULL
       OR (last_at, fingerprint) < (%(before)s, %(fingerprint)s)
    ORDER BY last_at DESC, fingerprint DESC LIMIT %(limit)s
) AS found
"""


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_TABLE, prepare=False)


class PostgresErrorLog:
    """``application.ports.ErrorLog``, and how it is written."""

    def __init__(self, pool: AsyncConnectionPool, *, limit: int = MOST_FINGERPRINTS) -> None:
        self._pool = pool
        self._limit = limit

    async def add(self, noted: Iterable[LoggedError]) -> None:
        """Count ``noted`` (each fingerprint once) into the rows there are. Raises StoreUnavailable.

        After StoreUnavailable they may still have been counted: to add them again is then right to
        within one batch, which is exact enough for errors.
        """
        document = msgspec.json.encode(list(noted)).decode()
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_ADD, (document,))
            rows: list[tuple[Any, ...]] = await cursor.fetchall()
            if (True,) in rows:
                await connection.execute(_TRIM, (self._limit,))

    async def page(
        self, *, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[LoggedError]:
        """See ``application.ports.ErrorLog``."""
        at, fingerprint = before or (None, None)
        values = {"before": at, "fingerprint": fingerprint, "limit": limit}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_PAGE, values)
            (document,) = await cursor.fetchone() or ("[]",)
        return msgspec.json.decode(document, type=list[LoggedError])
