"""What happens to a request."""

from datetime import datetime
from typing import ClassVar, TypeAlias
from uuid import UUID

from domain.kernel import Event
from domain.media_requests.media import Episode, ForwardingProblem, Media

# What people do


class MediaRequested(Event, frozen=True, tag="media_request.requested"):
    """A person asked for a title that had no active request.

    ``seasons`` is ``None`` for a film, and for a whole series; ``all_seasons`` are those that the
    series had by then. ``episodes`` are the only ones wanted of their seasons.
    """

    version: ClassVar[int] = 2

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


class MediaRequestExtended(Event, frozen=True, tag="media_request.extended"):
    """A person asked for more of a series whose request is active.

    With ``needs_approval`` what is approved already goes on meanwhile.
    """

    requested_by: UUID
    seasons: tuple[int, ...] | None = None
    episodes: tuple[Episode, ...] = ()
    note: str | None = None
    needs_approval: bool = False


class MediaRequestApproved(Event, frozen=True, tag="media_request.approved"):
    """An admin said yes to all that was asked for."""

    by: UUID


class MediaRequestDeclined(Event, frozen=True, tag="media_request.declined"):
    """An admin said no."""

    by: UUID
    reason: str


class ExtensionDeclined(Event, frozen=True, tag="media_request.extension_declined"):
    """An admin said no to what was asked for beyond what is approved."""

    by: UUID
    reason: str


class MediaRequestReopened(Event, frozen=True, tag="media_request.reopened"):
    """An admin takes the no back; the request awaits approval again."""

    by: UUID


class MediaRequestWithdrawn(Event, frozen=True, tag="media_request.withdrawn"):
    """Who asked for it does not want it any more."""

    by: UUID


class MediaRequestCancelled(Event, frozen=True, tag="media_request.cancelled"):
    """An admin put an end to somebody else's request."""

    by: UUID
    reason: str | None = None


class MediaRequestFollowed(Event, frozen=True, tag="media_request.followed"):
    """A person wants to be told too."""

    by: UUID


class MediaRequestUnfollowed(Event, frozen=True, tag="media_request.unfollowed"):
    """A person does not want to be told any more."""

    by: UUID


class ForwardingRetried(Event, frozen=True, tag="media_request.forwarding_retried"):
    """Overseerr is asked anew, by a person's wish or (``None``) by itself."""

    by: UUID | None = None


class MediaRequestFulfilled(Event, frozen=True, tag="media_request.fulfilled"):
    """An admin has put it on the shelf by hand."""

    by: UUID


# What Overseerr does


class MediaRequestForwarded(Event, frozen=True, tag="media_request.forwarded"):
    """Overseerr has the request. ``already_there`` tells that it was found, not made by us."""

    overseerr_id: int
    already_there: bool = False


class ForwardedInPart(Event, frozen=True, tag="media_request.forwarded_in_part"):
    """Overseerr has what was wanted before more was asked for; the rest is still to go."""

    overseerr_id: int
    already_there: bool = False


class ForwardedTooLate(Event, frozen=True, tag="media_request.forwarded_too_late"):
    """Overseerr has the request, which was ended meanwhile."""

    overseerr_id: int
    already_there: bool = False


class ForwardingFailed(Event, frozen=True, tag="media_request.forwarding_failed"):
    """Attempt number ``attempt`` to tell Overseerr failed; the next one is due at ``retry_at``."""

    attempt: int
    problem: ForwardingProblem
    detail: str
    failed_at: datetime
    retry_at: datetime


class ForwardingAbandoned(Event, frozen=True, tag="media_request.forwarding_abandoned"):
    """Overseerr will not be asked again by itself."""

    attempt: int
    problem: ForwardingProblem
    detail: str


class ForwardingCancelled(Event, frozen=True, tag="media_request.forwarding_cancelled"):
    """Overseerr has let go of a request that was ended here."""

    overseerr_id: int


class CancellingFailed(Event, frozen=True, tag="media_request.cancelling_failed"):
    """Overseerr did not let go of a request that was ended; next it is asked at ``retry_at``."""

    attempt: int
    problem: ForwardingProblem
    detail: str
    failed_at: datetime
    retry_at: datetime


class CancellingAbandoned(Event, frozen=True, tag="media_request.cancelling_abandoned"):
    """Overseerr keeps a request that was ended here, until a person looks."""

    attempt: int
    problem: ForwardingProblem
    detail: str


class UpstreamDeclined(Event, frozen=True, tag="media_request.upstream_declined"):
    """Somebody said no in Overseerr."""

    overseerr_id: int


class UpstreamFailed(Event, frozen=True, tag="media_request.upstream_failed"):
    """Overseerr could not pass the request on."""

    overseerr_id: int


class UpstreamMissing(Event, frozen=True, tag="media_request.upstream_missing"):
    """The request is gone from Overseerr."""

    overseerr_id: int


class UpstreamResumed(Event, frozen=True, tag="media_request.upstream_resumed"):
    """Overseerr goes on with a request that had failed or gone missing there."""

    overseerr_id: int


class MediaRequestPartlyAvailable(Event, frozen=True, tag="media_request.partly_available"):
    """Some of it is on the shelf."""


class MediaRequestAvailable(Event, frozen=True, tag="media_request.available"):
    """It is on the shelf. ``tell`` names who has not been told yet."""

    tell: tuple[UUID, ...]


class MediaRequestRemoved(Event, frozen=True, tag="media_request.removed"):
    """It is no longer on the shelf, and may be asked for again."""


MediaRequestEvent: TypeAlias = (
    MediaRequested
    | MediaRequestExtended
    | MediaRequestApproved
    | MediaRequestDeclined
    | ExtensionDeclined
    | MediaRequestReopened
    | MediaRequestWithdrawn
    | MediaRequestCancelled
    | MediaRequestFollowed
    | MediaRequestUnfollowed
    | ForwardingRetried
    | MediaRequestFulfilled
    | MediaRequestForwarded
    | ForwardedInPart
    | ForwardedTooLate
    | ForwardingFailed
    | ForwardingAbandoned
    | ForwardingCancelled
    | CancellingFailed
    | CancellingAbandoned
    | UpstreamDeclined
    | UpstreamFailed
    | UpstreamMissing
    | UpstreamResumed
    | MediaRequestPartlyAvailable
    | MediaRequestAvailable
    | MediaRequestRemoved
)
