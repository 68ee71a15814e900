"""A session: one sign-in on one device, kept alive by refresh tokens that are used once each.

Source of the rules: OWASP ASVS 5.0, 7.3 (time-outs) and 10.4.5 (rotation, and reuse ends it all).
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from domain.accounts import Sealed
from domain.kernel import Command, Decider, Digest, DomainError, Event

IDLE = timedelta(days=30)
"""A session that is not refreshed for so long ends."""
LIFETIME = timedelta(days=365)
"""However busy it is, then one has to sign in again."""
GRACE = timedelta(seconds=30)
"""How long the token before may be shown again: its client may have lost the answer."""
REMEMBERED_TOKENS = 50
"""Used tokens by which a reuse is told from a guess; an older one opens nothing either."""


class SignInMethod(StrEnum):
    """How a person has proved who they are."""

    PASSWORD = "password"  # noqa: S105 - the name of a method
    PLEX = "plex"
    SETUP = "setup"


class SessionEnd(StrEnum):
    """Why a session was closed."""

    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    REUSE = "reuse"


# Events


class SessionOpened(Event, frozen=True, tag="session.opened"):
    """Someone has signed in. ``token`` is the digest of the refresh token.

    ``client`` says from where, sealed; ``epoch`` is the account's.
    """

    account_id: UUID
    epoch: int
    method: SignInMethod
    token: Digest
    opened_at: datetime
    expires_at: datetime
    client: Sealed | None = None


class SessionRefreshed(Event, frozen=True, tag="session.refreshed"):
    """The refresh token was used, and has a successor."""

    token: Digest
    refreshed_at: datetime
    expires_at: datetime


class RefreshTokenReused(Event, frozen=True, tag="session.refresh_token_reused"):
    """A token was used a second time, so somebody has a copy."""

    account_id: UUID
    client: Sealed | None = None


class SessionClosed(Event, frozen=True, tag="session.closed"):
    """The session is over."""

    account_id: UUID
    reason: SessionEnd


SessionEvent: TypeAlias = SessionOpened | SessionRefreshed | RefreshTokenReused | SessionClosed


# Commands


class OpenSession(Command, frozen=True):
    """Sign someone in."""

    account_id: UUID
    epoch: int
    method: SignInMethod
    token: str
    at: datetime
    client: Sealed | None = None


class RefreshSession(Command, frozen=True):
    """Use the refresh token with the digest ``shown``; ``successor`` is the next one's."""

    shown: str
    successor: str
    at: datetime
    client: Sealed | None = None


class CloseSession(Command, frozen=True):
    """End it."""

    reason: SessionEnd


SessionCommand: TypeAlias = OpenSession | RefreshSession | CloseSession


# Refusals


class SessionOver(DomainError):
    """The session was closed, or has expired."""

    def __init__(self) -> None:
        super().__init__("This session is over. Sign in again.")


class UnknownSession(DomainError):
    """The account has no such session."""

    def __init__(self) -> None:
        super().__init__("There is no such session.")


class SignInUsed(DomainError):
    """What proved the person has served its turn."""

    def __init__(self) -> None:
        super().__init__("This sign-in was completed already. Start again.")


# Decisions


class Session(msgspec.Struct, frozen=True):
    """What the decisions about a session depend on.

    ``used`` are the digests of former tokens, newest first.
    """

    account_id: UUID
    epoch: int
    token: str
    opened_at: datetime
    expires_at: datetime
    refreshed_at: datetime | None = None
    used: tuple[str, ...] = ()
    reused: bool = False
    closed: bool = False


def decide(command: SessionCommand, session: Session | None) -> list[SessionEvent]:
    """What follows from ``command``; raises SessionOver or SignInUsed.

    A reused token is an outcome, not a refusal: it closes the session.
    """
    if isinstance(command, OpenSession):
        if session is not None:
            raise SignInUsed
        expires_at = command.at + min(IDLE, LIFETIME)
        return [
            SessionOpened(
                command.account_id,
                command.epoch,
                command.method,
                command.token,
                command.at,
                expires_at,
                command.client,
            )
        ]
    if session is None:
        raise SessionOver
    match command:
        case RefreshSession():
            return _refresh(command, session)
        case CloseSession(reason):
            return [] if session.closed else [SessionClosed(session.account_id, reason)]
        case _:
            assert_never(command)


def _refresh(command: RefreshSession, session: Session) -> list[SessionEvent]:
    if session.closed or command.at >= session.expires_at:
        raise SessionOver
    if command.shown == session.token:
        expires_at = min(command.at + IDLE, session.opened_at + LIFETIME)
        return [SessionRefreshed(command.successor, command.at, expires_at)]
    if command.shown not in session.used:
        raise SessionOver  # a guess: whoever knows an id alone must not be able to end the session
    if _is_a_retry(command, session):
        return []
    return [
        RefreshTokenReused(session.account_id, command.client),
        SessionClosed(session.account_id, SessionEnd.REUSE),
    ]


def _is_a_retry(command: RefreshSession, session: Session) -> bool:
    """Whether the token is the one just before, and its successor is unused and fresh."""
    if session.refreshed_at is None or command.shown != session.used[0]:
        return False
    return command.successor == session.token and command.at - session.refreshed_at <= GRACE


def evolve(session: Session | None, event: SessionEvent) -> Session | None:
    """The session after ``event``."""
    if isinstance(event, SessionOpened):
        return Session(
            event.account_id, event.epoch, event.token, event.opened_at, event.expires_at
        )
    if session is None:
        return None
    match event:
        case SessionRefreshed(token, refreshed_at, expires_at):
            return msgspec.structs.replace(
                session,
                token=token,
                refreshed_at=refreshed_at,
                expires_at=expires_at,
                used=(session.token, *session.used[: REMEMBERED_TOKENS - 1]),
            )
        case RefreshTokenReused():
            return msgspec.structs.replace(session, reused=True)
        case SessionClosed():
            return msgspec.structs.replace(session, closed=True)
        case _:
            assert_never(event)


sessions: Decider[SessionCommand, Session, SessionEvent] = Decider(
    "session",
    (SessionOpened, SessionRefreshed, RefreshTokenReused, SessionClosed),
    decide,
    evolve,
)
