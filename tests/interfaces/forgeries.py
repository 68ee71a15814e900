"""Tokens that look like ours and are not, in every way that is known to have worked somewhere."""

# PyJWT names key types that HS256 does not need.
# pyright: reportUnknownMemberType=false

import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from domain.api_keys import Scope
from infrastructure.security import base64url
from infrastructure.security.access_tokens import LONGEST_TOKEN
from interfaces.http.entrance import csrf_token
from tests.fakes import new_id, now
from tests.interfaces.house import PASSWORD, House, Person, context

Tokens = dict[str, str]

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
RSA = rsa.generate_private_key(65537, 2048)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
OWN_KEY = b"the forger's very own key: 32 B."
OWN_JWK = {"kty": "oct", "k": base64url.encode(OWN_KEY), "alg": "HS256"}


class Forger:
    """Makes tokens of the ``victim``'s session; knows even the house's key, to change one thing."""

    def __init__(self, house: House, victim: Person) -> None:
        self.key = house.signing_keys.current
        self.header: dict[str, Any] = {"alg": "HS256", "typ": "at+jwt", "kid": self.key.kid}
        self.claims: dict[str, Any] = {
            "iss": "medianest",
            "aud": "medianest",
            "sub": str(victim.id),
            "sid": str(victim.signed_in.session_id),
            "iat": int(now().timestamp()),
            "exp": int((now() + timedelta(minutes=10)).timestamp()),
            "jti": "forged",
        }

    def token(
        self,
        header: dict[str, Any] | None = None,
        key: bytes | None = None,
        hashed: str = "sha256",
        **claims: Any,
    ) -> str:
        """A token that is right but for what is named; ``None`` leaves a part out."""
        content = self.content(header, **claims)
        signature = hmac.digest(self.key.secret if key is None else key, content.encode(), hashed)
        return f"{content}.{base64url.encode(signature)}"

    def content(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """What is signed of a token."""
        parts = (self.header | (header or {}), self.claims | claims)
        return ".".join(base64url.encode(_json(part)) for part in parts)

    def signed_by(self, key: Any, algorithm: str) -> str:
        """A token by an algorithm with two keys, of which the forger has both."""
        header = {name: value for name, value in self.header.items() if name != "alg"}
        return jwt.PyJWS().encode(_json(self.claims), key, algorithm, headers=header)


def _json(part: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in part.items() if value is not None}).encode()


def by_other_algorithms(forger: Forger) -> Tokens:
    unsigned = {
        f"algorithm {name!r}": f"{forger.content({'alg': name})}."
        for name in ("none", "None", "NONE", "nOnE", " none", "", None, False, ["none"])
    }
    _, _, signature = forger.token().rpartition(".")
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    twice = forger.content().partition(".")[2]
    header = f'{{"alg":"none","typ":"at+jwt","kid":"{forger.key.kid}","alg":"HS256"}}'
    return {
        **unsigned,
        "algorithm none, with a signature": f"{forger.content({'alg': 'none'})}.{signature}",
        "algorithm none, signed": forger.token({"alg": "none"}),
        "algorithm named twice": f"{base64url.encode(header.encode())}.{twice}.",
        "no signature": f"{forger.content()}.",
        "no signature, and no dot": forger.content(),
        "HS384": forger.token({"alg": "HS384"}, hashed="sha384"),
        "HS512": forger.token({"alg": "HS512"}, hashed="sha512"),
        "hs256": forger.token({"alg": "hs256"}),
        "HS256 by SHA-512": forger.token(hashed="sha512"),
        "RS256": forger.signed_by(RSA, "RS256"),
        "PS256": forger.signed_by(RSA, "PS256"),
        "ES256": forger.signed_by(ELLIPTIC, "ES256"),
        "EdDSA": forger.signed_by(EDWARDS, "EdDSA"),
        "RS256, signed with the secret": forger.token({"alg": "RS256"}),
        "a public key as the secret": forger.token(key=public),
    }


def by_other_keys(forger: Forger) -> Tokens:
    private = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = base64url.encode(private[:64])
    here = "http://127.0.0.1:1/keys.json"
    injected = {
        "jwk": OWN_JWK,
        "jku": here,
        "x5u": here,
        "x5c": [certificate],
        "x5t": certificate,
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "cty": "JWT",
    }
    return {
        "another key": forger.token(key=OWN_KEY),
        "an empty key": forger.token(key=b""),
        "the key's id as the key": forger.token(key=forger.key.kid.encode()),
        "the issuer as the key": forger.token(key=b"medianest"),
        "an unknown key's id": forger.token({"kid": "unknown"}),
        "no key's id": forger.token({"kid": None}),
        "an empty key's id": forger.token({"kid": ""}, b""),
        "a number as the key's id": forger.token({"kid": 1}),
        "a list as the key's id": forger.token({"kid": [forger.key.kid]}),
        "a path as the key's id": forger.token({"kid": f"../{forger.key.kid}"}),
        "an empty file as the key": forger.token({"kid": "../../../../dev/null"}, b""),
        "SQL as the key's id": forger.token({"kid": "x' UNION SELECT 'secret' --"}, b"secret"),
        "a shell as the key's id": forger.token({"kid": "| cat /dev/null"}, b""),
        **{
            f"{name} of its own": forger.token({name: value}, OWN_KEY)
            for name, value in injected.items()
        },
        **{f"{name}, signed": forger.token({name: value}) for name, value in injected.items()},
        "no type": forger.token({"typ": None}),
        "any JWT": forger.token({"typ": "JWT"}),
        "a refresh token by its type": forger.token({"typ": "rt+jwt"}),
    }


def with_other_claims(forger: Forger, somebody: Person, key_id: str) -> Tokens:
    """Rightly signed, and yet not to be believed."""
    soon = int((now() + timedelta(minutes=5)).timestamp())
    return {
        "another audience": forger.token(aud="other"),
        "several audiences": forger.token(aud=["medianest", "other"]),
        "an empty audience": forger.token(aud=""),
        "no audience": forger.token(aud=None),
        "another issuer": forger.token(iss="https://other.test"),
        "no issuer": forger.token(iss=None),
        "expired": forger.token(exp=int(now().timestamp()) - 1),
        "expired at the beginning of time": forger.token(exp=0),
        "no end": forger.token(exp=None),
        "an end that is a text": forger.token(exp=str(soon)),
        "an end that is true": forger.token(exp=True),
        "an end that is no number": forger.token(exp=float("nan")),
        "an end beyond all time": forger.token(exp=10**20),
        "not yet": forger.token(nbf=soon),
        "no account": forger.token(sub=None),
        "an account that does not exist": forger.token(sub=str(new_id())),
        "an account that is none": forger.token(sub="admin"),
        "no session": forger.token(sid=None),
        "a session that does not exist": forger.token(sid=str(new_id())),
        "the account as its session": forger.token(sid=forger.claims["sub"]),
        "the session as its account": forger.token(sub=forger.claims["sid"]),
        "an API key as the session": forger.token(sid=key_id),
        "a session of somebody else": forger.token(sid=str(somebody.signed_in.session_id)),
        "somebody else's account": forger.token(sub=str(somebody.id)),
    }


def altered(forger: Forger, somebody: Person) -> Tokens:
    """Made from tokens that are right; ``somebody`` wants to be the victim."""
    right = forger.token()
    header, payload, signature = right.split(".")
    own_header, own_payload, own_signature = somebody.token.split(".")
    expired = forger.token(exp=int(now().timestamp()) - 1)
    document = {"protected": header, "payload": payload, "signature": signature}
    last = ALPHABET[ALPHABET.index(signature[-1]) ^ 1]  # which stands for the same bytes
    return {
        "the victim's payload": f"{own_header}.{payload}.{own_signature}",
        "one's own payload": f"{header}.{own_payload}.{signature}",
        "another signature": f"{header}.{payload}.{own_signature}",
        "a longer life": f"{header}.{payload}.{expired.rpartition('.')[2]}",
        "an altered signature": f"{header}.{payload}.{_other(signature)}",
        "another text of the signature": f"{header}.{payload}.{signature[:-1]}{last}",
        "a cut signature": right[:-2],
        "a cut header": right[1:],
        "an altered header": f"{_other(header)}.{payload}.{signature}",
        "parts in another order": f"{payload}.{header}.{signature}",
        "padding": f"{right}=",
        "a dot behind": f"{right}.",
        "a fourth part": f"{right}.x",
        "a letter behind": f"{right}x",
        "a NUL behind, as URLs write it": f"{right}%00",
        "a letter in front": f"x{right}",
        "an equals sign within": f"{header}=.{payload}.{signature}",
        "twice, with a comma": f"{right},{right}",
        "twice, with a dot": f"{right}.{right}",
        "twice": f"{right}{right}",
        "as a JSON document": json.dumps(document, separators=(",", ":")),
        "no ASCII": f"{right}\N{LATIN SMALL LETTER E WITH ACUTE}",
        "no ASCII within": f"{header}.\N{FULLWIDTH LATIN CAPITAL LETTER A}{payload}.{signature}",
        "too long": forger.token(jti="x" * LONGEST_TOKEN),
        "far too long": "x" * (2 * LONGEST_TOKEN),
        "a scheme of its own": f"Bearer {right}",
        "dots": "..",
        "letters": "a.b.c",
        "a word": "null",
    }


def _other(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


async def of_another_kind(house: House, victim: Person) -> Tokens:
    """What the victim may show elsewhere, or only knows."""
    key = (await house.api_key(victim, *Scope))["X-Api-Key"]
    refresh = victim.signed_in.refresh_token
    return {
        "a refresh token": refresh,
        "an API key": key,
        "a refresh token, named an access token": f"at+jwt_{refresh.removeprefix('mnr_')}",
        "a CSRF token": csrf_token(house.pseudonym, victim.signed_in.session_id),
        "a session's id": str(victim.signed_in.session_id),
        "an account's id": str(victim.id),
        "a password": PASSWORD.replace(" ", "-"),
    }


async def forgeries(house: House, victim: Person, somebody: Person, setup_token: str) -> Tokens:
    """Every one of them, by what is wrong with it."""
    forger = Forger(house, victim)
    key = await house.api_key(victim, *Scope)
    key_id = str(house.store.events[-1].stream_id)
    async with house.client() as client:  # so that the gate knows the key
        assert (await client.get("/api/v1/auth/me", headers=key)).status_code == 200
    return {
        **by_other_algorithms(forger),
        **by_other_keys(forger),
        **with_other_claims(forger, somebody, key_id),
        **altered(forger, somebody),
        **await of_another_kind(house, victim),
        "a set-up token": setup_token,
    }


async def an_unused_setup_token(house: House) -> str:
    """The set-up token of a house that has no admin yet."""
    token = await house.setup.offer(context("system:test"))
    assert token is not None
    return token
