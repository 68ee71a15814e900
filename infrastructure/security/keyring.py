"""The keys that sign access tokens: random, kept wrapped in PostgreSQL, shared by all processes.

A new key is published before it signs: every process reads the table more often than that takes, so
none is ever shown a token by a key it has not heard of. Clocks may differ by the rest of the time.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from operator import attrgetter

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports import Clock
from infrastructure.loops import keep_running
from infrastructure.security.aead import KEY_BYTES, Aead, NotAuthentic, derive_key
from infrastructure.settings import SettingsError

PUBLISHED_AHEAD = timedelta(seconds=30)
RELOAD_SECONDS = 10.0

_TABLE = """
CREATE TABLE IF NOT EXISTS signing_keys (
    kid text PRIMARY KEY,
    wrapped bytea NOT NULL,
    made_at timestamptz NOT NULL,
    retired_at timestamptz
)
"""


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_TABLE, prepare=False)


class WrongSecretKey(SettingsError):
    """The database belongs to another secret key."""

    def __init__(self, kid: str) -> None:
        super().__init__(
            f"MEDIANEST_SECRET_KEY does not open signing key {kid} of this database: it is not the"
            " secret that the database was made with, or the key was altered. Set the former secret"
            " again; nothing was changed."
        )


class SigningKey(msgspec.Struct, frozen=True):
    """A key of 32 random bytes. From ``retired_at`` on another one signs."""

    kid: str
    secret: bytes
    made_at: datetime
    retired_at: datetime | None = None

    @classmethod
    def random(cls, made_at: datetime) -> "SigningKey":
        """A new key."""
        return cls(secrets.token_urlsafe(8), secrets.token_bytes(KEY_BYTES), made_at)

    def __repr__(self) -> str:  # which ends in logs and error reports
        return f"SigningKey({self.kid!r})"


class SigningKeys:
    """The keys a process knows."""

    def __init__(self, keys: Iterable[SigningKey], clock: Clock) -> None:
        self._clock = clock
        self.replace(keys)

    def replace(self, keys: Iterable[SigningKey]) -> None:
        """Know these keys, and no others."""
        self._keys = {key.kid: key for key in sorted(keys, key=attrgetter("made_at", "kid"))}

    @property
    def current(self) -> SigningKey:
        """The key that signs now: the newest that everybody knows, or else the oldest."""
        keys = list(self._keys.values())
        known_since = self._clock() - PUBLISHED_AHEAD
        return next((key for key in reversed(keys) if key.made_at <= known_since), keys[0])

    def find(self, kid: str) -> SigningKey | None:
        """The key with this id, current or retired."""
        return self._keys.get(kid)


class Keyring(SigningKeys):
    """The keys in the table, as of at most ``RELOAD_SECONDS`` ago; see ``open_keyring``."""

    def __init__(self, pool: AsyncConnectionPool, secret: str, clock: Clock) -> None:
        super().__init__((), clock)
        self._pool = pool
        self._wrapping = Aead(derive_key(secret, "signing keys"))

    async def load(self) -> None:
        """Read the table, and make the first key if there is none. Raises WrongSecretKey."""
        async with self._pool.connection() as connection:
            keys = await self._read(connection)
            if not keys:
                async with _alone(connection):
                    keys = await self._read(connection) or [await self._make(connection)]
        self.replace(keys)

    async def rotate(self) -> SigningKey:
        """Let a new key sign in a moment, and retire the others. Raises WrongSecretKey."""
        async with self._pool.connection() as connection, _alone(connection):
            await self._read(connection)  # which refuses the wrong secret before anything changes
            key = await self._make(connection)
            await connection.execute(
                "UPDATE signing_keys SET retired_at = %s WHERE retired_at IS NULL AND kid <> %s",
                (key.made_at + PUBLISHED_AHEAD, key.kid),
            )
        await self.load()
        return key

    async def follow(self) -> None:
        """Read the table again and again, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            await self.load()

    async def _make(self, connection: AsyncConnection) -> SigningKey:
        key = SigningKey.random(self._clock())
        await connection.execute(
            "INSERT INTO signing_keys (kid, wrapped, made_at) VALUES (%s, %s, %s)",
            (key.kid, self._wrapping.seal(key.secret, key.kid.encode()), key.made_at),
        )
        return key

    async def _read(self, connection: AsyncConnection) -> list[SigningKey]:
        cursor = await connection.execute(
            "SELECT kid, wrapped, made_at, retired_at FROM signing_keys"
        )
        return [
            SigningKey(kid, self._unwrapped(kid, wrapped), made_at, retired_at)
            for kid, wrapped, made_at, retired_at in await cursor.fetchall()
        ]

    def _unwrapped(self, kid: str, wrapped: bytes) -> bytes:
        try:
            return self._wrapping.open(wrapped, kid.encode())
        except NotAuthentic:
            raise WrongSecretKey(kid) from None


@asynccontextmanager
async def open_keyring(
    pool: AsyncConnectionPool, secret: str, clock: Clock
) -> AsyncGenerator[Keyring]:
    """The keyring, kept up to date for the length of the context. Raises WrongSecretKey."""
    keyring = Keyring(pool, secret, clock)
    await keyring.load()
    following = asyncio.create_task(keep_running("signing keys", keyring.follow))
    try:
        yield keyring
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


@asynccontextmanager
async def _alone(connection: AsyncConnection) -> AsyncGenerator[None]:
    """A transaction beside which no other process makes a key."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
        yield
