"""A person's account: who may sign in, and as what.

What names the person is sealed before it comes here (``Sealed``): events, and all that is folded
from them, hold no e-mail address in the clear.
"""

from enum import StrEnum
from typing import Annotated, Any, TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.kernel import SECRET, Command, Decider, DomainError, Event

Sealed: TypeAlias = Annotated[str, SECRET]
"""A text that only the account's own key opens; it is gone for ever when the key is destroyed."""


class Role(StrEnum):
    """What a person may do, beside their own things."""

    USER = "user"
    ADMIN = "admin"


class AccountState(StrEnum):
    """Whether a person may use their account."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    FORGOTTEN = "forgotten"


# Events


class AccountOpened(Event, frozen=True, tag="account.opened"):
    """Someone may now sign in by ``identity``, a claim on an e-mail address or a Plex account.

    ``password`` is a sealed Argon2id PHC string; without one they sign in through Plex.
    """

    role: Role
    identity: UUID
    email: Sealed | None = None
    password: Sealed | None = None
    name: Sealed | None = None


class EmailChanged(Event, frozen=True, tag="account.email_changed"):
    """The person signs in by another e-mail address from now on."""

    email: Sealed
    identity: UUID
    replaced: UUID


class AccountRenamed(Event, frozen=True, tag="account.renamed"):
    """The person is called otherwise; without a ``name`` by their e-mail address."""

    name: Sealed | None


class PasswordChanged(Event, frozen=True, tag="account.password_changed"):
    """There is a new password, and every session but the ``spared`` one has ended."""

    password: Sealed
    spared: UUID | None = None


class PasswordRehashed(Event, frozen=True, tag="account.password_rehashed"):
    """The same password was hashed with stronger parameters."""

    password: Sealed


class SessionsEnded(Event, frozen=True, tag="account.sessions_ended"):
    """Every session of the account has ended."""


class RoleChanged(Event, frozen=True, tag="account.role_changed"):
    """The person may do other things from now on."""

    role: Role


class AccountSuspended(Event, frozen=True, tag="account.suspended"):
    """The person may do nothing until the account is restored; every session has ended."""


class AccountRestored(Event, frozen=True, tag="account.restored"):
    """The person may sign in again."""


class AccountForgotten(Event, frozen=True, tag="account.forgotten"):
    """Who this was is not to be known any more; the key of what was sealed is destroyed."""


AccountEvent: TypeAlias = (
    AccountOpened
    | EmailChanged
    | AccountRenamed
    | PasswordChanged
    | PasswordRehashed
    | SessionsEnded
    | RoleChanged
    | AccountSuspended
    | AccountRestored
    | AccountForgotten
)


# Commands


class OpenAccount(Command, frozen=True):
    """Let someone sign in."""

    role: Role
    identity: UUID
    email: Sealed | None = None
    password: Sealed | None = None
    name: Sealed | None = None


class ChangeEmail(Command, frozen=True):
    """Sign in by another e-mail address, which was claimed as ``identity``."""

    email: Sealed
    identity: UUID


class RenameAccount(Command, frozen=True):
    """Call the person otherwise."""

    name: Sealed | None


class ChangePassword(Command, frozen=True):
    """Take a new password, and end every session but ``spared``."""

    password: Sealed
    spared: UUID | None = None


class RehashPassword(Command, frozen=True):
    """Keep the same password, hashed anew; nothing happens if it was changed meanwhile."""

    replaced: Sealed
    password: Sealed


class EndSessions(Command, frozen=True):
    """Sign the person out everywhere."""


class ChangeRole(Command, frozen=True):
    """Let the person do other things."""

    role: Role


class SuspendAccount(Command, frozen=True):
    """Keep the person out for now."""


class RestoreAccount(Command, frozen=True):
    """Let the person in again."""


class ForgetAccount(Command, frozen=True):
    """Forget who this was."""


AccountCommand: TypeAlias = (
    OpenAccount
    | ChangeEmail
    | RenameAccount
    | ChangePassword
    | RehashPassword
    | EndSessions
    | ChangeRole
    | SuspendAccount
    | RestoreAccount
    | ForgetAccount
)


# Refusals


class AccountExists(DomainError):
    """The e-mail address has an account."""

    def __init__(self) -> None:
        super().__init__("There is already an account with this e-mail address.")


class UnknownAccount(DomainError):
    """There is no such account, or none any more."""

    def __init__(self) -> None:
        super().__init__("There is no such account.")


class AccountIsSuspended(DomainError):
    """The account must not be used now."""

    def __init__(self) -> None:
        super().__init__("This account is suspended. Ask an admin to restore it.")


# Decisions


class Account(msgspec.Struct, frozen=True):
    """What the decisions about an account depend on.

    ``epoch`` grows whenever all sessions end. A session belongs to the epoch in which it was
    opened, and stands only in that one, unless it is the one ``spared`` by the last change.
    """

    role: Role
    identity: UUID
    email: Sealed | None = None
    password: Sealed | None = None
    name: Sealed | None = None
    state: AccountState = AccountState.ACTIVE
    epoch: int = 0
    spared: UUID | None = None


def decide(command: AccountCommand, account: Account | None) -> list[AccountEvent]:
    """What follows from ``command``.

    Raises AccountExists, UnknownAccount or AccountIsSuspended.
    """
    if isinstance(command, OpenAccount):
        if account is not None:
            raise AccountExists
        return [
            AccountOpened(
                command.role, command.identity, command.email, command.password, command.name
            )
        ]
    if account is None:
        raise UnknownAccount
    if account.state is AccountState.FORGOTTEN:
        if isinstance(command, ForgetAccount):
            return []
        raise UnknownAccount
    if isinstance(command, ChangeRole | SuspendAccount | RestoreAccount | ForgetAccount):
        return _steer(command, account)
    if account.state is AccountState.SUSPENDED:
        raise AccountIsSuspended
    return _use(command, account)


def _steer(
    command: ChangeRole | SuspendAccount | RestoreAccount | ForgetAccount, account: Account
) -> list[AccountEvent]:
    """What admins do to accounts."""
    match command:
        case ChangeRole(role):
            return [RoleChanged(role)] if role is not account.role else []
        case SuspendAccount():
            return [AccountSuspended()] if account.state is AccountState.ACTIVE else []
        case RestoreAccount():
            return [AccountRestored()] if account.state is AccountState.SUSPENDED else []
        case ForgetAccount():
            return [AccountForgotten()]
        case _:
            assert_never(command)


def _use(
    command: ChangeEmail | RenameAccount | ChangePassword | RehashPassword | EndSessions,
    account: Account,
) -> list[AccountEvent]:
    """What people do to their own accounts."""
    match command:
        case ChangeEmail(email, identity):
            if identity == account.identity:
                return []
            return [EmailChanged(email, identity, replaced=account.identity)]
        case RenameAccount(name):
            return [AccountRenamed(name)] if name != account.name else []
        case ChangePassword(password, spared):
            return [PasswordChanged(password, spared)]
        case RehashPassword(replaced, password):
            return [PasswordRehashed(password)] if account.password == replaced else []
        case EndSessions():
            return [SessionsEnded()]
        case _:
            assert_never(command)


def evolve(account: Account | None, event: AccountEvent) -> Account | None:
    """The account after ``event``."""
    if isinstance(event, AccountOpened):
        return Account(event.role, event.identity, event.email, event.password, event.name)
    return account and msgspec.structs.replace(account, **_changes(account, event))


def _changes(account: Account, event: AccountEvent) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    match event:
        case EmailChanged(email, identity):
            changes = {"email": email, "identity": identity}
        case AccountRenamed(name):
            changes = {"name": name}
        case PasswordChanged(password, spared):
            changes = {"password": password, **_next_epoch(account, spared)}
        case PasswordRehashed(password):
            changes = {"password": password}
        case SessionsEnded():
            changes = _next_epoch(account)
        case RoleChanged(role):
            changes = {"role": role}
        case AccountSuspended():
            changes = {"state": AccountState.SUSPENDED, **_next_epoch(account)}
        case AccountRestored():
            changes = {"state": AccountState.ACTIVE}
        case AccountForgotten():
            gone = {"email": None, "password": None, "name": None}
            changes = {"state": AccountState.FORGOTTEN, **gone, **_next_epoch(account)}
        case AccountOpened():
            pass  # it is the beginning, and changes nothing that was
        case _:
            assert_never(event)
    return changes


def _next_epoch(account: Account, spared: UUID | None = None) -> dict[str, Any]:
    return {"epoch": account.epoch + 1, "spared": spared}


accounts: Decider[AccountCommand, Account, AccountEvent] = Decider(
    "account",
    (
        AccountOpened,
        EmailChanged,
        AccountRenamed,
        PasswordChanged,
        PasswordRehashed,
        SessionsEnded,
        RoleChanged,
        AccountSuspended,
        AccountRestored,
        AccountForgotten,
    ),
    decide,
    evolve,
)
