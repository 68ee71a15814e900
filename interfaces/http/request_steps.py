"""Deciding on requests, ending them, following them, and going on with them."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from domain.media_requests import (
    ApproveRequest,
    CancelRequest,
    DeclineRequest,
    FollowRequest,
    FulfilRequest,
    NotDeclined,
    NotFailed,
    NotRequested,
    PersonsCommand,
    ReopenRequest,
    RequestOver,
    RetryForwarding,
    UnfollowRequest,
    WithdrawRequest,
)
from domain.permissions import Action
from interfaces.http.call import Call, NoQuery
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, refusals
from interfaces.http.openapi import X_POSITION, asks
from interfaces.input import NO_NUL, Invalid
from interfaces.views import MediaRequestView, row_after, view_of

Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=NO_NUL)]
STEP_REFUSALS = (NotRequested, StoreBusy, UnreadableStream, *NOT_LET_IN)


class Refusing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a request is declined; whoever asked for it reads this."""

    reason: Reason


class EndQuery(NoQuery, frozen=True):
    """Why an admin ends somebody else's request."""

    reason: Reason | None = None


@post(
    "/media/requests/{request_id:uuid}/follow",
    summary="Be told too",
    opt={"action": Action.FOLLOW_REQUEST},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, RequestOver, *STEP_REFUSALS),
)
async def follow_request(request: Call, request_id: FromPath[UUID]) -> Response[MediaRequestView]:
    """Hear what becomes of somebody else's request, and see it. Once is enough."""
    request.query(NoQuery)
    return await _step(request, request_id, FollowRequest(request.caller.account_id))


@delete(
    "/media/requests/{request_id:uuid}/follow",
    summary="Not be told any more",
    opt={"action": Action.FOLLOW_REQUEST},
    response_headers=[X_POSITION],
    responses=refusals(Invalid, *STEP_REFUSALS),
)
async def unfollow_request(request: Call, request_id: FromPath[UUID]) -> Response[None]:
    """Nothing happens to who does not follow it."""
    request.query(NoQuery)
    return await _last_step(request, request_id, UnfollowRequest(request.caller.account_id))


@delete(
    "/media/requests/{request_id:uuid}",
    summary="End a request",
    opt={"action": Action.END_REQUEST},
    operation_class=asks(EndQuery),
    response_headers=[X_POSITION],
    responses=refusals(Invalid, RequestOver, *STEP_REFUSALS),
)
async def end_request(request: Call, request_id: FromPath[UUID]) -> Response[None]:
    """Take one's own request back; admins end those of others, and may say why.

    Overseerr is asked to let go of what was made there for it. The history stays.
    """
    reason = request.query(EndQuery).reason
    by = request.caller.account_id
    owner = (await request.doors.media_requests.find(request_id)).requested_by
    request.require(owner)
    command = WithdrawRequest(by) if owner == by else CancelRequest(by, reason)
    return await _last_step(request, request_id, command)


@post(
    "/media/requests/{request_id:uuid}/retry",
    summary="Try a failed request again",
    opt={"action": Action.RETRY_REQUEST},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, NotFailed, *STEP_REFUSALS),
)
async def retry_request(request: Call, request_id: FromPath[UUID]) -> Response[MediaRequestView]:
    """Overseerr is told anew, as if it never had been."""
    request.query(NoQuery)
    request.require((await request.doors.media_requests.find(request_id)).requested_by)
    return await _step(request, request_id, RetryForwarding(request.caller.account_id))


@post(
    "/admin/requests/{request_id:uuid}/approve",
    summary="Approve a request",
    opt={"action": Action.JUDGE_REQUEST},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, RequestOver, *STEP_REFUSALS),
)
async def approve_request(request: Call, request_id: FromPath[UUID]) -> Response[MediaRequestView]:
    """All that was asked for; Overseerr is told right after."""
    request.query(NoQuery)
    return await _step(request, request_id, ApproveRequest(request.caller.account_id))


@post(
    "/admin/requests/{request_id:uuid}/decline",
    summary="Decline a request",
    opt={"action": Action.JUDGE_REQUEST},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(*BAD_BODY, RequestOver, *STEP_REFUSALS),
)
async def decline_request(
    request: Call, request_id: FromPath[UUID], data: JSONBody[Refusing]
) -> Response[MediaRequestView]:
    """Where something waits for approval while the rest goes on, that is declined and not the rest.

    Else Overseerr is asked to let go of what was made there for the request.
    """
    command = DeclineRequest(request.caller.account_id, data.reason)
    return await _step(request, request_id, command)


@post(
    "/admin/requests/{request_id:uuid}/reopen",
    summary="Take a no back",
    opt={"action": Action.JUDGE_REQUEST},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, NotDeclined, *STEP_REFUSALS),
)
async def reopen_request(request: Call, request_id: FromPath[UUID]) -> Response[MediaRequestView]:
    """A request that was declined, or cancelled by an admin, awaits approval again."""
    request.query(NoQuery)
    return await _step(request, request_id, ReopenRequest(request.caller.account_id))


@post(
    "/admin/requests/{request_id:uuid}/fulfil",
    summary="Say that it is on the shelf",
    opt={"action": Action.JUDGE_REQUEST},
    status_code=HTTP_200_OK,
    response_headers=[X_POSITION],
    responses=refusals(Invalid, RequestOver, *STEP_REFUSALS),
)
async def fulfil_request(request: Call, request_id: FromPath[UUID]) -> Response[MediaRequestView]:
    """For what was put there by hand, without Overseerr or past it."""
    request.query(NoQuery)
    return await _step(request, request_id, FulfilRequest(request.caller.account_id))


async def _step(
    request: Call, request_id: UUID, command: PersonsCommand
) -> Response[MediaRequestView]:
    """The request as its stream has it, which is never behind."""
    use_cases = request.doors.media_requests
    executed = await use_cases.change(request_id, command, request.context())
    row = row_after(await use_cases.history(request_id))
    if row is None:
        raise NotRequested
    return Response(view_of(row), headers={"X-Position": str(executed.position)})


async def _last_step(request: Call, request_id: UUID, command: PersonsCommand) -> Response[None]:
    use_cases = request.doors.media_requests
    executed = await use_cases.change(request_id, command, request.context())
    return Response(None, status_code=204, headers={"X-Position": str(executed.position)})
