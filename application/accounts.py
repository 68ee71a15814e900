"""Accounts: opened and changed by their people, steered by admins, forgotten for good."""

from uuid import UUID

import msgspec

from application.execute import Context, Executed, Executor
from application.identities import Identities
from application.ports import EventStore, Ids, PasswordHasher, PersonalData
from application.standings import Caller, Standings
from domain.accounts import (
    Account,
    AccountCommand,
    AccountExists,
    AccountState,
    ChangeEmail,
    ChangePassword,
    ChangeRole,
    EndSessions,
    ForgetAccount,
    OpenAccount,
    RenameAccount,
    RestoreAccount,
    Role,
    SuspendAccount,
    UnknownAccount,
    accounts,
)
from domain.installation import INSTALLATION, CloseSetup, installation
from domain.kernel import DomainError, History


class WrongPassword(DomainError):
    """The present password, asked for before a change, is wrong."""

    def __init__(self) -> None:
        super().__init__("This is not the present password.")


class NoPassword(DomainError):
    """The account has no password that could be changed or asked for."""

    def __init__(self) -> None:
        super().__init__("This account has no password: its owner signs in through Plex.")


class Profile(msgspec.Struct, frozen=True):
    """A person, as they and the admins see them."""

    id: UUID
    role: Role
    state: AccountState
    email: str | None
    name: str | None


class Accounts:
    """The use cases of accounts."""

    def __init__(
        self,
        executor: Executor,
        store: EventStore,
        identities: Identities,
        standings: Standings,
        personal_data: PersonalData,
        hasher: PasswordHasher,
        ids: Ids,
    ) -> None:
        self._executor = executor
        self._store = store
        self._identities = identities
        self._standings = standings
        self._personal_data = personal_data
        self._hasher = hasher
        self._ids = ids

    async def open_account(
        self, email: str, password: str, role: Role, context: Context, *, as_: UUID | None = None
    ) -> UUID:
        """Let someone sign in with a password; the account's id, ``as_`` if it is given.

        Raises AccountExists or HasherBusy.
        """
        identity = self._identities.of_email(email)
        account_id = await self._identities.claim(
            identity, as_ or self._ids(), context.step("claim")
        )
        try:
            await self._open(account_id, identity, email.strip(), password, role, context)
        except AccountExists:
            await self._release_unless_theirs(identity, account_id, context)
            raise
        if role is Role.ADMIN:
            close = context.step("close set-up")
            await self._executor.execute(installation, INSTALLATION, CloseSetup(), close)
        return account_id

    async def _open(
        self,
        account_id: UUID,
        identity: UUID,
        email: str,
        password: str,
        role: Role,
        context: Context,
    ) -> None:
        if await self._executor.state(accounts, account_id) is not None:
            raise AccountExists  # without the cost of a hash
        password_hash = await self._hasher.hash(password)
        command = OpenAccount(
            role,
            identity,
            await self._seal(account_id, "email", email),
            await self._seal(account_id, "password", password_hash),
        )
        await self._executor.execute(accounts, account_id, command, context)

    async def _release_unless_theirs(
        self, identity: UUID, account_id: UUID, context: Context
    ) -> None:
        """The account was opened by another address meanwhile, so this one is free again."""
        opened = await self._executor.state(accounts, account_id)
        if opened is not None and opened.identity != identity:
            await self._identities.release(identity, account_id, context.step("release"))

    async def profile(self, account_id: UUID) -> Profile:
        """Who it is. Raises UnknownAccount."""
        account = await self._executor.state(accounts, account_id)
        if account is None or account.state is AccountState.FORGOTTEN:
            raise UnknownAccount
        return await self._profile(account_id, account)

    async def email_of(self, account_id: UUID) -> str | None:
        """The person's e-mail address, if they have one and were not forgotten."""
        account = await self._executor.state(accounts, account_id)
        if account is None or account.email is None:
            return None
        return await self._personal_data.reveal(account_id, "email", account.email)

    async def history(self, account_id: UUID) -> History:
        """Every event of an account, in order. Raises UnknownAccount."""
        history = await self._store.read_stream(account_id)
        if not history or not accounts.owns(history[0].event):
            raise UnknownAccount
        return history

    async def rename(
        self, account_id: UUID, name: str | None, context: Context
    ) -> Executed[Profile]:
        """Call the person otherwise."""
        sealed = None if name is None else await self._seal(account_id, "name", name)
        return await self._change(account_id, RenameAccount(sealed), context)

    async def change_email(
        self, caller: Caller, email: str, password: str, context: Context
    ) -> Executed[Profile]:
        """Sign in by another address from now on.

        Raises WrongPassword, NoPassword, AccountExists or HasherBusy.
        """
        account = await self._proved(caller.account_id, password)
        identity = self._identities.of_email(email)
        holder = await self._identities.claim(identity, caller.account_id, context.step("claim"))
        if holder != caller.account_id:
            raise AccountExists
        sealed = await self._seal(caller.account_id, "email", email.strip())
        changed = await self._change(caller.account_id, ChangeEmail(sealed, identity), context)
        if account.identity != identity:
            release = context.step("release")
            await self._identities.release(account.identity, caller.account_id, release)
        return changed

    async def change_password(
        self, caller: Caller, password: str, new_password: str, context: Context
    ) -> Executed[Profile]:
        """Take a new password, and end every other session.

        Raises WrongPassword, NoPassword or HasherBusy.
        """
        await self._proved(caller.account_id, password)
        password_hash = await self._hasher.hash(new_password)
        sealed = await self._seal(caller.account_id, "password", password_hash)
        command = ChangePassword(sealed, spared=caller.session_id)
        return await self._change(caller.account_id, command, context)

    async def end_sessions(self, account_id: UUID, context: Context) -> Executed[Profile]:
        """Sign the person out everywhere."""
        return await self._change(account_id, EndSessions(), context)

    async def grant(self, account_id: UUID, role: Role, context: Context) -> Executed[Profile]:
        """Let the person do other things. Raises UnknownAccount."""
        return await self._change(account_id, ChangeRole(role), context)

    async def suspend(self, account_id: UUID, context: Context) -> Executed[Profile]:
        """Keep the person out for now. Raises UnknownAccount."""
        return await self._change(account_id, SuspendAccount(), context)

    async def restore(self, account_id: UUID, context: Context) -> Executed[Profile]:
        """Let the person in again. Raises UnknownAccount."""
        return await self._change(account_id, RestoreAccount(), context)

    async def forget(self, account_id: UUID, context: Context) -> Executed[Account]:
        """Forget who this was, for ever; their requests stay, without a name.

        May be repeated, and then finishes what was cut off. Raises UnknownAccount.
        """
        forgotten = await self._executor.execute(accounts, account_id, ForgetAccount(), context)
        await self._standings.account_changed(account_id, forgotten.state, forgotten.version)
        await self.finish_forgetting(account_id, context)
        return forgotten

    async def finish_forgetting(self, account_id: UUID, context: Context) -> None:
        """Destroy the key of a forgotten account, and set free what its person signed in by."""
        account = await self._executor.state(accounts, account_id)
        if account is None or account.state is not AccountState.FORGOTTEN:
            return
        await self._personal_data.destroy(account_id)
        await self._identities.release(account.identity, account_id, context.step("release"))

    async def _change(
        self, account_id: UUID, command: AccountCommand, context: Context
    ) -> Executed[Profile]:
        changed = await self._executor.execute(accounts, account_id, command, context)
        await self._standings.account_changed(account_id, changed.state, changed.version)
        profile = await self._profile(account_id, changed.state)
        return Executed(profile, changed.position, changed.version, changed.repeated)

    async def _proved(self, account_id: UUID, password: str) -> Account:
        """The account, once its owner has shown the present password."""
        account = await self._executor.state(accounts, account_id)
        if account is None:
            raise UnknownAccount
        if account.password is None:
            raise NoPassword
        password_hash = await self._personal_data.reveal(account_id, "password", account.password)
        if not await self._hasher.verify(password, password_hash):
            raise WrongPassword
        return account

    async def _profile(self, account_id: UUID, account: Account) -> Profile:
        email, name = [
            sealed and await self._personal_data.reveal(account_id, field, sealed)
            for field, sealed in (("email", account.email), ("name", account.name))
        ]
        return Profile(account_id, account.role, account.state, email, name)

    async def _seal(self, account_id: UUID, field: str, text: str) -> str:
        return await self._personal_data.seal(account_id, field, text)
