"""What a person signs in by: one claim for each e-mail address and each Plex account.

The stream's id is a pseudonym of the address, so no two accounts have the same one, and the store
does not tell whose it is.
"""

from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, Event

# Events


class IdentityClaimed(Event, frozen=True, tag="identity.claimed"):
    """It belongs to the account, which may not be open yet."""

    account_id: UUID


class IdentityReleased(Event, frozen=True, tag="identity.released"):
    """It is free again."""

    account_id: UUID


IdentityEvent: TypeAlias = IdentityClaimed | IdentityReleased


# Commands


class ClaimIdentity(Command, frozen=True):
    """Take it for an account. If it is taken, nothing happens, and the state says by whom."""

    account_id: UUID


class ReleaseIdentity(Command, frozen=True):
    """Give it back, if it belongs to the account."""

    account_id: UUID


IdentityCommand: TypeAlias = ClaimIdentity | ReleaseIdentity


# Decisions


class Identity(msgspec.Struct, frozen=True):
    """Whose it is; ``None`` when it is free."""

    account_id: UUID | None


def decide(command: IdentityCommand, identity: Identity | None) -> list[IdentityEvent]:
    """What follows from ``command``; nothing is refused."""
    holder = identity and identity.account_id
    match command:
        case ClaimIdentity(account_id):
            return [IdentityClaimed(account_id)] if holder is None else []
        case ReleaseIdentity(account_id):
            return [IdentityReleased(account_id)] if holder == account_id else []
        case _:
            assert_never(command)


def evolve(_: Identity | None, event: IdentityEvent) -> Identity | None:
    """Whose it is after ``event``."""
    match event:
        case IdentityClaimed(account_id):
            return Identity(account_id)
        case IdentityReleased():
            return Identity(None)
        case _:
            assert_never(event)


identities: Decider[IdentityCommand, Identity, IdentityEvent] = Decider(
    "identity", (IdentityClaimed, IdentityReleased), decide, evolve
)
