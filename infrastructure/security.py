"""Passwords, access tokens and the keys they hang on."""

# PyJWT names key types of a package that HS256 does not need.
# pyright: reportUnknownMemberType=false

import asyncio
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import jwt
from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from application.ports import AccessToken, Caller, Clock, HasherBusy
from domain.accounts import Role

T = TypeVar("T")

_THREADS = 2
"""More would take the cores from the event loop: with 32 its worst lag is nearly a second."""
_WAITING = 64
"""About two seconds of work; whoever comes later is told to come again."""


def derive_key(secret: str, purpose: str) -> bytes:
    """A key for one purpose only, so that no two uses of the secret can be confused."""
    return hmac.digest(secret.encode(), f"medianest {purpose}".encode(), "sha256")


class Argon2idHasher:
    """``application.ports.PasswordHasher``, with the parameters that OWASP recommends.

    Every hash takes about 30 ms of CPU and 19 MiB, in one of two threads of its own.
    """

    def __init__(self) -> None:
        self._argon2 = Argon2(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._argon2.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """A PHC string; see the port."""
        return await self._run(lambda: self._argon2.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; see the port."""
        matches = await self._run(lambda: self._matches(password_hash or self._nobody, password))
        return matches and password_hash is not None

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise HasherBusy("Too many sign-ins at once.", retry_after=timedelta(seconds=2))
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


class JwtAccessTokens:
    """``application.ports.AccessTokens`` as signed JWTs (RFC 9068), HS256 pinned."""

    _ALGORITHM = "HS256"
    _AUDIENCE = "medianest"
    _TYPE = "at+jwt"

    def __init__(
        self, secret: str, clock: Clock, *, lifetime: timedelta = timedelta(hours=1)
    ) -> None:
        self._key = derive_key(secret, "access token")
        self._clock = clock
        self._lifetime = lifetime

    def issue(self, account_id: UUID, role: Role) -> AccessToken:
        """A token for ``lifetime``; see the port."""
        now = self._clock()
        claims = {
            "sub": str(account_id),
            "role": role,
            "aud": self._AUDIENCE,
            "iat": now,
            "exp": now + self._lifetime,
            "jti": secrets.token_urlsafe(12),
        }
        token = jwt.encode(claims, self._key, self._ALGORITHM, headers={"typ": self._TYPE})
        return AccessToken(token, self._lifetime)

    def read(self, token: str) -> Caller | None:
        """Who shows it; see the port."""
        try:
            decoded = jwt.decode_complete(
                token,
                self._key,
                algorithms=[self._ALGORITHM],
                audience=self._AUDIENCE,
                # The time is checked below, against our clock.
                options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
            )
            claims = decoded["payload"]
            expires_at = datetime.fromtimestamp(claims["exp"], tz=self._clock().tzinfo)
            caller = Caller(UUID(claims["sub"]), Role(claims["role"]), expires_at)
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError, OverflowError):
            return None
        if decoded["header"].get("typ") != self._TYPE or expires_at <= self._clock():
            return None
        return caller
