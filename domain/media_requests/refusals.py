"""What may not happen to a request, and why.

The family::

DomainError
├── AlreadyRequested      the title has an active request
│   └── AlreadyAvailable  it is on the shelf
├── UnknownSeasons        the series has no such seasons
├── NotRequested          there is no such request
├── RequestOver           it was ended, or is on the shelf
├── NotDeclined           there is no no to take back
└── NotFailed             there is nothing to try again
"""

from collections.abc import Iterable
from uuid import UUID

from domain.kernel import DomainError
from domain.media_requests.media import RequestStatus


class AlreadyRequested(DomainError):
    """The title has an active request; ``request_id`` names it.

    ``may_follow`` tells that who asked is not going to be told of it, and could be.
    """

    def __init__(self, title: str, request_id: UUID, *, may_follow: bool = False) -> None:
        super().__init__(self._sentence(title))
        self.request_id = request_id
        self.may_follow = may_follow

    @staticmethod
    def _sentence(title: str) -> str:
        return f"“{title}” has already been requested."


class AlreadyAvailable(AlreadyRequested):
    """The title is on the shelf; ``request_id`` names the request that brought it there."""

    @staticmethod
    def _sentence(title: str) -> str:
        return f"“{title}” is available already."


class UnknownSeasons(DomainError):
    """The series has no such seasons."""

    def __init__(self, title: str, seasons: Iterable[int]) -> None:
        named = ", ".join(str(season) for season in sorted(seasons))
        super().__init__(f"“{title}” has no season {named}.")


class NotRequested(DomainError):
    """There is no such request."""

    def __init__(self) -> None:
        super().__init__("There is no such request.")


class RequestOver(DomainError):
    """The request has come to an end."""

    def __init__(self, status: RequestStatus) -> None:
        words = "is available" if status is RequestStatus.AVAILABLE else f"was {status.value}"
        super().__init__(f"This request {words}.")


class NotDeclined(DomainError):
    """Nobody has said no to the request."""

    def __init__(self) -> None:
        super().__init__("This request was neither declined nor cancelled.")


class NotFailed(DomainError):
    """The request has not failed."""

    def __init__(self) -> None:
        super().__init__("This request has not failed.")
