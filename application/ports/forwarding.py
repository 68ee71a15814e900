"""Who fulfils requests."""

from datetime import timedelta
from typing import Protocol

from application.ports.kernel import Retriable
from domain.media_requests import ForwardingProblem, MediaRequest, UpstreamStatus


class ForwardingFailure(Retriable):
    """It was not done there, or it is not known whether it was."""

    def __init__(
        self,
        problem: ForwardingProblem,
        message: str,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, retry_after)
        self.problem = problem


class RequestForwarder(Protocol):
    """Where requests are fulfilled. Every call may raise ForwardingFailure."""

    async def find(self, request: MediaRequest) -> int | None:
        """Its id there, if there is an active one for the same title and quality, else ``None``."""
        ...

    async def submit(self, request: MediaRequest, on_behalf_of: str | None = None) -> int:
        """Make the request there and return its id.

        It is made as the user there who has the e-mail address ``on_behalf_of``, so that their
        rights and quotas hold; where nobody has it, as the owner. After a failure the request may
        still have been made: ``find`` it before trying again.
        """
        ...

    async def look(
        self, overseerr_id: int, seasons: tuple[int, ...] | None = None
    ) -> UpstreamStatus:
        """How the request with this id stands there; MISSING when there is none.

        Of a series, it is available when all of ``seasons`` are; ``None``: those of the request.
        """
        ...

    async def cancel(self, overseerr_id: int) -> None:
        """Delete the request with this id; one that is not there is a no-op."""
        ...
