"""The way in for every call: who asks, and whether they ask too often, in one question."""

from datetime import timedelta
from functools import lru_cache
from hmac import compare_digest
from uuid import UUID

import msgspec

from application.execute import Executor
from application.ports import AccessTokens, Clock, Gate, LastUses, OpaqueTokens, Pseudonym, Visit
from application.rate_limits import RateLimits, RateLimitViolations
from application.standings import Caller, Claim, Standings
from domain.api_keys import api_keys
from domain.kernel import DomainError
from domain.rate_limits import Limit, Policy

REMEMBERED_KEYS = 10_000
"""API keys whose owner this process knows."""

REMEMBERED_ACCOUNTS = 10_000
"""Accounts whose subject is written down, which takes longer than to look it up."""


class Credentials(msgspec.Struct, frozen=True):
    """What a call shows of who it is: an access token, or an API key."""

    access_token: str | None = None
    api_key: str | None = None


class Allowance(msgspec.Struct, frozen=True):
    """What is left of a limit. ``remaining`` is ``None`` when nobody could count."""

    policy: Policy
    limit: Limit
    remaining: int | None
    reset_after: timedelta


class TooOften(DomainError):
    """The limit is used up; after ``retry_after`` the next call passes."""

    def __init__(self, allowance: Allowance, retry_after: timedelta) -> None:
        super().__init__("Too many calls. Please wait.")
        self.allowance = allowance
        self.retry_after = retry_after


class Admitted(msgspec.Struct, frozen=True):
    """A call that passed the gate; the ``caller`` is ``None`` when it showed nothing that holds."""

    caller: Caller | None
    allowance: Allowance


class Admission:
    """Lets calls in."""

    def __init__(
        self,
        executor: Executor,
        gate: Gate,
        standings: Standings,
        limits: RateLimits,
        violations: RateLimitViolations,
        tokens: AccessTokens,
        api_keys: OpaqueTokens,
        pseudonym: Pseudonym,
        last_uses: LastUses,
        clock: Clock,
    ) -> None:
        self._executor = executor
        self._gate = gate
        self._standings = standings
        self._limits = limits
        self._violations = violations
        self._tokens = tokens
        self._api_keys = api_keys
        self._pseudonym = pseudonym
        self._last_uses = last_uses
        self._clock = clock
        self._owners: dict[str, Claim] = {}  # of API keys, by digest

    async def admit(
        self, shown: Credentials, policy: Policy, address: str, correlation_id: str
    ) -> Admitted:
        """Count a call, and tell whose it is.

        Raises TooOften, and what reading streams raises.
        """
        claim = await self._claim(shown)
        limit = self._limits.limit_of(policy)
        visit = self._visit(claim, policy, limit, address)
        passage = await self._gate.enter(visit)
        allowance = Allowance(policy, limit, passage.remaining, passage.reset_after)
        if passage.retry_after is not None:
            self._violations.note(policy, visit.subject, 1, correlation_id)
            raise TooOften(allowance, passage.retry_after)
        caller = None
        if claim is not None:
            caller = await self._standings.caller(claim, passage.session, passage.account)
            if caller is not None:
                self._last_uses.note(claim.id, self._clock())
        return Admitted(caller, allowance)

    async def identify(self, shown: Credentials) -> Caller | None:
        """Who shows these credentials; not counted."""
        claim = await self._claim(shown)
        caller = None if claim is None else await self._standings.caller(claim)
        if caller is not None:
            self._last_uses.note(caller.session_id, self._clock())
        return caller

    def _visit(self, claim: Claim | None, policy: Policy, limit: Limit, address: str) -> Visit:
        strict = policy is Policy.AUTH
        if claim is None:
            subject = f"address:{self._pseudonym('address', address)}"
            return Visit(policy, limit.limit, limit.window, subject, strict=strict)
        return Visit(
            policy,
            limit.limit,
            limit.window,
            _subject_of(claim.account_id),
            claim.id,
            claim.account_id,
            strict,
        )

    async def _claim(self, shown: Credentials) -> Claim | None:
        if shown.access_token is not None:
            bearer = self._tokens.read(shown.access_token)
            return bearer and Claim(bearer.session_id, bearer.account_id)
        if shown.api_key is not None:
            return await self._key_claim(shown.api_key)
        return None

    async def _key_claim(self, shown: str) -> Claim | None:
        token = self._api_keys.read(shown)
        if token is None:
            return None
        claim = self._owners.get(token.digest)
        if claim is None:
            key = await self._executor.state(api_keys, token.id)
            if key is None or not compare_digest(key.token, token.digest):
                return None
            claim = Claim(token.id, key.account_id, is_key=True)
            if len(self._owners) >= REMEMBERED_KEYS:
                self._owners.clear()
            self._owners[token.digest] = claim
        return claim


@lru_cache(maxsize=REMEMBERED_ACCOUNTS)
def _subject_of(account_id: UUID) -> str:
    return f"account:{account_id}"
