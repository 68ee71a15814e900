"""Authenticated encryption, and the keys that come from the one secret."""

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class NotAuthentic(Exception):
    """Altered, cut, moved from another place, or sealed with another key; which cannot be told."""


def derive_key(secret: str, purpose: str) -> bytes:
    """A key for one purpose only, so that no two uses of the secret can be confused."""
    return hmac.digest(secret.encode(), f"medianest {purpose}".encode(), "sha256")


class Aead:
    """AES-256-GCM (NIST SP 800-38D) with random nonces: good for 2^32 seals with one key.

    What is sealed is a version byte, the nonce of 12 bytes, and the ciphertext with its tag.
    """

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """``plaintext``, to be opened only together with the same ``associated`` data."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._aes.encrypt(nonce, plaintext, associated)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """What was sealed. Raises NotAuthentic."""
        version, nonce = sealed[:1], sealed[1 : 1 + _NONCE_BYTES]
        if version != _VERSION or len(nonce) != _NONCE_BYTES:
            raise NotAuthentic
        try:
            return self._aes.decrypt(nonce, sealed[1 + _NONCE_BYTES :], associated)
        except InvalidTag:
            raise NotAuthentic from None
