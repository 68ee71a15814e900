"""How people prove who they are, and how what names them is kept."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from application.ports.kernel import PortError, Retriable


class HasherBusy(Retriable):
    """Too many passwords wait to be checked."""


class PasswordHasher(Protocol):
    """Slow on purpose, and never on the event loop. Both raise HasherBusy."""

    async def hash(self, password: str) -> str:
        """A PHC string for ``password``."""
        ...

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password. ``None`` costs the same time and is never right."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with weaker parameters than today's."""
        ...


class AccessToken(msgspec.Struct, frozen=True):
    """What a signed-in person shows on each call."""

    token: str
    expires_in: timedelta


class Bearer(msgspec.Struct, frozen=True):
    """Whom an access token was made for. Whether the session still stands is another question."""

    account_id: UUID
    session_id: UUID
    expires_at: datetime


class AccessTokens(Protocol):
    """Makes and reads access tokens."""

    def issue(self, account_id: UUID, session_id: UUID) -> AccessToken:
        """A short-lived token for a session."""
        ...

    def read(self, token: str) -> Bearer | None:
        """Who shows ``token``, or ``None`` when it is forged, expired or not an access token."""
        ...


class OpaqueToken(msgspec.Struct, frozen=True):
    """A token that means nothing outside: ``id`` says whose it is, ``digest`` is what is stored."""

    id: UUID
    token: str
    digest: str


class OpaqueTokens(Protocol):
    """Makes and reads one kind of opaque token: refresh tokens, or API keys."""

    def make(self, of: UUID) -> OpaqueToken:
        """A new token with 256 random bits, belonging to ``of``."""
        ...

    def successor(self, token: OpaqueToken) -> OpaqueToken:
        """The token that comes after ``token``: always the same one, which only we can know.

        So whoever repeats a refresh whose answer was lost is given the same token again, and the
        chain of a session's tokens never forks.
        """
        ...

    def read(self, token: str) -> OpaqueToken | None:
        """The token that was shown, or ``None`` when it is not of this kind."""
        ...


class Forgotten(PortError):
    """The person's key was destroyed."""

    def __init__(self) -> None:
        super().__init__("This account was forgotten.")


class PersonalData(Protocol):
    """Seals what names a person with a key of that person's own.

    Who destroys the key forgets the person: what was sealed can never be read again, wherever it
    stands. ``field`` is bound to the sealed text, so that texts cannot change places.
    """

    async def seal(self, owner: UUID, field: str, text: str) -> str:
        """``text``, sealed; the owner's key is made at first use. Raises Forgotten."""
        ...

    async def reveal(self, owner: UUID, field: str, sealed: str) -> str | None:
        """What was sealed, or ``None`` when the key was destroyed."""
        ...

    async def reveal_all(self, sealed: Iterable[tuple[UUID, str, str]]) -> Sequence[str | None]:
        """What was sealed, for many (owner, field, sealed) at once."""
        ...

    async def destroy(self, owner: UUID) -> None:
        """Destroy the owner's key, for ever."""
        ...


class Pseudonym(Protocol):
    """A name for something that must not be named, always the same; only we can make it."""

    def __call__(self, kind: str, value: str) -> UUID:
        """The pseudonym of a value, such as of an e-mail address (normalised by the caller)."""
        ...


# plex.tv


class BadPlexToken(PortError):
    """plex.tv does not accept the token."""

    def __init__(self) -> None:
        super().__init__("Plex does not accept this token. Sign in at Plex again.")


class UnknownPin(PortError):
    """plex.tv knows no such PIN, or not any more."""

    def __init__(self) -> None:
        super().__init__("This Plex PIN has expired. Start again.")


class PlexUnavailable(Retriable):
    """plex.tv or the Plex server does not answer; that says nothing about anybody's token."""


class PlexPin(msgspec.Struct, frozen=True):
    """A PIN that its owner confirms at ``auth_url``."""

    id: int
    code: str
    auth_url: str
    expires_in: timedelta


class PlexUser(msgspec.Struct, frozen=True):
    """Who holds a Plex token. ``owner``: the configured server is this person's own."""

    id: int
    username: str
    email: str | None
    owner: bool


class NoAccessToServer(PortError):
    """The Plex account has no access to the configured server."""

    def __init__(self) -> None:
        super().__init__("Your Plex account has no access to this Plex server.")


class PlexAccounts(Protocol):
    """Plex accounts, as plex.tv knows them. Every call may raise PlexUnavailable."""

    async def start_pin(self) -> PlexPin:
        """A new PIN to be confirmed."""
        ...

    async def claim_pin(self, pin_id: int, code: str) -> str | None:
        """The token of whoever has confirmed the PIN; ``None`` while nobody has.

        Raises UnknownPin, for a code that is not the PIN's too.
        """
        ...

    async def member(self, token: str) -> PlexUser:
        """Who holds the token, if they have access to the configured server.

        Raises BadPlexToken or NoAccessToServer.
        """
        ...


class LastUses(Protocol):
    """When sessions and API keys were last used; kept roughly, at little cost."""

    def note(self, of: UUID, at: datetime) -> None:
        """It is used now. Never waits."""
        ...

    async def of(self, ids: Iterable[UUID]) -> dict[UUID, datetime]:
        """When each was last used, as far as is known."""
        ...
