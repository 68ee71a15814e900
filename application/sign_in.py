"""Signing in and out: with a password, through Plex, and by refreshing."""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import msgspec
import structlog

from application.execute import Context, Executed, Executor
from application.identities import Identities
from application.ports import (
    AccessToken,
    AccessTokens,
    Clock,
    Ids,
    OpaqueTokens,
    PasswordHasher,
    PersonalData,
    PlexAccounts,
    PlexPin,
    PlexUser,
)
from application.standings import Caller, Standings
from domain.accounts import (
    Account,
    AccountExists,
    AccountIsSuspended,
    AccountState,
    OpenAccount,
    RehashPassword,
    Role,
    accounts,
)
from domain.kernel import DomainError, stream_id
from domain.sessions import (
    CloseSession,
    OpenSession,
    RefreshSession,
    Session,
    SessionEnd,
    SessionOver,
    SignInMethod,
    UnknownSession,
    sessions,
)
from domain.sign_ins import RecordFailedSignIn, sign_ins, sign_ins_id

log = structlog.get_logger()

MOST_NOTES = 100
"""Failed sign-ins that wait to be recorded; more at once are an attack, whose first were noted."""
NOBODY = UUID(int=0)
"""Read in the place of the account of an unknown address, so that it takes the same time."""


class WrongCredentials(DomainError):
    """The e-mail address or the password is wrong; which one is nobody's business."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class Client(msgspec.Struct, frozen=True, rename="camel"):
    """From where somebody signs in, for their own eyes."""

    address: str
    user_agent: str | None = None


class SignedIn(msgspec.Struct, frozen=True):
    """A person who has proved who they are, and what they may show from now on."""

    account_id: UUID
    account: Account
    session_id: UUID
    access: AccessToken
    refresh_token: str
    position: int


class SignIn:
    """The use cases of sessions."""

    def __init__(
        self,
        executor: Executor,
        identities: Identities,
        standings: Standings,
        personal_data: PersonalData,
        hasher: PasswordHasher,
        access_tokens: AccessTokens,
        refresh_tokens: OpaqueTokens,
        plex: PlexAccounts,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._executor = executor
        self._identities = identities
        self._standings = standings
        self._personal_data = personal_data
        self._hasher = hasher
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._plex = plex
        self._clock = clock
        self._ids = ids
        self._notes: set[asyncio.Task[None]] = set()

    async def with_password(
        self, email: str, password: str, client: Client, context: Context
    ) -> SignedIn:
        """Sign in. A wrong password and an unknown address take the same time.

        Raises WrongCredentials, AccountIsSuspended (to who knows the password) or HasherBusy.
        """
        holder = await self._identities.holder(self._identities.of_email(email))
        account = await self._executor.state(accounts, holder or NOBODY)
        password_hash = None
        if holder is not None and account is not None and account.password is not None:
            password_hash = await self._personal_data.reveal(holder, "password", account.password)
        right = await self._hasher.verify(password, password_hash)
        if holder is None or account is None or password_hash is None:
            raise WrongCredentials
        if not right:
            self._note(self._record_failure(holder, client, context))
            raise WrongCredentials
        if self._hasher.is_outdated(password_hash):
            await self._rehash(holder, account, password, context)
        return await self._open(holder, account, SignInMethod.PASSWORD, client, context)

    async def with_plex(
        self, token: str, client: Client, context: Context, *, session_id: UUID | None = None
    ) -> SignedIn:
        """Sign in with a Plex token; the first time, the account is opened.

        Raises BadPlexToken, NoAccessToServer, PlexUnavailable, AccountIsSuspended or SignInUsed.
        """
        member = await self._plex.member(token)
        identity = self._identities.of_plex(member.id)
        account_id = await self._identities.claim(identity, self._ids(), context.step("claim"))
        account = await self._executor.state(accounts, account_id)
        if account is None:
            account = await self._open_plex_account(account_id, identity, member, context)
        method = SignInMethod.PLEX
        return await self._open(account_id, account, method, client, context, session_id)

    async def start_pin(self) -> PlexPin:
        """A PIN to be confirmed at Plex. Raises PlexUnavailable."""
        return await self._plex.start_pin()

    async def with_pin(
        self, pin_id: int, code: str, client: Client, context: Context
    ) -> SignedIn | None:
        """Sign in once with a PIN; ``None`` while nobody has confirmed it.

        Raises UnknownPin, SignInUsed, and what ``with_plex`` raises.
        """
        token = await self._plex.claim_pin(pin_id, code)
        if token is None:
            return None
        session_id = stream_id("plex_pin", pin_id, code)
        return await self.with_plex(token, client, context, session_id=session_id)

    async def as_account(
        self, account_id: UUID, method: SignInMethod, client: Client, context: Context
    ) -> SignedIn:
        """Sign in somebody who has proved otherwise who they are."""
        account = await self._executor.state(accounts, account_id)
        if account is None:
            raise WrongCredentials
        return await self._open(account_id, account, method, client, context)

    async def refresh(self, token: str, client: Client, context: Context) -> SignedIn:
        """Use a refresh token, once; its successor is the next.

        A token that was used before closes the session, which is recorded. Raises SessionOver.
        """
        shown = self._refresh_tokens.read(token)
        session = shown and await self._executor.state(sessions, shown.id)
        if shown is None or session is None:
            raise SessionOver
        account = await self._executor.state(accounts, session.account_id)
        if account is None or not _is_of(shown.id, session, account):
            raise SessionOver
        successor = self._refresh_tokens.successor(shown)
        sealed = await self._sealed(session.account_id, client)
        command = RefreshSession(shown.digest, successor.digest, self._clock(), sealed)
        refreshed = await self._executor.execute(sessions, shown.id, command, context)
        await self._standings.session_changed(shown.id, refreshed.state, refreshed.version)
        if refreshed.state.closed:
            log.warning("refresh token reused", session_id=str(shown.id))
            raise SessionOver
        return self._signed_in(account, shown.id, refreshed, successor.token)

    def session_of(self, refresh_token: str) -> UUID | None:
        """The session that the token claims to be of; whether it is good is not said."""
        shown = self._refresh_tokens.read(refresh_token)
        return shown and shown.id

    async def sign_out(self, caller: Caller, context: Context) -> int:
        """Close the caller's session; the position."""
        return await self._close(caller.session_id, SessionEnd.SIGNED_OUT, context)

    async def close(self, account_id: UUID, session_id: UUID, context: Context) -> int:
        """Close one of the account's sessions; the position. Raises UnknownSession for others."""
        session = await self._executor.state(sessions, session_id)
        if session is None or session.account_id != account_id:
            raise UnknownSession
        return await self._close(session_id, SessionEnd.REVOKED, context)

    async def aclose(self) -> None:
        """Wait for what is still to be recorded."""
        await asyncio.gather(*self._notes, return_exceptions=True)

    async def _close(self, session_id: UUID, reason: SessionEnd, context: Context) -> int:
        closed = await self._executor.execute(sessions, session_id, CloseSession(reason), context)
        await self._standings.session_changed(session_id, closed.state, closed.version)
        return closed.position

    async def _open(
        self,
        account_id: UUID,
        account: Account,
        method: SignInMethod,
        client: Client,
        context: Context,
        session_id: UUID | None = None,
    ) -> SignedIn:
        if account.state is AccountState.SUSPENDED:
            raise AccountIsSuspended
        token = self._refresh_tokens.make(session_id or self._ids())
        sealed = await self._sealed(account_id, client)
        command = OpenSession(
            account_id, account.epoch, method, token.digest, self._clock(), sealed
        )
        own = msgspec.structs.replace(context, actor=f"account:{account_id}")
        opened = await self._executor.execute(sessions, token.id, command, own)
        return self._signed_in(account, token.id, opened, token.token)

    def _signed_in(
        self, account: Account, session_id: UUID, executed: Executed[Session], refresh_token: str
    ) -> SignedIn:
        account_id = executed.state.account_id
        access = self._access_tokens.issue(account_id, session_id)
        return SignedIn(account_id, account, session_id, access, refresh_token, executed.position)

    async def _open_plex_account(
        self, account_id: UUID, identity: UUID, member: PlexUser, context: Context
    ) -> Account:
        """A first sign-in through Plex makes a user, even of the server's owner.

        Admins are made by the set-up token, or by other admins.
        """
        seal = self._personal_data.seal
        email = member.email and await seal(account_id, "email", member.email)
        name = await seal(account_id, "name", member.username)
        command = OpenAccount(Role.USER, identity, email, name=name)
        step = context.step("open")
        try:
            return (await self._executor.execute(accounts, account_id, command, step)).state
        except AccountExists:  # a second sign-in at the same time was faster
            found = await self._executor.state(accounts, account_id)
            if found is None:
                raise
            return found

    async def _rehash(
        self, account_id: UUID, account: Account, password: str, context: Context
    ) -> None:
        stronger = await self._hasher.hash(password)
        sealed = await self._personal_data.seal(account_id, "password", stronger)
        command = RehashPassword(account.password or "", sealed)
        await self._executor.execute(accounts, account_id, command, context.step("rehash"))

    async def _record_failure(self, account_id: UUID, client: Client, context: Context) -> None:
        now = self._clock()
        sealed = await self._sealed(account_id, client)
        command = RecordFailedSignIn(account_id, now, sealed)
        await self._executor.execute(sign_ins, sign_ins_id(account_id, now), command, context)

    def _note(self, recording: Coroutine[Any, Any, None]) -> None:
        """Record off the way of the answer, which would else take longer for an address we know."""
        if len(self._notes) >= MOST_NOTES:
            recording.close()
            return
        task = asyncio.create_task(recording)
        self._notes.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Task[None]) -> None:
        self._notes.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("failed sign-in not recorded", error=type(error).__name__)

    async def _sealed(self, account_id: UUID, client: Client) -> str:
        text = msgspec.json.encode(client).decode()
        return await self._personal_data.seal(account_id, "client", text)


def _is_of(session_id: UUID, session: Session, account: Account) -> bool:
    """Whether the account still lets the session stand."""
    same = session.epoch == account.epoch or session_id == account.spared
    return account.state is AccountState.ACTIVE and same
