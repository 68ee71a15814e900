"""A person's account: opened with an e-mail address and a password."""

from enum import StrEnum
from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, DomainError, Event, stream_id


class Role(StrEnum):
    """What a person may do, beside their own things."""

    USER = "user"
    ADMIN = "admin"


# Events


class AccountOpened(Event, frozen=True, tag="account.opened"):
    """Someone may now sign in. ``password_hash`` is an Argon2id PHC string."""

    email: str
    password_hash: str
    role: Role


AccountEvent: TypeAlias = AccountOpened


# Commands


class OpenAccount(Command, frozen=True):
    """Let someone sign in with an e-mail address and a password."""

    email: str
    password_hash: str
    role: Role


AccountCommand: TypeAlias = OpenAccount


# Refusals


class AccountExists(DomainError):
    """The e-mail address has an account."""

    def __init__(self) -> None:
        super().__init__("There is already an account with this e-mail address.")


# Decisions


class Account(msgspec.Struct, frozen=True):
    """What the decisions about an account depend on."""

    email: str
    password_hash: str
    role: Role


def account_id(email: str) -> UUID:
    """One stream for each e-mail address, whatever its case, so no address has two accounts."""
    return stream_id("account", email.strip().casefold())


def decide(command: AccountCommand, account: Account | None) -> list[AccountEvent]:
    """What follows from ``command``; raises AccountExists."""
    match command:
        case OpenAccount(email, password_hash, role):
            if account is not None:
                raise AccountExists
            return [AccountOpened(email.strip(), password_hash, role)]
        case _:
            assert_never(command)


def evolve(_: Account | None, event: AccountEvent) -> Account | None:
    """The account after ``event``."""
    match event:
        case AccountOpened(email, password_hash, role):
            return Account(email, password_hash, role)
        case _:
            assert_never(event)


accounts: Decider[AccountCommand, Account, AccountEvent] = Decider(
    "account", (AccountOpened,), decide, evolve
)
