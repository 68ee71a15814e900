"""What people and processes ask of a request."""

from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from domain.kernel import Command
from domain.media_requests.media import Episode, ForwardingProblem, Media, UpstreamStatus

# People


class RequestMedia(Command, frozen=True):
    """Ask for a title, with what the catalogue says of it."""

    media: Media
    title: str
    requested_by: UUID
    year: int | None = None
    poster_path: str | None = None
    tvdb_id: int | None = None
    seasons: tuple[int, ...] | None = None
    note: str | None = None
    episodes: tuple[Episode, ...] = ()
    all_seasons: tuple[int, ...] = ()
    needs_approval: bool = False


class ApproveRequest(Command, frozen=True):
    """Say yes to all that was asked for."""

    by: UUID


class DeclineRequest(Command, frozen=True):
    """Say no: to what waits for a word if something does, else to the whole request."""

    by: UUID
    reason: str


class ReopenRequest(Command, frozen=True):
    """Take a no back."""

    by: UUID


class WithdrawRequest(Command, frozen=True):
    """Take one's own request back."""

    by: UUID


class CancelRequest(Command, frozen=True):
    """Put an end to somebody else's request."""

    by: UUID
    reason: str | None = None


class FollowRequest(Command, frozen=True):
    """Be told too."""

    by: UUID


class UnfollowRequest(Command, frozen=True):
    """Not be told any more."""

    by: UUID


class RetryForwarding(Command, frozen=True):
    """Ask Overseerr anew, after it has failed."""

    by: UUID


class FulfilRequest(Command, frozen=True):
    """Say that it was put on the shelf by hand."""

    by: UUID


PersonsCommand: TypeAlias = (
    ApproveRequest
    | DeclineRequest
    | ReopenRequest
    | WithdrawRequest
    | CancelRequest
    | FollowRequest
    | UnfollowRequest
    | RetryForwarding
    | FulfilRequest
)

# Processes


class RecordForwarding(Command, frozen=True):
    """Overseerr answered with its own id for the request.

    ``revision`` is that of the request that was sent; ``None`` is the present one.
    """

    overseerr_id: int
    already_there: bool = False
    revision: int | None = None


class RecordForwardingFailure(Command, frozen=True):
    """Overseerr did not take the request, and may have asked to be left alone for a while."""

    problem: ForwardingProblem
    detail: str
    at: datetime
    retry_after: timedelta | None = None


class RecordCancelling(Command, frozen=True):
    """Overseerr has let go of a request."""

    overseerr_id: int


class RecordCancellingFailure(Command, frozen=True):
    """Overseerr did not let go of a request, and may have asked to be left alone for a while."""

    problem: ForwardingProblem
    detail: str
    at: datetime
    retry_after: timedelta | None = None


class RecordUpstream(Command, frozen=True):
    """Overseerr was asked how its request ``overseerr_id`` stands."""

    overseerr_id: int
    status: UpstreamStatus


RecordCommand: TypeAlias = (
    RecordForwarding
    | RecordForwardingFailure
    | RecordCancelling
    | RecordCancellingFailure
    | RecordUpstream
)
MediaRequestCommand: TypeAlias = RequestMedia | PersonsCommand | RecordCommand
