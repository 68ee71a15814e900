"""How much one may still ask for, and what admins decide about it."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from domain.accounts import UnknownAccount
from domain.media_requests import MediaType
from domain.permissions import Action
from domain.quotas import LONGEST_WINDOW, MOST_REQUESTS, Quota
from interfaces.http.call import Call, NoQuery, ReadQuery
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import Invalid
from interfaces.views import QuotaView, quota_view


class QuotaChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a person may ask for. Without a ``limit`` it is as much as they like."""

    media_type: MediaType
    limit: Annotated[int, Meta(ge=0, le=MOST_REQUESTS)] | None
    days: Annotated[int, Meta(ge=1, le=LONGEST_WINDOW)] = 7


class OverrideQuery(NoQuery, frozen=True, rename="camel", kw_only=True):
    """Of what kind of media."""

    media_type: MediaType


class QuotasView(msgspec.Struct, frozen=True):
    """What a person may still ask for, of each kind of media."""

    movie: QuotaView
    tv: QuotaView


@get(
    "/media/quota",
    summary="What one may still ask for",
    opt={"action": Action.SEE_QUOTA},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, *NOT_LET_IN),
)
async def show_quota(request: Call) -> QuotasView:
    """Which requests have used it, and when the next place is free."""
    request.query(ReadQuery)  # it is read from the stream itself, which is never behind
    return await _quotas(request, request.caller.account_id)


@get(
    "/admin/users/{account_id:uuid}/quota",
    summary="What a person may still ask for",
    opt={"action": Action.SEE_ACCOUNTS},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, UnknownAccount, *NOT_LET_IN),
)
async def show_quota_of(request: Call, account_id: FromPath[UUID]) -> QuotasView:
    """Which requests have used it, and when the next place is free."""
    request.query(ReadQuery)
    return await _quotas(request, account_id)


@put(
    "/admin/users/{account_id:uuid}/quota",
    summary="Let a person ask for more, or less",
    opt={"action": Action.CHANGE_QUOTA},
    response_headers=[X_POSITION],
    responses=refusals(*BAD_BODY, UnknownAccount, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def change_quota(
    request: Call, account_id: FromPath[UUID], data: JSONBody[QuotaChange]
) -> Response[QuotasView]:
    """Instead of the house's rule, until that is to hold again. For admins it means nothing."""
    await request.doors.accounts.profile(account_id)
    quota = None if data.limit is None else Quota(data.limit, data.days)
    by, context = request.caller.account_id, request.context()
    changed = await request.doors.quotas.override(account_id, data.media_type, quota, by, context)
    headers = {"X-Position": str(changed.position)}
    return Response(await _quotas(request, account_id), headers=headers)


@delete(
    "/admin/users/{account_id:uuid}/quota",
    summary="Let the house's rule hold for a person",
    opt={"action": Action.CHANGE_QUOTA},
    operation_class=asks(OverrideQuery),
    response_headers=[X_POSITION],
    responses=refusals(Invalid, UnknownAccount, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def end_quota_override(request: Call, account_id: FromPath[UUID]) -> Response[None]:
    """What was decided for the person alone holds no more."""
    media_type = request.query(OverrideQuery).media_type
    await request.doors.accounts.profile(account_id)
    by, context = request.caller.account_id, request.context()
    position = await request.doors.quotas.end_override(account_id, media_type, by, context)
    return Response(None, status_code=204, headers={"X-Position": str(position)})


async def _quotas(request: Call, account_id: UUID) -> QuotasView:
    profile = await request.doors.accounts.profile(account_id)
    standings = await request.doors.quotas.of(account_id, profile.role)
    views = {standing.media_type.value: quota_view(standing) for standing in standings}
    return QuotasView(**views)
