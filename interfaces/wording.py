"""What happened, said to a person."""

from datetime import datetime
from typing import assert_never

import msgspec

from domain import media_requests as m
from domain.kernel import Unreadable
from domain.media_requests import Episode, ForwardingProblem, MediaRequestEvent

_SENTENCES: dict[type[MediaRequestEvent], str] = {
    m.MediaRequestApproved: "Approved.",
    m.MediaRequestDeclined: "Declined: {reason}",
    m.ExtensionDeclined: "What was asked for beyond the approved was declined: {reason}",
    m.MediaRequestReopened: "The no was taken back; it waits for approval again.",
    m.MediaRequestWithdrawn: "Taken back by who had asked for it.",
    m.MediaRequestFollowed: "One more wants to be told.",
    m.MediaRequestUnfollowed: "One less wants to be told.",
    m.MediaRequestFulfilled: "Put on the shelf by hand.",
    m.ForwardedInPart: (
        "Overseerr took what had been asked for at first, as number {overseerr_id}."
    ),
    m.ForwardedTooLate: "Overseerr took it as number {overseerr_id}, though it had been ended.",
    m.ForwardingCancelled: "Overseerr let go of number {overseerr_id}.",
    m.UpstreamDeclined: "Declined in Overseerr, where it is number {overseerr_id}.",
    m.UpstreamFailed: "Overseerr could not pass number {overseerr_id} on.",
    m.UpstreamMissing: "Number {overseerr_id} is gone from Overseerr.",
    m.UpstreamResumed: "Overseerr goes on with number {overseerr_id}.",
    m.MediaRequestPartlyAvailable: "Some of it is available.",
    m.MediaRequestAvailable: "It is available.",
    m.MediaRequestRemoved: "It is no longer available, and can be asked for again.",
}


def in_words(event: MediaRequestEvent | Unreadable) -> str:
    """One sentence or two on an event of a request."""
    match event:
        case Unreadable():
            return "Something that only a newer version of MediaNest understands."
        case m.MediaRequested() | m.MediaRequestExtended():
            return _asked(event)
        case m.MediaRequestCancelled(reason=reason):
            return f"Cancelled: {reason}" if reason else "Cancelled."
        case m.ForwardingRetried(by):
            return "Tried again." if by else "It is wanted again, and tried again."
        case (
            m.MediaRequestForwarded()
            | m.ForwardingFailed()
            | m.ForwardingAbandoned()
            | m.CancellingFailed()
            | m.CancellingAbandoned()
        ):
            return _tried(event)
        case _:
            return _SENTENCES[type(event)].format_map(msgspec.structs.asdict(event))


def _asked(event: m.MediaRequested | m.MediaRequestExtended) -> str:
    waits = "; it waits for approval" if event.needs_approval else ""
    part = _part(event.seasons, event.episodes)
    if isinstance(event, m.MediaRequestExtended):
        return f"Asked for more of it: {part or 'all'}{waits}."
    year = f" ({event.year})" if event.year else ""
    quality = " in 4K" if event.media.is4k else ""
    return f"Asked for “{event.title}”{year}{quality}{part and ', '}{part}{waits}."


def _part(seasons: tuple[int, ...] | None, episodes: tuple[Episode, ...]) -> str:
    """Such as “seasons 1, 3, episode 2x05”."""
    single = {episode.season for episode in episodes}
    whole = [str(season) for season in seasons or () if season not in single]
    named = [f"{episode.season}x{episode.number:02}" for episode in episodes]
    parts = (_listed("season", whole), _listed("episode", named))
    return ", ".join(part for part in parts if part)


def _listed(noun: str, names: list[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""


def _tried(
    event: m.MediaRequestForwarded
    | m.ForwardingFailed
    | m.ForwardingAbandoned
    | m.CancellingFailed
    | m.CancellingAbandoned,
) -> str:
    match event:
        case m.MediaRequestForwarded(overseerr_id, already_there=True):
            return f"Overseerr had it already, as number {overseerr_id}."
        case m.MediaRequestForwarded(overseerr_id):
            return f"Overseerr took it as number {overseerr_id}."
        case m.ForwardingFailed(attempt, problem, retry_at=at):
            return f"Attempt {attempt} failed: {_cause(problem)}. {_next(at)}"
        case m.ForwardingAbandoned(attempt, problem):
            return f"Given up after attempt {attempt}: {_cause(problem)}."
        case m.CancellingFailed(attempt, problem, retry_at=at):
            return f"Attempt {attempt} to end it there failed: {_cause(problem)}. {_next(at)}"
        case m.CancellingAbandoned(attempt, problem):
            return f"Overseerr keeps it; given up after attempt {attempt}: {_cause(problem)}."
        case _:
            assert_never(event)


def _next(at: datetime) -> str:
    return f"The next one is due at {at:%Y-%m-%d %H:%M:%S} UTC."


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
        case ForwardingProblem.VANISHED:
            cause = "the request is gone from Overseerr"
        case ForwardingProblem.FAILED_THERE:
            cause = "Overseerr could not pass the request on"
        case _:
            assert_never(problem)
    return cause
