"""Signatures of outgoing webhooks, by Standard Webhooks 1.0 (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
from datetime import datetime
from uuid import UUID

PREFIX = "whsec_"


def signature_headers(secret: str, id_: UUID, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that prove who has sent ``body``, as which delivery, and when.

    ``secret`` is ``whsec_`` and Base64, or any other text, which is then the key as it is.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((str(id_).encode(), timestamp.encode(), body))
    digest = hmac.new(_key_of(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": str(id_),
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key_of(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except ValueError:
            pass
    return secret.encode()
