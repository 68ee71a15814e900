"""Opening accounts and signing in."""

from uuid import UUID

import msgspec

from application.execute import Context, Executor
from application.ports import AccessToken, AccessTokens, PasswordHasher
from domain.accounts import Account, OpenAccount, Role, account_id, accounts
from domain.kernel import DomainError


class WrongCredentials(DomainError):
    """The e-mail address or the password is wrong; which one is nobody's business."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class SignedIn(msgspec.Struct, frozen=True):
    """A person who has proved who they are."""

    account_id: UUID
    account: Account
    access: AccessToken


class Accounts:
    """The use cases of accounts."""

    def __init__(self, executor: Executor, hasher: PasswordHasher, tokens: AccessTokens) -> None:
        self._executor = executor
        self._hasher = hasher
        self._tokens = tokens

    async def open_account(self, email: str, password: str, role: Role, context: Context) -> UUID:
        """Let someone sign in; returns the account's id. Raises AccountExists or HasherBusy."""
        command = OpenAccount(email, await self._hasher.hash(password), role)
        await self._executor.execute(accounts, account_id(email), command, context)
        return account_id(email)

    async def sign_in(self, email: str, password: str) -> SignedIn:
        """Check a password. A wrong one and an unknown address take the same time.

        Raises WrongCredentials or HasherBusy.
        """
        identity = account_id(email)
        account = await self._executor.state(accounts, identity)
        right = await self._hasher.verify(password, account and account.password_hash)
        if account is None or not right:
            raise WrongCredentials
        return SignedIn(identity, account, self._tokens.issue(identity, account.role))

    async def account(self, identity: UUID) -> Account | None:
        """The account, or ``None`` when there is none."""
        return await self._executor.state(accounts, identity)
