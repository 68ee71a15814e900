"""Idempotency keys in PostgreSQL: who holds them, and what was answered."""

import asyncio
from datetime import timedelta
from hashlib import blake2b
from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports import Forgotten, PersonalData, Pseudonym
from application.ports.idempotency import Answered, Claimed, IdempotencyKeyReused

POLL_SECONDS = 0.05

# A key and a request stand here by their pseudonyms only: a request may hold a password, which a
# plain hash would let anybody who sees the table try out.
_TABLE = """
CREATE TABLE IF NOT EXISTS idempotency_keys (
    account_id uuid,
    key uuid,
    request uuid NOT NULL,
    command_id uuid NOT NULL DEFAULT gen_random_uuid(),
    fence bigint NOT NULL DEFAULT 1,
    held_until timestamptz NOT NULL,
    answer text,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);
CREATE INDEX IF NOT EXISTS idempotency_keys_made_at ON idempotency_keys (made_at)
"""

_CLAIM = """
INSERT INTO idempotency_keys AS known (account_id, key, request, held_until)
VALUES (%s, %s, %s, now() + %s)
ON CONFLICT (account_id, key) DO UPDATE
SET fence = known.fence + 1, held_until = excluded.held_until
WHERE known.answer IS NULL AND known.held_until <= now() AND known.request = excluded.request
RETURNING command_id, fence
"""

# With every claim, so that more goes than comes.
_SWEEP = """
DELETE FROM idempotency_keys WHERE (account_id, key) IN (
    SELECT account_id, key FROM idempotency_keys WHERE made_at < now() - interval '24 hours'
    ORDER BY made_at LIMIT 10 FOR UPDATE SKIP LOCKED
)
"""


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_TABLE, prepare=False)


class PostgresIdempotencyKeys:
    """``application.ports.IdempotencyKeys``. ``hold``: how long a silent holder is waited for.

    Commands are done long before that. One that is not is taken over too early, which does no harm:
    both have the same command id.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        personal_data: PersonalData,
        pseudonym: Pseudonym,
        *,
        hold: timedelta = timedelta(seconds=10),
    ) -> None:
        self._pool = pool
        self._personal_data = personal_data
        self._pseudonym = pseudonym
        self._hold = hold

    async def claim(self, account_id: UUID, key: str, request: bytes) -> Claimed | Answered:
        """The key, or what was answered; see the port."""
        stored_key = self._key(key)
        fingerprint = self._pseudonym("idempotent request", blake2b(request).hexdigest())
        while True:
            async with self._pool.connection() as connection:
                await connection.execute(_SWEEP)
                values = (account_id, stored_key, fingerprint, self._hold)
                claimed = await (await connection.execute(_CLAIM, values)).fetchone()
                if claimed is not None:
                    return Claimed(account_id, key, *claimed)
                cursor = await connection.execute(
                    "SELECT request, answer FROM idempotency_keys"
                    " WHERE account_id = %s AND key = %s",
                    (account_id, stored_key),
                )
                known = await cursor.fetchone()
            if known is None:  # it was freed in between
                continue
            request_of_key, answer = known
            if request_of_key != fingerprint:
                raise IdempotencyKeyReused
            if answer is not None:
                return Answered(await self._reveal(account_id, stored_key, answer))
            await asyncio.sleep(POLL_SECONDS)

    async def keep(self, claimed: Claimed, answer: str) -> None:
        """Answer like this from now on; see the port. Raises Forgotten too."""
        field = _field(self._key(claimed.key))
        sealed = await self._personal_data.seal(claimed.account_id, field, answer)
        await self._change("UPDATE idempotency_keys SET answer = %s", claimed, sealed)

    async def free(self, claimed: Claimed) -> None:
        """Nothing was done; see the port."""
        await self._change("DELETE FROM idempotency_keys", claimed)

    async def abandon(self, claimed: Claimed) -> None:
        """Whether anything was done is not known; see the port."""
        await self._change("UPDATE idempotency_keys SET held_until = now()", claimed)

    async def _reveal(self, account_id: UUID, stored_key: UUID, sealed: str) -> str:
        answer = await self._personal_data.reveal(account_id, _field(stored_key), sealed)
        if answer is None:
            raise Forgotten
        return answer

    async def _change(self, statement: LiteralString, claimed: Claimed, *values: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                statement + " WHERE account_id = %s AND key = %s AND fence = %s",
                (*values, claimed.account_id, self._key(claimed.key), claimed.fence),
            )

    def _key(self, key: str) -> UUID:
        return self._pseudonym("idempotency key", key)


def _field(stored_key: UUID) -> str:
    """Bound to the sealed answer, so that answers cannot change places."""
    return f"answer to {stored_key}"
