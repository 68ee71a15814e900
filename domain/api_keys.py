"""API keys: what programs show instead of signing in."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.accounts import Sealed
from domain.kernel import Command, Decider, Digest, DomainError, Event

LONGEST_LIFE = timedelta(days=366)


class Scope(StrEnum):
    """What a key may be used for, at most what its owner may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


# Events


class ApiKeyMade(Event, frozen=True, tag="api_key.made"):
    """A program may act for the account. ``token`` is the key's digest."""

    account_id: UUID
    name: Sealed
    scopes: tuple[Scope, ...]
    token: Digest
    expires_at: datetime


class ApiKeyRevoked(Event, frozen=True, tag="api_key.revoked"):
    """The key opens nothing any more."""

    account_id: UUID


ApiKeyEvent: TypeAlias = ApiKeyMade | ApiKeyRevoked


# Commands


class MakeApiKey(Command, frozen=True):
    """Let a program act for the account."""

    account_id: UUID
    name: Sealed
    scopes: tuple[Scope, ...]
    token: str
    at: datetime
    expires_at: datetime


class RevokeApiKey(Command, frozen=True):
    """Take the key back. Only its owner can."""

    account_id: UUID


ApiKeyCommand: TypeAlias = MakeApiKey | RevokeApiKey


# Refusals


class UnknownApiKey(DomainError):
    """The account has no such key."""

    def __init__(self) -> None:
        super().__init__("There is no such API key.")


class WrongExpiry(DomainError):
    """The key would expire in the past, or too late."""

    def __init__(self) -> None:
        super().__init__(f"Must be in the future, and within {LONGEST_LIFE.days} days.")


# Decisions


class ApiKey(msgspec.Struct, frozen=True):
    """What the decisions about a key depend on."""

    account_id: UUID
    scopes: tuple[Scope, ...]
    token: str
    expires_at: datetime
    revoked: bool = False


def decide(command: ApiKeyCommand, key: ApiKey | None) -> list[ApiKeyEvent]:
    """What follows from ``command``; raises UnknownApiKey or WrongExpiry."""
    match command:
        case MakeApiKey(account_id, name, scopes, token, at, expires_at):
            if key is not None:
                return []
            if not at < expires_at <= at + LONGEST_LIFE:
                raise WrongExpiry
            return [ApiKeyMade(account_id, name, scopes, token, expires_at)]
        case RevokeApiKey(account_id):
            if key is None or key.account_id != account_id:
                raise UnknownApiKey
            return [] if key.revoked else [ApiKeyRevoked(account_id)]
        case _:
            assert_never(command)


def evolve(key: ApiKey | None, event: ApiKeyEvent) -> ApiKey | None:
    """The key after ``event``."""
    match event:
        case ApiKeyMade(account_id, _, scopes, token, expires_at):
            return ApiKey(account_id, scopes, token, expires_at)
        case ApiKeyRevoked():
            return key and msgspec.structs.replace(key, revoked=True)
        case _:
            assert_never(event)


api_keys: Decider[ApiKeyCommand, ApiKey, ApiKeyEvent] = Decider(
    "api_key", (ApiKeyMade, ApiKeyRevoked), decide, evolve
)
