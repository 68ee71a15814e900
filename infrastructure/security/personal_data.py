"""Personal data, sealed with a key for each person, and names for what must not be named."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.ports import Forgotten
from infrastructure.security import base64url
from infrastructure.security.aead import KEY_BYTES, Aead, NotAuthentic, derive_key

log = structlog.get_logger()

REMEMBERED_KEYS = 10_000

# The row of a destroyed key stays: it keeps a late seal from making another one.
_TABLE = """
CREATE TABLE IF NOT EXISTS personal_keys (
    owner uuid PRIMARY KEY,
    wrapped bytea,
    destroyed_at timestamptz,
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
)
"""

_DESTROY = """
INSERT INTO personal_keys (owner, destroyed_at) VALUES (%s, now())
ON CONFLICT (owner) DO UPDATE SET wrapped = NULL, destroyed_at = now()
WHERE personal_keys.destroyed_at IS NULL
"""


async def create_tables(connection: AsyncConnection) -> None:
    """Make what is missing."""
    await connection.execute(_TABLE, prepare=False)


class UnreadablePersonalData(Exception):
    """The database was damaged or tampered with; the message is for whoever runs it."""

    def __init__(self, owner: UUID, field: str, reason: str) -> None:
        super().__init__(f"The {field} of {owner} cannot be read: {reason}.")


class Vault:
    """``application.ports.PersonalData``, with AES-256-GCM and a random key for each owner.

    A sealed text is base64url of ``Aead``'s bytes, bound to its owner and field. After ``destroy``
    another process can still read for as long as it has ``remembered`` the key, unless it is told
    to ``drop`` it. PostgreSQL keeps remains of a destroyed key until it next vacuums the table and
    recycles its log, and a backup for as long as the backup is kept.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        secret: str,
        *,
        remembered: timedelta = timedelta(minutes=1),
    ) -> None:
        self._pool = pool
        self._wrapping = Aead(derive_key(secret, "personal keys"))
        self._remembered = remembered.total_seconds()
        self._keys: OrderedDict[UUID, tuple[float, Aead | None]] = OrderedDict()
        self._drops = 0

    async def seal(self, owner: UUID, field: str, text: str) -> str:
        """``text``, sealed; see the port. Raises Forgotten or UnreadablePersonalData."""
        keys = await self._find((owner,))
        if owner not in keys:
            keys = await self._make(owner)
        key = _key(keys, owner, field)
        if key is None:
            raise Forgotten
        return base64url.encode(key.seal(text.encode(), _place(owner, field)))

    async def reveal(self, owner: UUID, field: str, sealed: str) -> str | None:
        """What was sealed; see the port. Raises UnreadablePersonalData."""
        return _opened(await self._find((owner,)), owner, field, sealed)

    async def reveal_all(self, sealed: Iterable[tuple[UUID, str, str]]) -> Sequence[str | None]:
        """What was sealed, in the same order, with at most one query; see the port.

        What is unreadable is ``None`` too, and logged: one damaged row must not hide a whole list.
        """
        items = list(sealed)
        keys = await self._find({owner for owner, _, _ in items})
        return [_opened_or_told(keys, *item) for item in items]

    async def destroy(self, owner: UUID) -> None:
        """Destroy the owner's key, even before it was made; see the port."""
        async with self._pool.connection() as connection:
            await connection.execute(_DESTROY, (owner,))
        self.drop(owner)

    def drop(self, owner: UUID) -> None:
        """Remember this key no longer: it was destroyed, perhaps by another process."""
        self._drops += 1
        self._keys.pop(owner, None)

    async def _find(self, owners: Collection[UUID]) -> Mapping[UUID, Aead | None]:
        """Their keys: ``None`` for one that was destroyed, and without those that cannot be had."""
        now = monotonic()
        found: dict[UUID, Aead | None] = {}
        for owner in owners:
            until, key = self._keys.get(owner, (now, None))
            if now < until:
                found[owner] = key
        missing = [owner for owner in owners if owner not in found]
        return found | await self._load(missing) if missing else found

    async def _make(self, owner: UUID) -> Mapping[UUID, Aead | None]:
        wrapped = self._wrapping.seal(secrets.token_bytes(KEY_BYTES), owner.bytes)
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO personal_keys (owner, wrapped) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (owner, wrapped),
            )
        return await self._load([owner])  # which may be the one that another process made

    async def _load(self, owners: list[UUID]) -> dict[UUID, Aead | None]:
        drops = self._drops
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT owner, wrapped FROM personal_keys WHERE owner = ANY(%s)", (owners,)
            )
            rows: list[tuple[UUID, bytes | None]] = await cursor.fetchall()
        keys: dict[UUID, Aead | None] = {}
        for owner, wrapped in rows:
            try:
                keys[owner] = self._unwrapped(owner, wrapped)
            except NotAuthentic:
                continue
        if drops == self._drops:  # else one of these may have been destroyed while we read
            self._remember(keys)
        return keys

    def _unwrapped(self, owner: UUID, wrapped: bytes | None) -> Aead | None:
        return None if wrapped is None else Aead(self._wrapping.open(wrapped, owner.bytes))

    def _remember(self, keys: Mapping[UUID, Aead | None]) -> None:
        until = monotonic() + self._remembered
        for owner, key in keys.items():
            self._keys[owner] = (until, key)
            self._keys.move_to_end(owner)
        while len(self._keys) > REMEMBERED_KEYS:
            self._keys.popitem(last=False)


class KeyedPseudonym:
    """``application.ports.Pseudonym``: HMAC-SHA256 with a key for each kind, cut to a UUID.

    It has version 8 (RFC 9562, section 5.8) and 122 bits of the HMAC.
    """

    def __init__(self, secret: str) -> None:
        self._key = derive_key(secret, "pseudonyms")

    def __call__(self, kind: str, value: str) -> UUID:
        """The pseudonym of a value; see the port."""
        key = hmac.digest(self._key, kind.encode(), "sha256")
        number = int.from_bytes(hmac.digest(key, value.encode(), "sha256")[:16])
        return UUID(int=number & ~_VERSION_AND_VARIANT | _VERSION_8)


_VERSION_AND_VARIANT = 0xF << 76 | 0b11 << 62
_VERSION_8 = 0x8 << 76 | 0b10 << 62


def _place(owner: UUID, field: str) -> bytes:
    return owner.bytes + field.encode()


def _key(keys: Mapping[UUID, Aead | None], owner: UUID, field: str) -> Aead | None:
    try:
        return keys[owner]
    except KeyError:
        reason = "there is no key of this owner that MEDIANEST_SECRET_KEY opens"
        raise UnreadablePersonalData(owner, field, reason) from None


def _opened(keys: Mapping[UUID, Aead | None], owner: UUID, field: str, sealed: str) -> str | None:
    key = _key(keys, owner, field)
    if key is None:
        return None
    try:
        return key.open(base64url.decode(sealed), _place(owner, field)).decode()
    except (NotAuthentic, ValueError):
        reason = "the sealed text was altered, or belongs to another owner or field"
        raise UnreadablePersonalData(owner, field, reason) from None


def _opened_or_told(
    keys: Mapping[UUID, Aead | None], owner: UUID, field: str, sealed: str
) -> str | None:
    try:
        return _opened(keys, owner, field, sealed)
    except UnreadablePersonalData as error:
        log.error("personal data unreadable", error=str(error))  # noqa: TRY400 - it says all
        return None
