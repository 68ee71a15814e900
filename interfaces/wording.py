"""What happened, said to a person."""

from typing import assert_never

from domain.kernel import Unreadable
from domain.media_requests import (
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    MediaRequested,
    MediaRequestEvent,
    MediaRequestForwarded,
)


def in_words(event: MediaRequestEvent | Unreadable) -> str:
    """One sentence or two on an event of a request."""
    match event:
        case MediaRequested():
            return f"Asked for {_wish(event)}."
        case MediaRequestForwarded(overseerr_id, already_there=True):
            return f"Overseerr had it already, as number {overseerr_id}."
        case MediaRequestForwarded(overseerr_id):
            return f"Overseerr took it as number {overseerr_id}."
        case ForwardingFailed(attempt, problem, retry_at=retry_at):
            when = f"{retry_at:%Y-%m-%d %H:%M:%S} UTC"
            return f"Attempt {attempt} failed: {_cause(problem)}. The next one is due at {when}."
        case ForwardingAbandoned(attempt, problem):
            return f"Given up after attempt {attempt}: {_cause(problem)}."
        case Unreadable():
            return "Something that only a newer version of MediaNest understands."
        case _:
            assert_never(event)


def _wish(event: MediaRequested) -> str:
    year = f" ({event.year})" if event.year else ""
    quality = " in 4K" if event.media.is4k else ""
    match event.seasons:
        case None:
            seasons = ""
        case (season,):
            seasons = f", season {season}"
        case seasons:
            seasons = f", seasons {', '.join(str(season) for season in seasons)}"
    return f"“{event.title}”{year}{quality}{seasons}"


def _cause(problem: ForwardingProblem) -> str:
    match problem:
        case ForwardingProblem.UNREACHABLE:
            cause = "Overseerr could not be reached"
        case ForwardingProblem.TIMED_OUT:
            cause = "Overseerr did not answer in time"
        case ForwardingProblem.UPSTREAM_ERROR:
            cause = "Overseerr had an error of its own"
        case ForwardingProblem.THROTTLED:
            cause = "Overseerr asked us to slow down"
        case ForwardingProblem.BAD_KEY:
            cause = "Overseerr did not accept our key"
        case ForwardingProblem.QUOTA_USED:
            cause = "the quota in Overseerr is used up"
        case ForwardingProblem.REFUSED:
            cause = "Overseerr refused the request"
        case _:
            assert_never(problem)
    return cause
