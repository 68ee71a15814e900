"""Cursors of keyset pages: the key of the last item shown, opaque so that what it is may change.

Every text of the right length and alphabet is a cursor, so a schema can tell what is none. One that
was made up shows a page like any other, of what its reader may see anyway.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

from projections.media_requests import Mark

_NEXT = "the nextCursor of a page"
Cursor = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{11}(?!\n)$",
        description="The `nextCursor` of the page before.",
        extra={"words": _NEXT},
    ),
]
"""Stands for a position. (In Python ``$`` alone lets a last newline pass.)"""
TimeCursor = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{22}(?!\n)$",
        description="The `nextCursor` of the page before.",
        extra={"words": _NEXT},
    ),
]
"""Stands for a time, and for one of the things of that time."""

MarkCursor = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{11}(?:[A-Za-z0-9_-]{4}){0,80}(?:[A-Za-z0-9_-]{2,3})?(?!\n)$",
        description="The `nextCursor` of the page before.",
        extra={"words": _NEXT},
    ),
]
"""Stands for a mark: a position, and behind it perhaps a title."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_POSITIONS = 2**63
_POSITION_LENGTH = 11


def cursor_of(position: int) -> str:
    """The cursor that stands for a position."""
    return _encode(position.to_bytes(8))


def position_of(cursor: str | None) -> int | None:
    """The position that a cursor stands for, if there is one."""
    return None if cursor is None else int.from_bytes(_decode(cursor)) % _POSITIONS


def mark_cursor_of(mark: Mark) -> str:
    """The cursor that stands for a mark."""
    return cursor_of(mark.position) + _encode(mark.title.encode())


def mark_of(cursor: str | None) -> Mark | None:
    """The mark that a cursor stands for, if there is one."""
    if cursor is None:
        return None
    title = _decode(cursor[_POSITION_LENGTH:]).decode(errors="replace").replace("\0", "")
    return Mark(position_of(cursor[:_POSITION_LENGTH]) or 0, title)


def time_cursor_of(at: datetime, fingerprint: str) -> str:
    """The cursor that stands for a time, and a fingerprint of 16 hexadecimal digits."""
    return _encode(((at - _EPOCH) // _MICROSECOND).to_bytes(8) + bytes.fromhex(fingerprint))


def time_of(cursor: str | None) -> tuple[datetime, str] | None:
    """The time and the fingerprint that a cursor stands for, if there is one."""
    if cursor is None:
        return None
    key = _decode(cursor)
    at = _EPOCH + min(int.from_bytes(key[:8]), _LAST) * _MICROSECOND
    return at, key[8:].hex()


def _encode(key: bytes) -> str:
    return urlsafe_b64encode(key).decode().rstrip("=")


def _decode(cursor: str) -> bytes:
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
