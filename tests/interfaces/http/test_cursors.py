"""Cursors: whatever has the shape of one is one, as the document promises."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.http.cursors import (
    Cursor,
    TimeCursor,
    cursor_of,
    position_of,
    time_cursor_of,
    time_of,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def is_one(cursor: str, of: object) -> bool:
    try:
        msgspec.convert(cursor, of)
    except msgspec.ValidationError:
        return False
    return True


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_stands_for_its_position(position: int) -> None:
    cursor = cursor_of(position)
    assert is_one(cursor, Cursor)
    assert position_of(cursor) == position


@given(
    st.datetimes(EPOCH.replace(tzinfo=None), timezones=st.just(UTC)),
    st.binary(min_size=8, max_size=8).map(bytes.hex),
)
def test_a_cursor_stands_for_its_time_and_fingerprint(at: datetime, fingerprint: str) -> None:
    cursor = time_cursor_of(at, fingerprint)
    assert is_one(cursor, TimeCursor)
    assert time_of(cursor) == (at, fingerprint)


@given(st.text(ALPHABET, min_size=11, max_size=11))
def test_whatever_looks_like_a_cursor_stands_for_a_position(cursor: str) -> None:
    assert is_one(cursor, Cursor)
    position = position_of(cursor)
    assert position is not None
    assert 0 <= position < 2**63


@given(st.text(ALPHABET, min_size=22, max_size=22))
def test_whatever_looks_like_a_time_cursor_stands_for_a_time(cursor: str) -> None:
    assert is_one(cursor, TimeCursor)
    assert time_of(cursor) is not None


@pytest.mark.parametrize(
    "text", ["", "A", "A" * 10, "A" * 12, "A" * 10 + "=", "A" * 10 + "é", "A" * 11 + "\n"]
)
def test_what_does_not_look_like_a_cursor_is_none(text: str) -> None:
    assert not is_one(text, Cursor)
    assert not is_one(text, TimeCursor)


def test_no_cursor_stands_for_nothing() -> None:
    assert position_of(None) is None
    assert time_of(None) is None
