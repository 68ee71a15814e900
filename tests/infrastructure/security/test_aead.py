from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.security import base64url
from infrastructure.security.aead import Aead, NotAuthentic, derive_key

SECRET = "a secret of at least 32 characters"
KEY = derive_key(SECRET, "tests")


def test_each_purpose_and_each_secret_has_a_key_of_its_own() -> None:
    keys = [derive_key(SECRET, "tests"), derive_key(SECRET, "test"), derive_key(SECRET + " ", "t")]
    assert all(len(key) == 32 for key in keys)
    assert all(one != other for one, other in combinations(keys, 2))
    assert derive_key(SECRET, "tests") == KEY


@given(st.binary(), st.binary())
def test_what_was_sealed_opens_with_the_same_key_and_data(content: bytes, place: bytes) -> None:
    assert Aead(KEY).open(Aead(KEY).seal(content, place), place) == content


def test_nothing_is_sealed_twice_alike() -> None:
    assert len({Aead(KEY).seal(b"x", b"") for _ in range(100)}) == 100


def test_what_is_altered_anywhere_or_cut_does_not_open() -> None:
    sealed = Aead(KEY).seal(b"content", b"place")
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotAuthentic):
            Aead(KEY).open(bytes(altered), b"place")
    for length in range(len(sealed)):
        with pytest.raises(NotAuthentic):
            Aead(KEY).open(sealed[:length], b"place")


def test_what_was_sealed_opens_nowhere_else_and_with_no_other_key() -> None:
    sealed = Aead(KEY).seal(b"content", b"place")
    with pytest.raises(NotAuthentic):
        Aead(KEY).open(sealed, b"another place")
    with pytest.raises(NotAuthentic):
        Aead(derive_key(SECRET, "other")).open(sealed, b"place")


@given(st.binary())
def test_bytes_come_back_from_their_text(content: bytes) -> None:
    assert base64url.decode(base64url.encode(content)) == content


@pytest.mark.parametrize("text", ["a", "YQ==", "YR", "Y Q", "YQ\n", "Y+Q", "Y/Q", "é"])
def test_another_text_for_the_same_bytes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        base64url.decode(text)
