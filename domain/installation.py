"""This MediaNest as a whole: how it got its first admin."""

from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, Digest, DomainError, Event, stream_id

INSTALLATION = stream_id("installation")
"""There is one."""

# Events


class SetupOffered(Event, frozen=True, tag="installation.setup_offered"):
    """Whoever has the set-up token may make the first admin; ``token`` is its digest."""

    token: Digest


class SetupUsed(Event, frozen=True, tag="installation.setup_used"):
    """The token was used for this account; it is good for no other."""

    account_id: UUID


class SetupClosed(Event, frozen=True, tag="installation.setup_closed"):
    """There is an admin, so nobody needs the token."""


InstallationEvent: TypeAlias = SetupOffered | SetupUsed | SetupClosed


# Commands


class OfferSetup(Command, frozen=True):
    """Make the token with this digest the only good one, unless there is an admin."""

    token: str


class UseSetup(Command, frozen=True):
    """Open the first admin's account, or go on opening it. ``token`` is a digest."""

    token: str
    account_id: UUID


class CloseSetup(Command, frozen=True):
    """There is an admin now."""


InstallationCommand: TypeAlias = OfferSetup | UseSetup | CloseSetup


# Refusals


class WrongSetupToken(DomainError):
    """It is not the set-up token, or it was used."""

    def __init__(self) -> None:
        super().__init__("This is not the set-up token, or it was used already.")


# Decisions


class Installation(msgspec.Struct, frozen=True):
    """What the decisions about the set-up depend on; ``account_id`` is whom it was used for."""

    token: str | None = None
    account_id: UUID | None = None
    closed: bool = False


def decide(
    command: InstallationCommand, installation: Installation | None
) -> list[InstallationEvent]:
    """What follows from ``command``; raises WrongSetupToken."""
    now = installation or Installation()
    match command:
        case OfferSetup(token):
            return [] if now.closed else [SetupOffered(token)]
        case UseSetup(token, account_id):
            if now.closed or token != now.token:
                raise WrongSetupToken
            return [] if now.account_id else [SetupUsed(account_id)]
        case CloseSetup():
            return [] if now.closed else [SetupClosed()]
        case _:
            assert_never(command)


def evolve(installation: Installation | None, event: InstallationEvent) -> Installation | None:
    """The installation after ``event``."""
    now = installation or Installation()
    match event:
        case SetupOffered(token):
            return msgspec.structs.replace(now, token=token)
        case SetupUsed(account_id):
            return msgspec.structs.replace(now, account_id=account_id)
        case SetupClosed():
            return msgspec.structs.replace(now, closed=True)
        case _:
            assert_never(event)


installation: Decider[InstallationCommand, Installation, InstallationEvent] = Decider(
    "installation", (SetupOffered, SetupUsed, SetupClosed), decide, evolve
)
