"""What follows from what Overseerr has answered."""

from datetime import datetime, timedelta
from typing import assert_never

from domain.media_requests import commands as c
from domain.media_requests import events as e
from domain.media_requests.media import ForwardingProblem, RequestStatus, UpstreamStatus
from domain.media_requests.state import MediaRequest

FIRST_RETRY_DELAY = timedelta(seconds=2)
LONGEST_RETRY_DELAY = timedelta(minutes=5)
"""Five minutes: soon enough after an outage that nobody asks, rare enough to bother nobody."""
PATIENCE = timedelta(days=7)
"""An upstream that is away for a holiday still gets the request; then a person must look."""

PERMANENT_PROBLEMS = frozenset({ForwardingProblem.REFUSED})
"""What waiting does not mend. A quota frees up, and a bad key is corrected while requests wait."""

_AT_OVERSEERR = frozenset({RequestStatus.FORWARDED, RequestStatus.PARTLY_AVAILABLE})


def record(command: c.RecordCommand, request: MediaRequest) -> list[e.MediaRequestEvent]:
    """What follows from a process's report; nothing from one that is late or told before."""
    match command:
        case c.RecordForwarding():
            events = _forwarded(command, request)
        case c.RecordForwardingFailure():
            waits = request.status is RequestStatus.PENDING
            events = [_not_forwarded(command, request)] if waits else []
        case c.RecordCancelling(overseerr_id):
            events = _cancelled(overseerr_id, request)
        case c.RecordCancellingFailure():
            events = [_not_cancelled(command, request)] if request.to_cancel else []
        case c.RecordUpstream(overseerr_id, status):
            followed = overseerr_id == request.overseerr_id
            events = _upstream(overseerr_id, status, request) if followed else []
        case _:
            assert_never(command)
    return events


def retry_delay(attempt: int) -> timedelta:
    """2, 4, 8 … seconds, at most LONGEST_RETRY_DELAY."""
    doublings = min(attempt - 1, 20)  # 2**20 is far over the longest delay, and never overflows
    return min(FIRST_RETRY_DELAY * 2**doublings, LONGEST_RETRY_DELAY)


def _forwarded(command: c.RecordForwarding, request: MediaRequest) -> list[e.MediaRequestEvent]:
    overseerr_id, already_there = command.overseerr_id, command.already_there
    waits = request.status in {RequestStatus.PENDING, RequestStatus.FAILED}
    current = command.revision in {None, request.revision}
    if waits and current:
        return [e.MediaRequestForwarded(overseerr_id, already_there)]
    if overseerr_id in (request.overseerr_id, *request.made_there):
        return []
    if already_there and not waits:
        return []  # what is not ours is not for us to let go of
    if request.unwanted:
        return [e.ForwardedTooLate(overseerr_id, already_there)]
    return [] if current else [e.ForwardedInPart(overseerr_id, already_there)]


def _cancelled(overseerr_id: int, request: MediaRequest) -> list[e.MediaRequestEvent]:
    if overseerr_id not in request.made_there:
        return []
    if request.status in _AT_OVERSEERR and overseerr_id == request.overseerr_id:
        # It was wanted again while it was being cancelled.
        return [e.UpstreamMissing(overseerr_id), e.ForwardingRetried()]
    return [e.ForwardingCancelled(overseerr_id)]


def _not_forwarded(
    failure: c.RecordForwardingFailure, request: MediaRequest
) -> e.MediaRequestEvent:
    attempt, problem, detail, at = request.attempts + 1, failure.problem, failure.detail, failure.at
    retry_at = _retry_at(failure, request)
    if retry_at is None:
        return e.ForwardingAbandoned(attempt, problem, detail)
    return e.ForwardingFailed(attempt, problem, detail, at, retry_at)


def _not_cancelled(
    failure: c.RecordCancellingFailure, request: MediaRequest
) -> e.MediaRequestEvent:
    attempt, problem, detail, at = request.attempts + 1, failure.problem, failure.detail, failure.at
    retry_at = _retry_at(failure, request)
    if retry_at is None:
        return e.CancellingAbandoned(attempt, problem, detail)
    return e.CancellingFailed(attempt, problem, detail, at, retry_at)


def _retry_at(
    failure: c.RecordForwardingFailure | c.RecordCancellingFailure, request: MediaRequest
) -> datetime | None:
    """When to try again; ``None`` is never."""
    out_of_patience = failure.at - (request.first_failed_at or failure.at) >= PATIENCE
    if failure.problem in PERMANENT_PROBLEMS or out_of_patience:
        return None
    delay = retry_delay(request.attempts + 1)
    return failure.at + max(delay, failure.retry_after or timedelta())


def _upstream(
    overseerr_id: int, status: UpstreamStatus, request: MediaRequest
) -> list[e.MediaRequestEvent]:
    """Only what differs from what is known already."""
    ours, there = request.status, request.status in _AT_OVERSEERR
    failed = ours is RequestStatus.FAILED
    event: e.MediaRequestEvent | None = None
    match status:
        case UpstreamStatus.AVAILABLE if there or failed or ours is RequestStatus.REMOVED:
            event = e.MediaRequestAvailable(request.untold)
        case UpstreamStatus.PARTLY_AVAILABLE if ours is RequestStatus.FORWARDED or failed:
            event = e.MediaRequestPartlyAvailable()
        case UpstreamStatus.WAITING | UpstreamStatus.UNDER_WAY if failed:
            event = e.UpstreamResumed(overseerr_id)
        case UpstreamStatus.DECLINED if there or failed:
            event = e.UpstreamDeclined(overseerr_id)
        case UpstreamStatus.FAILED if there:
            event = e.UpstreamFailed(overseerr_id)
        case UpstreamStatus.MISSING if there:
            event = e.UpstreamMissing(overseerr_id)
        case UpstreamStatus.DELETED if ours is RequestStatus.AVAILABLE:
            event = e.MediaRequestRemoved()
        case _:
            pass
    return [] if event is None else [event]
