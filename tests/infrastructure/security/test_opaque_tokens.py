import re
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from infrastructure.security import base64url
from infrastructure.security.opaque_tokens import OpaqueTokenMint

SECRET = "a secret of at least 32 characters"
SESSION = UUID("01890000-0000-7000-8000-0000000000ff")
MINT = OpaqueTokenMint(SECRET, "mnr")


def test_a_token_reads_as_it_was_made() -> None:
    for _ in range(100):
        made = MINT.make(uuid4())
        assert MINT.read(made.token) == made


def test_a_token_shows_its_kind_and_holds_an_id_and_256_random_bits() -> None:
    made = MINT.make(SESSION)
    assert re.fullmatch(r"mnr_[A-Za-z0-9_-]{64}", made.token)
    content = base64url.decode(made.token.removeprefix("mnr_"))
    assert content[:16] == SESSION.bytes
    assert made.id == SESSION
    assert made.digest == sha256(content[16:]).hexdigest()
    assert len({MINT.make(SESSION).digest for _ in range(100)}) == 100


def test_a_token_has_one_successor_with_the_same_id() -> None:
    first = MINT.make(SESSION)
    second = MINT.successor(first)
    third = MINT.successor(second)
    assert second == OpaqueTokenMint(SECRET, "mnr").successor(first)
    assert second == MINT.read(second.token)
    assert first.id == second.id == third.id
    assert len({first.digest, second.digest, third.digest}) == 3


def test_successors_depend_on_the_secret_and_the_kind_and_the_whole_token() -> None:
    token = MINT.make(SESSION)
    elsewhere = base64url.decode(token.token.removeprefix("mnr_"))[16:]
    moved = MINT.read(f"mnr_{base64url.encode(uuid4().bytes + elsewhere)}")
    assert moved is not None
    assert moved.digest == token.digest
    successors = {
        MINT.successor(token).digest,
        MINT.successor(moved).digest,
        OpaqueTokenMint(SECRET + " ", "mnr").successor(token).digest,
        OpaqueTokenMint(SECRET, "mnk").successor(token).digest,
    }
    assert len(successors) == 4


TOKEN = MINT.make(SESSION).token


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("mnr_", id="only the kind"),
        pytest.param(OpaqueTokenMint(SECRET, "mnk").make(SESSION).token, id="another kind"),
        pytest.param(TOKEN.upper(), id="capitals"),
        pytest.param(TOKEN[:-1], id="cut"),
        pytest.param(TOKEN[:-1] + "=", id="padding"),
        pytest.param(TOKEN[:-1] + "+", id="the other base64"),
        pytest.param(TOKEN[:-1] + "\n", id="a new line"),
        pytest.param(TOKEN[:-1] + "é", id="no ASCII"),
        pytest.param(TOKEN + "A", id="too long"),
        pytest.param(f" {TOKEN}", id="a space before"),
        pytest.param(TOKEN * 10_000, id="huge"),
    ],
)
def test_what_is_not_a_token_of_this_kind_is_none(token: str) -> None:
    assert MINT.read(token) is None
