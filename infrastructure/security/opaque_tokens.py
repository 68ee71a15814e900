"""Opaque tokens: refresh tokens and API keys."""

import hmac
import secrets
from hashlib import sha256
from uuid import UUID

from application.ports import OpaqueToken
from infrastructure.security import base64url
from infrastructure.security.aead import derive_key

_ID_BYTES = 16
_SECRET_BYTES = 32


class OpaqueTokenMint:
    """``application.ports.OpaqueTokens`` of one ``kind``, which begins each token.

    A token is ``<kind>_<64 characters>``: base64url of the id (16 bytes) and a secret (32 bytes).
    The digest is SHA-256 of the secret, in hex: 256 random bits need no salt and no slow hash.
    """

    def __init__(self, secret: str, kind: str) -> None:
        self._prefix = f"{kind}_"
        self._key = derive_key(secret, f"successors of {kind}")
        self._length = len(self._prefix) + (_ID_BYTES + _SECRET_BYTES) * 4 // 3

    def make(self, of: UUID) -> OpaqueToken:
        """A new token; see the port."""
        return self._token(of, secrets.token_bytes(_SECRET_BYTES))

    def successor(self, token: OpaqueToken) -> OpaqueToken:
        """The next token; see the port. Its secret is HMAC-SHA256 of the whole token before it."""
        return self._token(token.id, hmac.digest(self._key, token.token.encode(), "sha256"))

    def read(self, token: str) -> OpaqueToken | None:
        """The token, taken literally; see the port."""
        if len(token) != self._length or not token.startswith(self._prefix):
            return None
        try:
            content = base64url.decode(token.removeprefix(self._prefix))
        except ValueError:
            return None
        return self._token(UUID(bytes=content[:_ID_BYTES]), content[_ID_BYTES:])

    def _token(self, of: UUID, secret: bytes) -> OpaqueToken:
        token = self._prefix + base64url.encode(of.bytes + secret)
        return OpaqueToken(of, token, sha256(secret).hexdigest())
