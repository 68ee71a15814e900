"""A request for a film or a series: from the asking, over Overseerr, to the shelf."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias, assert_never, get_args
from uuid import UUID

import msgspec

from domain.kernel import Command, Decider, DomainError, Event, stream_id

FIRST_RETRY_DELAY = timedelta(seconds=2)
LONGEST_RETRY_DELAY = timedelta(minutes=5)
"""Five minutes: soon enough after an outage that nobody asks, rare enough to bother nobody."""
PATIENCE = timedelta(days=7)
"""An upstream that is away for a holiday still gets the request; then a person must look."""


class MediaType(StrEnum):
    """What is asked for; film and series ids of TMDB overlap, so an id alone names nothing."""

    MOVIE = "movie"
    TV = "tv"


class Media(msgspec.Struct, frozen=True, rename="camel"):
    """One title in one quality slot: HD and 4K are asked for and fulfilled separately."""

    media_type: MediaType
    tmdb_id: int
    is4k: bool = False


class RequestStatus(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    """Made and kept; Overseerr has not answered yet."""
    FORWARDED = "forwarded"
    """Overseerr has it, under its own id."""
    FAILED = "failed"
    """Overseerr refused it, or could not be reached for longer than the patience allows."""


class ForwardingProblem(StrEnum):
    """Why an attempt to tell Overseerr failed."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    UPSTREAM_ERROR = "upstream_error"
    THROTTLED = "throttled"
    BAD_KEY = "bad_key"
    QUOTA_USED = "quota_used"
    REFUSED = "refused"


PERMANENT_PROBLEMS = frozenset({ForwardingProblem.REFUSED})
"""What waiting does not mend. A quota frees up, and a bad key is corrected while requests wait."""


# Events


class MediaRequested(Event, frozen=True, tag="media_request.requested"):
    """A person asked for a title. ``seasons`` is ``None`` for a film, and for a whole series."""

    media: Media
    title: str
    requested_by: UUID
    year: int | None = None
    poster_path: str | None = None
    tvdb_id: int | None = None
    seasons: tuple[int, ...] | None = None
    note: str | None = None


class MediaRequestForwarded(Event, frozen=True, tag="media_request.forwarded"):
    """Overseerr has the request. ``already_there`` tells that it was found, not made by us."""

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


MediaRequestEvent: TypeAlias = (
    MediaRequested | MediaRequestForwarded | ForwardingFailed | ForwardingAbandoned
)


# Commands


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


class RecordForwarding(Command, frozen=True):
    """Overseerr answered with its own id for the request."""

    overseerr_id: int
    already_there: bool = False


class RecordForwardingFailure(Command, frozen=True):
    """Overseerr did not take the request, and may have asked to be left alone for a while."""

    problem: ForwardingProblem
    detail: str
    at: datetime
    retry_after: timedelta | None = None


MediaRequestCommand: TypeAlias = RequestMedia | RecordForwarding | RecordForwardingFailure


# Refusals


class AlreadyRequested(DomainError):
    """The title has an active request; ``request_id`` names it."""

    def __init__(self, title: str, request_id: UUID) -> None:
        super().__init__(f"“{title}” has already been requested.")
        self.request_id = request_id


class UnknownSeasons(DomainError):
    """The series has no such seasons."""

    def __init__(self, title: str, seasons: Iterable[int]) -> None:
        named = ", ".join(str(season) for season in sorted(seasons))
        super().__init__(f"“{title}” has no season {named}.")


class NotRequested(DomainError):
    """There is no such request."""

    def __init__(self) -> None:
        super().__init__("There is no such request.")


# Decisions


class MediaRequest(msgspec.Struct, frozen=True):
    """What the decisions about a request depend on."""

    media: Media
    title: str
    requested_by: UUID
    year: int | None = None
    tvdb_id: int | None = None
    seasons: tuple[int, ...] | None = None
    status: RequestStatus = RequestStatus.PENDING
    overseerr_id: int | None = None
    attempts: int = 0
    first_failed_at: datetime | None = None


def media_request_id(media: Media) -> UUID:
    """One stream for each title and quality slot, so the store itself refuses a second request."""
    slot = "4k" if media.is4k else "hd"
    return stream_id("media_request", media.media_type, media.tmdb_id, slot)


def decide(command: MediaRequestCommand, request: MediaRequest | None) -> list[MediaRequestEvent]:
    """What follows from ``command``; raises AlreadyRequested or NotRequested."""
    match command:
        case RequestMedia():
            if request is not None:
                raise AlreadyRequested(request.title, media_request_id(request.media))
            return [msgspec.convert(command, MediaRequested, from_attributes=True)]
        case RecordForwarding(overseerr_id, already_there):
            if request is None:
                raise NotRequested
            if request.status is RequestStatus.FORWARDED:
                return []
            return [MediaRequestForwarded(overseerr_id, already_there)]
        case RecordForwardingFailure():
            if request is None:
                raise NotRequested
            if request.status is not RequestStatus.PENDING:
                return []
            return [_after_failure(command, request)]
        case _:
            assert_never(command)


def _after_failure(
    failure: RecordForwardingFailure, request: MediaRequest
) -> ForwardingFailed | ForwardingAbandoned:
    attempt = request.attempts + 1
    out_of_patience = failure.at - (request.first_failed_at or failure.at) >= PATIENCE
    if failure.problem in PERMANENT_PROBLEMS or out_of_patience:
        return ForwardingAbandoned(attempt, failure.problem, failure.detail)
    delay = max(retry_delay(attempt), failure.retry_after or timedelta())
    return ForwardingFailed(
        attempt, failure.problem, failure.detail, failure.at, retry_at=failure.at + delay
    )


def retry_delay(attempt: int) -> timedelta:
    """2, 4, 8 … seconds, at most LONGEST_RETRY_DELAY."""
    doublings = min(attempt - 1, 20)  # 2**20 is far over the longest delay, and never overflows
    return min(FIRST_RETRY_DELAY * 2**doublings, LONGEST_RETRY_DELAY)


def evolve(request: MediaRequest | None, event: MediaRequestEvent) -> MediaRequest | None:
    """The request after ``event``."""
    match event:
        case MediaRequested():
            return MediaRequest(
                media=event.media,
                title=event.title,
                requested_by=event.requested_by,
                year=event.year,
                tvdb_id=event.tvdb_id,
                seasons=event.seasons,
            )
        case MediaRequestForwarded(overseerr_id):
            return request and msgspec.structs.replace(
                request, status=RequestStatus.FORWARDED, overseerr_id=overseerr_id
            )
        case ForwardingFailed(attempt, failed_at=failed_at):
            return request and msgspec.structs.replace(
                request,
                attempts=attempt,
                first_failed_at=request.first_failed_at or failed_at,
            )
        case ForwardingAbandoned(attempt):
            return request and msgspec.structs.replace(
                request, status=RequestStatus.FAILED, attempts=attempt
            )
        case _:
            assert_never(event)


media_requests: Decider[MediaRequestCommand, MediaRequest, MediaRequestEvent] = Decider(
    "media_request", get_args(MediaRequestEvent), decide, evolve
)
