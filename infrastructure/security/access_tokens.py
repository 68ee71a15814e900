"""Access tokens: what a signed-in person shows on each call."""

# PyJWT names key types that HS256 does not need.
# pyright: reportUnknownMemberType=false

import secrets
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import jwt
import msgspec

from application.ports import AccessToken, Bearer, Clock
from infrastructure.security import base64url
from infrastructure.security.keyring import SigningKey, SigningKeys

LIFETIME = timedelta(minutes=15)
LONGEST_TOKEN = 4096
"""Characters; ours have about 400. Nobody gets more work out of us than that."""
VERIFIED_TOKENS = 10_000
"""How many are remembered: looking one up costs a fraction of verifying it."""

_ALGORITHM = "HS256"


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly what we write. Anything more, such as ``crit`` or ``jwk``, is not ours."""

    alg: Literal["HS256"]
    kid: str
    typ: Literal["at+jwt"]


class _Claims(msgspec.Struct, omit_defaults=True):
    sub: UUID
    sid: UUID
    iat: int
    exp: Annotated[int, msgspec.Meta(ge=0, le=int(datetime.max.replace(tzinfo=UTC).timestamp()))]
    jti: str
    iss: Literal["medianest"]
    aud: Literal["medianest"]
    nbf: None = None
    """Ours count at once, so one that begins later is not ours."""


class JwtAccessTokens:
    """``application.ports.AccessTokens`` as signed JWTs after RFC 9068, with HS256 only.

    Times have whole seconds. What a key has signed is good for one ``lifetime`` after it retires,
    whatever it says, so that a key that leaked is soon worth nothing.
    """

    def __init__(self, keys: SigningKeys, clock: Clock, *, lifetime: timedelta = LIFETIME) -> None:
        self._keys = keys
        self._clock = clock
        self._lifetime = lifetime
        self._jws = jwt.PyJWS(algorithms=[_ALGORITHM])
        self._verified: OrderedDict[str, tuple[str, Bearer]] = OrderedDict()

    def issue(self, account_id: UUID, session_id: UUID) -> AccessToken:
        """A token for ``lifetime``; see the port."""
        now = int(self._clock().timestamp())
        expires_at = now + int(self._lifetime.total_seconds())
        claims = _Claims(
            sub=account_id,
            sid=session_id,
            iat=now,
            exp=expires_at,
            jti=secrets.token_urlsafe(12),
            iss="medianest",
            aud="medianest",
        )
        key = self._keys.current
        token = self._jws.encode(
            msgspec.json.encode(claims),
            key.secret,
            _ALGORITHM,
            headers={"typ": "at+jwt", "kid": key.kid},
        )
        return AccessToken(token, self._lifetime)

    def read(self, token: str) -> Bearer | None:
        """Who shows it; see the port."""
        verified = self._verified.get(token) or self._verify(token)
        if verified is None:
            return None
        kid, bearer = verified
        now = self._clock()
        key = self._keys.find(kid)
        good = key is not None and self._counts(key, now) and now < bearer.expires_at
        return bearer if good else None

    def _counts(self, key: SigningKey, now: datetime) -> bool:
        return key.retired_at is None or now < key.retired_at + self._lifetime

    def _verify(self, token: str) -> tuple[str, Bearer] | None:
        """The id of the key that signed it, and for whom; whether both still count is not asked."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            # Strictly, so that a token has one text only: PyJWT passes over foreign characters.
            first, second, _ = map(base64url.decode, token.split("."))
            header = msgspec.json.decode(first, type=_Header)
            key = self._keys.find(header.kid)
            if key is None:
                return None
            self._jws.decode(token, key.secret, algorithms=[_ALGORITHM])
            claims = msgspec.json.decode(second, type=_Claims)
        except (jwt.InvalidTokenError, msgspec.DecodeError, ValueError):
            return None
        expires_at = datetime.fromtimestamp(claims.exp, UTC)
        verified = header.kid, Bearer(claims.sub, claims.sid, expires_at)
        if len(self._verified) >= VERIFIED_TOKENS:
            self._verified.popitem(last=False)
        self._verified[token] = verified
        return verified
