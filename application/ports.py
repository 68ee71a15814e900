"""The roles the world plays for the use cases; infrastructure has the players.

Errors a port may raise stand beside it. They are refusals by the world, not by the domain::

    PortError
    ├── StoreBusy                 the store's queue is full: later
    ├── StoreUnavailable          the store cannot be reached, or did not answer in time
    ├── VersionConflict           somebody else appended first (the executor retries)
    ├── CommandIdReused           a command id came back with another command
    ├── UnreadableStream          a stream holds events of a newer version of MediaNest
    ├── UnknownTitle              the catalogue has no such title
    ├── CatalogueUnavailable      the catalogue cannot answer now
    ├── ForwardingFailure         Overseerr did not take the request
    └── HasherBusy                too many passwords are being checked already
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from domain.accounts import Role
from domain.kernel import Event, History, Metadata
from domain.media_requests import ForwardingProblem, Media, MediaRequest


class PortError(Exception):
    """The world did not do its part; the message is fit for a person."""


class Retriable(PortError):
    """The same may work later; ``retry_after`` says when, if the world did."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# The event store


class VersionConflict(PortError):
    """The stream has grown past the expected version."""


class CommandIdReused(PortError):
    """A command id was used before for something else."""

    def __init__(self) -> None:
        super().__init__("This command id was used before, for another command.")


class UnreadableStream(PortError):
    """A stream holds an event that this version cannot decode, so nothing may be decided on it."""

    def __init__(self) -> None:
        super().__init__("This was last changed by a newer version of MediaNest.")


class StoreBusy(Retriable):
    """More commands wait to be stored than the queue holds. Nothing was stored."""


class StoreUnavailable(Retriable):
    """No answer in time. The command may or may not be stored; repeat it with the same id."""


class NewEvents(msgspec.Struct, frozen=True):
    """What one command adds to one stream, as the versions after ``expected_version``."""

    stream_id: UUID
    expected_version: int
    command_id: UUID
    events: Sequence[tuple[Metadata, Event]]


class Appended(msgspec.Struct, frozen=True):
    """The position of a command's last event. ``repeated``: it was stored before, under its id."""

    position: int
    repeated: bool = False


class EventStore(Protocol):
    """Where events are kept, in one global order."""

    async def append(self, new: NewEvents) -> Appended:
        """Store all of ``new`` or nothing; returns once it is durable.

        A command id that was stored before answers with the first result and stores nothing.
        Raises VersionConflict, StoreBusy or StoreUnavailable.
        """
        ...

    async def read_stream(self, stream_id: UUID, *, after_version: int = 0) -> History:
        """A stream's events in order; empty for a stream that does not exist."""
        ...


class EventFeed(Protocol):
    """The events of the store as they come, for any number of readers in this process."""

    @property
    def head(self) -> int:
        """The position of the newest event this process knows of."""
        ...

    def subscribe(self, after: int | None = None) -> AsyncIterator[History]:
        """Every event behind position ``after``, in order, without a gap or a repeat, for ever.

        ``None`` begins with what comes next. Each step gives one or more events.
        """
        ...


class ReadModelProgress(Protocol):
    """How far the read models have come."""

    async def reached(self, read_model: str, position: int, within: timedelta) -> bool:
        """Wait until the read model shows ``position``; ``False`` when that took too long."""
        ...


# The catalogue of titles


class UnknownTitle(PortError):
    """The catalogue has no title under this id."""


class CatalogueUnavailable(Retriable):
    """The catalogue is down, slow, throttling us, or does not accept our key."""


class Title(msgspec.Struct, frozen=True):
    """What is known of a title. ``seasons`` are the numbers that exist (0 is the specials)."""

    name: str
    year: int | None = None
    poster_path: str | None = None
    tvdb_id: int | None = None
    seasons: tuple[int, ...] = ()


class MediaCatalogue(Protocol):
    """What titles exist."""

    async def look_up(self, media: Media) -> Title:
        """The title of ``media``. Raises UnknownTitle or CatalogueUnavailable, never guesses."""
        ...


# Those who fulfil requests


class ForwardingFailure(Retriable):
    """The request was not taken, or it is not known whether it was."""

    def __init__(
        self,
        problem: ForwardingProblem,
        message: str,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, retry_after)
        self.problem = problem


class RequestForwarder(Protocol):
    """Where requests are fulfilled."""

    async def find(self, request: MediaRequest) -> int | None:
        """Its id there, if there is an active one for the same title and quality, else ``None``.

        Raises ForwardingFailure.
        """
        ...

    async def submit(self, request: MediaRequest) -> int:
        """Make the request there and return its id. Raises ForwardingFailure.

        After a failure the request may still have been made: ``find`` it before trying again.
        """
        ...


# People


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


class AccessToken(msgspec.Struct, frozen=True):
    """What a signed-in person shows on each call."""

    token: str
    expires_in: timedelta


class Caller(msgspec.Struct, frozen=True):
    """Who asks."""

    account_id: UUID
    role: Role
    expires_at: datetime


class AccessTokens(Protocol):
    """Makes and reads access tokens."""

    def issue(self, account_id: UUID, role: Role) -> AccessToken:
        """A token for a person who has just proved who they are."""
        ...

    def read(self, token: str) -> Caller | None:
        """Who shows ``token``, or ``None`` when it is forged, expired or not an access token."""
        ...


class Clock(Protocol):
    """The time, so that tests may choose it."""

    def __call__(self) -> datetime:
        """Now, in UTC."""
        ...


class Ids(Protocol):
    """New ids, ordered by time, so that indexes grow at one end."""

    def __call__(self) -> UUID:
        """A UUID version 7."""
        ...
