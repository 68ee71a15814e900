"""What follows from what people ask of a request."""

from typing import assert_never

import msgspec

from domain.media_requests import commands as c
from domain.media_requests import events as e
from domain.media_requests.media import Part, RequestStatus, media_request_id
from domain.media_requests.records import record
from domain.media_requests.refusals import (
    AlreadyAvailable,
    AlreadyRequested,
    NotDeclined,
    NotFailed,
    NotRequested,
    RequestOver,
)
from domain.media_requests.state import MediaRequest


def decide(
    command: c.MediaRequestCommand, request: MediaRequest | None
) -> list[e.MediaRequestEvent]:
    """What follows from ``command``; raises one of the refusals."""
    if isinstance(command, c.RequestMedia):
        return [_request(command, request)]
    if request is None:
        raise NotRequested
    if isinstance(command, c.RecordCommand):
        return record(command, request)
    return _decide(command, request)


def _request(command: c.RequestMedia, request: MediaRequest | None) -> e.MediaRequestEvent:
    """The whole wish, or what of it neither the shelf nor the active request has."""
    wished = Part(command.seasons, command.episodes)
    if request is not None and request.on_shelf is not None:
        if wished.seasons is None and command.all_seasons:
            wished = Part(command.all_seasons)
        wished = wished.beyond(request.on_shelf)
        if wished is None:
            raise AlreadyAvailable(request.title, media_request_id(request.media))
    if request is None or not (request.active or request.more):
        asked = msgspec.structs.replace(command, seasons=wished.seasons, episodes=wished.episodes)
        return msgspec.convert(asked, e.MediaRequested, from_attributes=True)
    had = request.part.and_(request.more) if request.more else request.part
    rest = wished.beyond(had)
    if rest is None:
        may_follow = request.active and not request.hears(command.requested_by)
        request_id = media_request_id(request.media)
        raise AlreadyRequested(request.title, request_id, may_follow=may_follow)
    return e.MediaRequestExtended(
        command.requested_by, rest.seasons, rest.episodes, command.note, command.needs_approval
    )


def _decide(command: c.PersonsCommand, request: MediaRequest) -> list[e.MediaRequestEvent]:
    match command:
        case c.ApproveRequest() | c.DeclineRequest() | c.ReopenRequest():
            return _judge(command, request)
        case c.WithdrawRequest() | c.CancelRequest():
            return _end(command, request)
        case c.FollowRequest() | c.UnfollowRequest():
            return _hear(command, request)
        case c.RetryForwarding():
            return _retry(command, request)
        case c.FulfilRequest(by):
            if _is_still(RequestStatus.AVAILABLE, request):
                return []
            return [e.MediaRequestFulfilled(by), e.MediaRequestAvailable(request.untold)]
        case _:
            assert_never(command)


def _judge(
    command: c.ApproveRequest | c.DeclineRequest | c.ReopenRequest, request: MediaRequest
) -> list[e.MediaRequestEvent]:
    awaiting = request.status is RequestStatus.AWAITING_APPROVAL
    match command:
        case c.ApproveRequest(by) if awaiting or request.more:
            return [e.MediaRequestApproved(by)]
        case c.ApproveRequest():
            _require_active(request)
            return []
        case c.DeclineRequest(by, reason) if request.more:
            return [e.ExtensionDeclined(by, reason)]
        case c.DeclineRequest(by, reason):
            declined = _is_still(RequestStatus.DECLINED, request)
            return [] if declined else [e.MediaRequestDeclined(by, reason)]
        case c.ReopenRequest(by):
            if not awaiting and request.status not in _JUDGED:
                raise NotDeclined
            return [] if awaiting else [e.MediaRequestReopened(by)]
        case _:
            assert_never(command)


def _end(
    command: c.WithdrawRequest | c.CancelRequest, request: MediaRequest
) -> list[e.MediaRequestEvent]:
    match command:
        case c.WithdrawRequest(by):
            if by != request.requested_by:  # it was theirs a moment ago, perhaps
                raise NotRequested
            withdrawn = _is_still(RequestStatus.WITHDRAWN, request)
            return [] if withdrawn else [e.MediaRequestWithdrawn(by)]
        case c.CancelRequest(by, reason):
            cancelled = _is_still(RequestStatus.CANCELLED, request)
            return [] if cancelled else [e.MediaRequestCancelled(by, reason)]
        case _:
            assert_never(command)


def _hear(
    command: c.FollowRequest | c.UnfollowRequest, request: MediaRequest
) -> list[e.MediaRequestEvent]:
    match command:
        case c.FollowRequest(by):
            if request.hears(by):
                return []
            _require_active(request)
            return [e.MediaRequestFollowed(by)]
        case c.UnfollowRequest(by):
            return [e.MediaRequestUnfollowed(by)] if by in request.followers else []
        case _:
            assert_never(command)


def _retry(command: c.RetryForwarding, request: MediaRequest) -> list[e.MediaRequestEvent]:
    if request.status is RequestStatus.PENDING:
        return []
    if request.status is not RequestStatus.FAILED:
        raise NotFailed
    return [e.ForwardingRetried(command.by)]


def _is_still(status: RequestStatus, request: MediaRequest) -> bool:
    """Whether the request has come to this end before. Raises RequestOver for any other end."""
    if request.status is status:
        return True
    _require_active(request)
    return False


def _require_active(request: MediaRequest) -> None:
    if not request.active:
        raise RequestOver(request.status)


_JUDGED = frozenset({RequestStatus.DECLINED, RequestStatus.CANCELLED})
"""The ends that an admin has made, and can take back."""
