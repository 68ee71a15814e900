"""Bytes as text: base64url without padding (RFC 4648, section 5), one text for the same bytes."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode(content: bytes) -> str:
    """The text of ``content``."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """What ``encode`` was given. Raises ValueError for any other text."""
    content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # The standard library passes over foreign characters, padding and unused bits.
    if encode(content) != text:
        raise ValueError("This is not canonical base64url.")
    return content
