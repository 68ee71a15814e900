"""Everything about people, composed on players in memory: accounts, sessions, keys and limits."""

import asyncio
from datetime import time, timedelta
from uuid import UUID

import msgspec

from application.accounts import Accounts
from application.admission import Admission, Credentials
from application.api_keys import ApiKeys
from application.execute import Context, Executor
from application.identities import Identities
from application.rate_limits import RateLimits, RateLimitViolations
from application.setup import Setup
from application.sign_in import Client, SignedIn, SignIn
from application.standings import Caller, Standings
from domain.accounts import Role
from domain.api_keys import Scope
from domain.rate_limits import INTERVAL, Limit, Policy
from domain.sessions import SignInMethod
from infrastructure.security.access_tokens import LIFETIME, JwtAccessTokens
from infrastructure.security.keyring import SigningKey, SigningKeys
from infrastructure.security.opaque_tokens import OpaqueTokenMint
from infrastructure.security.personal_data import KeyedPseudonym
from tests.fakes import (
    InMemoryEventStore,
    InMemoryGate,
    InMemoryLastUses,
    InMemoryPersonalData,
    InMemoryPlex,
    PlainHasher,
    SettableClock,
    new_id,
)

PASSWORD = "correct horse battery staple"
SECRET = "a secret of these tests and of nothing else"
UNLIMITED = {policy: Limit(100_000, 3600) for policy in Policy}
AT_HOME = Client("127.0.0.1", "tests")


class Person(msgspec.Struct, frozen=True):
    """Somebody who is signed in."""

    id: UUID
    email: str
    signed_in: SignedIn

    @property
    def token(self) -> str:
        return self.signed_in.access.token

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class People:
    """The use cases of people, and the players they stand on."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = InMemoryEventStore()
        self.hasher = PlainHasher()
        self.gate = InMemoryGate(self.clock)
        self.plex = InMemoryPlex()
        self.personal_data = InMemoryPersonalData()
        self.last_uses = InMemoryLastUses()
        self.pseudonym = KeyedPseudonym(SECRET)
        self.signing_keys = SigningKeys([SigningKey.random(self.clock())], self.clock)
        self.tokens = JwtAccessTokens(self.signing_keys, self.clock)
        self.refresh_tokens = OpaqueTokenMint(SECRET, "mnr")
        self.api_key_tokens = OpaqueTokenMint(SECRET, "mnk")
        self.executor = Executor(self.store, self.clock, new_id)
        self.standings = Standings(self.executor, self.gate, self.store, self.clock)
        self.identities = Identities(self.executor, self.pseudonym)
        self.accounts = Accounts(
            self.executor,
            self.store,
            self.identities,
            self.standings,
            self.personal_data,
            self.hasher,
            new_id,
        )
        self.sign_in = SignIn(
            self.executor,
            self.identities,
            self.standings,
            self.personal_data,
            self.hasher,
            self.tokens,
            self.refresh_tokens,
            self.plex,
            self.clock,
            new_id,
        )
        self.api_keys = ApiKeys(
            self.executor,
            self.standings,
            self.personal_data,
            self.api_key_tokens,
            self.clock,
            new_id,
        )
        self.setup = Setup(self.executor, self.accounts, OpaqueTokenMint(SECRET, "mns"), new_id)
        self.rate_limits = RateLimits(self.executor, self.store, UNLIMITED)
        self.violations = RateLimitViolations(self.executor, self.clock, new_id)
        self.admission = Admission(
            self.executor,
            self.gate,
            self.standings,
            self.rate_limits,
            self.violations,
            self.tokens,
            self.api_key_tokens,
            self.pseudonym,
            self.last_uses,
            self.clock,
        )

    async def person(self, email: str, role: Role = Role.USER) -> Person:
        """Open an account and sign in."""
        account_id = await self.accounts.open_account(email, PASSWORD, role, context("system:test"))
        return await self.again(account_id, email)

    async def again(self, account_id: UUID, email: str) -> Person:
        """Another session of somebody who has an account."""
        signed_in = await self.sign_in.as_account(
            account_id, SignInMethod.PASSWORD, AT_HOME, context("system:test")
        )
        return Person(account_id, email, signed_in)

    async def caller(self, token: str) -> Caller:
        """Who shows an access token that is good."""
        caller = await self.admission.identify(Credentials(access_token=token))
        assert caller is not None
        return caller

    async def is_in(self, person: Person) -> bool:
        """Whether the person's session still stands; the token itself is good in any case."""
        token = self.token_for(person)
        return await self.admission.identify(Credentials(access_token=token)) is not None

    async def api_key(self, person: Person, *scopes: Scope) -> dict[str, str]:
        """The header of a new API key of the person."""
        expires_at = self.clock() + timedelta(days=1)
        _, key, _ = await self.api_keys.make(
            person.id, "a key", scopes, expires_at, context("system:test")
        )
        return {"X-Api-Key": key}

    def token_for(self, person: Person, lifetime: timedelta = LIFETIME) -> str:
        """Another token of the person's session, of another lifetime."""
        tokens = JwtAccessTokens(self.signing_keys, self.clock, lifetime=lifetime)
        return tokens.issue(person.id, person.signed_in.session_id).token

    async def limit(self, policy: Policy, calls: int, seconds: int = 3600) -> None:
        """Change a limit, as an admin would."""
        await self.rate_limits.change(policy, calls, seconds, context("system:test"))

    async def recorded(self) -> None:
        """Let every violation that was noted be recorded."""
        if self.clock().time() < time(minute=1):  # then none are
            self.clock.ahead += INTERVAL
        recording = asyncio.create_task(self.violations.record())
        head = self.store.head
        async with asyncio.timeout(5):
            while self.store.head == head:
                await asyncio.sleep(0)
        recording.cancel()


def context(actor: str) -> Context:
    return Context(actor, "test", new_id())
