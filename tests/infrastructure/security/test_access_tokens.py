# PyJWT names key types that HS256 does not need.
# pyright: reportUnknownMemberType=false
import json
import warnings
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from application.ports import Bearer
from infrastructure.security import access_tokens, base64url
from infrastructure.security.access_tokens import LONGEST_TOKEN, JwtAccessTokens
from infrastructure.security.keyring import SigningKey, SigningKeys
from infrastructure.security.opaque_tokens import OpaqueTokenMint
from tests.events import NOON
from tests.infrastructure.security.clock import Clock

ANN = UUID(int=1)
SESSION = UUID(int=2)
LONG_AGO = NOON - timedelta(days=1)
HOUR = timedelta(hours=1)
KEY = SigningKey("k1", b"k" * 32, LONG_AGO)
OTHER = SigningKey("k2", b"o" * 32, LONG_AGO)


def forge(
    key: bytes | str = KEY.secret,
    algorithm: str = "HS256",
    header: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    """A token that is right but for what is named; ``None`` leaves a claim or a header out."""
    right = {
        "iss": "medianest",
        "aud": "medianest",
        "sub": str(ANN),
        "sid": str(SESSION),
        "iat": int(NOON.timestamp()),
        "exp": int((NOON + HOUR).timestamp()),
        "jti": "x",
    }
    headers = {"typ": "at+jwt", "kid": KEY.kid, **(header or {})}
    with warnings.catch_warnings(action="ignore"):  # of keys that are too short to be right
        return jwt.PyJWS().encode(
            json.dumps(without_none(right | claims)).encode(),
            key,
            algorithm,
            headers=without_none(headers),
        )


def without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


def unsigned(algorithm: str) -> str:
    header = {"alg": algorithm, "typ": "at+jwt", "kid": KEY.kid}
    return f"{base64url.encode(json.dumps(header).encode())}.{forge().split('.')[1]}."


def signed_with_rsa() -> str:
    pem = generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return forge(pem, "RS256")


def with_header(header: str) -> str:
    """A token of which only the header is another; so it is not signed."""
    return ".".join([base64url.encode(header.encode()), *forge().split(".")[1:]])


def tokens_of(*keys: SigningKey, clock: Clock | None = None) -> JwtAccessTokens:
    clock = clock or Clock()
    return JwtAccessTokens(SigningKeys(keys, clock), clock)


def test_a_token_reads_as_who_it_was_issued_to_until_it_expires() -> None:
    clock = Clock()
    tokens = tokens_of(KEY, clock=clock)
    issued = tokens.issue(ANN, SESSION)
    assert issued.expires_in == timedelta(minutes=15)
    for _ in range(2):  # the second time it is remembered
        assert tokens.read(issued.token) == Bearer(ANN, SESSION, NOON + timedelta(minutes=15))
    clock.now += timedelta(minutes=15)
    assert tokens.read(issued.token) is None
    assert tokens_of(KEY, clock=clock).read(issued.token) is None


def test_a_token_says_what_it_is_in_the_words_of_the_standard() -> None:
    issued = tokens_of(KEY).issue(ANN, SESSION)
    decoded = jwt.decode_complete(
        issued.token,
        KEY.secret,
        algorithms=["HS256"],
        audience="medianest",
        issuer="medianest",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert decoded["header"] == {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}
    claims = decoded["payload"]
    assert claims["sub"] == str(ANN)
    assert claims["sid"] == str(SESSION)
    assert datetime.fromtimestamp(claims["iat"], NOON.tzinfo) == NOON
    assert datetime.fromtimestamp(claims["exp"], NOON.tzinfo) == NOON + issued.expires_in


def test_no_two_tokens_are_alike() -> None:
    tokens = tokens_of(KEY)
    assert tokens.issue(ANN, SESSION) != tokens.issue(ANN, SESSION)


def test_the_forger_of_the_other_tests_knows_how() -> None:
    assert tokens_of(KEY).read(forge()) == Bearer(ANN, SESSION, NOON + HOUR)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("not.a.token", id="garbage"),
        pytest.param("é.\udcff.x", id="no ASCII"),
        pytest.param(unsigned("none"), id="algorithm none"),
        pytest.param(unsigned("None"), id="algorithm None"),
        pytest.param(unsigned("HS256"), id="no signature"),
        pytest.param(forge(algorithm="HS384"), id="HS384"),
        pytest.param(forge(algorithm="HS512"), id="HS512"),
        pytest.param(signed_with_rsa(), id="RS256"),
        pytest.param(forge(KEY.kid), id="the key's id as the key"),
        pytest.param(forge(OTHER.secret), id="another key"),
        pytest.param(forge(header={"kid": "k2"}), id="another key's id"),
        pytest.param(forge(header={"kid": "k3"}), id="an unknown key's id"),
        pytest.param(forge(header={"kid": None}), id="no key's id"),
        pytest.param(forge(header={"kid": "../k1"}), id="a path as key's id"),
        pytest.param(forge(header={"typ": "JWT"}), id="any JWT"),
        pytest.param(forge(header={"typ": "rt+jwt"}), id="another type"),
        pytest.param(forge(header={"crit": ["exp"]}), id="a critical extension"),
        pytest.param(forge(header={"jwk": {"kty": "oct", "k": "aw"}}), id="a key of its own"),
        pytest.param(forge(header={"jku": "http://127.0.0.1/"}), id="a place to find its key"),
        pytest.param(with_header("[" * 3000), id="a deep header"),
        pytest.param(with_header("null"), id="a header that is none"),
        pytest.param(forge(aud="other"), id="another audience"),
        pytest.param(forge(aud=["medianest", "other"]), id="several audiences"),
        pytest.param(forge(aud=None), id="no audience"),
        pytest.param(forge(iss="other"), id="another issuer"),
        pytest.param(forge(iss=None), id="no issuer"),
        pytest.param(forge(exp=int(NOON.timestamp())), id="expired"),
        pytest.param(forge(exp=None), id="without an end"),
        pytest.param(forge(exp=10**20), id="an end beyond all time"),
        pytest.param(forge(exp=-1), id="an end before all time"),
        pytest.param(forge(exp="9999999999"), id="an end that is a text"),
        pytest.param(forge(exp=True), id="an end that is true"),
        pytest.param(forge(iat=None), id="without a beginning"),
        pytest.param(forge(jti=None), id="without an id"),
        pytest.param(forge(sub=None), id="of nobody"),
        pytest.param(forge(sub="ann"), id="an account that is none"),
        pytest.param(forge(sid=None), id="without a session"),
        pytest.param(forge(sid="1"), id="a session that is none"),
        pytest.param(forge()[:-2], id="a cut signature"),
        pytest.param(forge() + "=", id="with padding"),
        pytest.param(forge() + "\n", id="with a new line"),
        pytest.param(forge() + ".x", id="four parts"),
        pytest.param(forge(jti="x" * LONGEST_TOKEN), id="huge"),
        pytest.param(OpaqueTokenMint("s" * 32, "mnr").make(SESSION).token, id="a refresh token"),
    ],
)
def test_what_is_not_our_token_is_nobody_s(token: str) -> None:
    assert tokens_of(KEY, OTHER).read(token) is None


def test_a_remembered_token_with_another_signature_is_nobody_s() -> None:
    tokens = tokens_of(KEY)
    content, _, signature = forge().rpartition(".")
    assert tokens.read(f"{content}.{signature}") is not None
    for place in range(len(signature)):
        other = "B" if signature[place] == "A" else "A"
        altered = signature[:place] + other + signature[place + 1 :]
        assert tokens.read(f"{content}.{altered}") is None


@pytest.mark.parametrize("remembered", [False, True])
def test_a_retired_key_counts_for_one_lifetime_more_whatever_it_signed(*, remembered: bool) -> None:
    clock = Clock()
    keys = SigningKeys([KEY], clock)
    tokens = JwtAccessTokens(keys, clock, lifetime=timedelta(minutes=15))
    token = forge(exp=int((NOON + timedelta(days=900)).timestamp()))
    if remembered:
        assert tokens.read(token) is not None
    keys.replace([SigningKey(KEY.kid, KEY.secret, KEY.made_at, retired_at=NOON), OTHER])
    clock.now += timedelta(minutes=15, seconds=-1)
    assert tokens.read(token) is not None
    clock.now += timedelta(seconds=1)
    assert tokens.read(token) is None


def test_a_key_that_is_gone_counts_no_more() -> None:
    clock = Clock()
    keys = SigningKeys([KEY], clock)
    tokens = JwtAccessTokens(keys, clock)
    token = tokens.issue(ANN, SESSION).token
    assert tokens.read(token) is not None
    keys.replace([OTHER])
    assert tokens.read(token) is None
    assert tokens.read(tokens.issue(ANN, SESSION).token) is not None


@pytest.mark.parametrize(("room", "verified"), [(5, 5), (2, 10)])
def test_tokens_are_verified_once_unless_they_were_crowded_out_of_memory(
    monkeypatch: pytest.MonkeyPatch, room: int, verified: int
) -> None:
    monkeypatch.setattr(access_tokens, "VERIFIED_TOKENS", room)
    calls: list[str] = []
    verify = jwt.PyJWS.decode

    def counted(self: jwt.PyJWS, token: str, *rest: Any, **options: Any) -> Any:
        calls.append(token)
        return verify(self, token, *rest, **options)

    monkeypatch.setattr(jwt.PyJWS, "decode", counted)
    tokens = tokens_of(KEY)
    issued = [tokens.issue(ANN, UUID(int=number)).token for number in range(5)]
    for _ in range(2):
        read = [tokens.read(token) for token in issued]
        assert [bearer and bearer.session_id.int for bearer in read] == [0, 1, 2, 3, 4]
    assert len(calls) == verified
