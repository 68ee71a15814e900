"""What titles exist, and who fetches them."""

from datetime import timedelta
from typing import Protocol

import msgspec

from application.ports.kernel import PortError, Retriable
from domain.media_requests import ForwardingProblem, Media, MediaRequest


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
