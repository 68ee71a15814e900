"""Sign-ins that failed, for the eyes of the person whose account was tried."""

from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import msgspec

from domain.accounts import Sealed
from domain.kernel import Command, Decider, Event, stream_id

INTERVAL = timedelta(minutes=1)
"""Between two events about one account, however often it is tried."""


class SignInFailed(Event, frozen=True, tag="sign_in.failed"):
    """Somebody tried, with a wrong password. ``client`` says from where, sealed."""

    account_id: UUID
    at: datetime
    client: Sealed | None = None


SignInEvent: TypeAlias = SignInFailed


class RecordFailedSignIn(Command, frozen=True):
    """Tell the person, unless they were told within the last INTERVAL."""

    account_id: UUID
    at: datetime
    client: Sealed | None = None


SignInCommand: TypeAlias = RecordFailedSignIn


class FailedSignIns(msgspec.Struct, frozen=True):
    """When the last one was told."""

    last_at: datetime


def sign_ins_id(account_id: UUID, at: datetime) -> UUID:
    """One stream a day for each account, so that none grows long under an attack."""
    return stream_id("sign_in", str(account_id), at.date().isoformat())


def decide(command: SignInCommand, past: FailedSignIns | None) -> list[SignInEvent]:
    """What follows from ``command``; nothing is refused."""
    if past is not None and command.at < past.last_at + INTERVAL:
        return []
    return [SignInFailed(command.account_id, command.at, command.client)]


def evolve(_: FailedSignIns | None, event: SignInEvent) -> FailedSignIns | None:
    """What is known after ``event``."""
    return FailedSignIns(event.at)


sign_ins: Decider[SignInCommand, FailedSignIns, SignInEvent] = Decider(
    "sign_in", (SignInFailed,), decide, evolve
)
