"""Seeing and changing how many calls are allowed, and who tried more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, get, put
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from domain.permissions import Action
from domain.rate_limits import LONGEST_WINDOW, MOST_CALLS, LocksAdminsOut, Policy
from interfaces.http.call import Call, ReadQuery
from interfaces.http.cursors import Cursor, cursor_of, position_of
from interfaces.http.errors import (
    BAD_BODY,
    NOT_LET_IN,
    ReadModelBehind,
    refusals,
)
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import Invalid
from projections.rate_limits import (
    RATE_LIMIT_POLICIES,
    RATE_LIMIT_VIOLATIONS,
    RateLimitPolicyRow,
    fold_policy,
)

PolicyName = Annotated[str, PathParameter(schema_extra={"enum": [*Policy]})]
"""Any other text is an address where there is nothing, rather than a wrong parameter."""


class LimitWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """At most ``limit`` calls in any ``window_seconds``."""

    limit: Annotated[int, Meta(ge=0, le=MOST_CALLS, description="0 lets nobody in.")]
    window_seconds: Annotated[int, Meta(ge=1, le=LONGEST_WINDOW)]


class RateLimitQuery(ReadQuery, frozen=True):
    """Whose violations to list. ``cursor`` is the ``nextCursor`` of the last page."""

    policy: Policy | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class RateLimitView(msgspec.Struct, frozen=True, rename="camel"):
    """A limit in force. ``changed_at`` and ``changed_by`` are null while it is the default."""

    policy: Policy
    limit: int
    window_seconds: int
    changed_at: datetime | None = None
    changed_by: str | None = None


class ViolationView(msgspec.Struct, frozen=True, rename="camel"):
    """How often somebody was refused. ``subject`` is an account, or an address by a pseudonym."""

    policy: Policy
    subject: str
    count: int
    first_at: datetime
    last_at: datetime


class ViolationPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of violations, newest first. No ``next_cursor`` means that it is the last."""

    items: Sequence[ViolationView]
    next_cursor: str | None


class RateLimitsView(msgspec.Struct, frozen=True):
    """Every limit, and who tried more."""

    policies: Sequence[RateLimitView]
    violations: ViolationPage


@get(
    "/admin/rate-limits",
    summary="Rate limits and violations",
    opt={"action": Action.SEE_RATE_LIMITS},
    operation_class=asks(RateLimitQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_rate_limits(request: Call) -> RateLimitsView:
    """All policies, and one page of those who were refused last."""
    query = request.query(RateLimitQuery)
    before = position_of(query.cursor)
    for read_model in (RATE_LIMIT_POLICIES, RATE_LIMIT_VIOLATIONS):
        await request.shown(query, read_model.table)
    queries = request.doors.rate_limit_queries
    changed = {row.policy: row for row in await queries.policies()}
    rows = await queries.violations(
        query.policy,
        before=before,
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return RateLimitsView(
        [_policy_view(request, policy, changed.get(policy)) for policy in Policy],
        ViolationPage(
            [msgspec.convert(row, ViolationView, from_attributes=True) for row in shown],
            cursor_of(shown[-1].last_position) if more else None,
        ),
    )


@put(
    "/admin/rate-limits/{policy:str}",
    summary="Change a rate limit",
    opt={"action": Action.CHANGE_RATE_LIMIT},
    response_headers=[X_POSITION],
    responses=refusals(
        *BAD_BODY,
        LocksAdminsOut,
        NotFoundException,
        StoreBusy,
        UnreadableStream,
        *NOT_LET_IN,
    ),
)
async def change_rate_limit(
    request: Call, policy: PolicyName, data: JSONBody[LimitWish]
) -> Response[RateLimitView]:
    """In force at once; calls already counted still count."""
    try:
        named = Policy(policy)
    except ValueError:
        raise NotFoundException from None
    rate_limits = request.doors.rate_limits
    executed = await rate_limits.change(named, data.limit, data.window_seconds, request.context())
    row: RateLimitPolicyRow | None = None
    for recorded in await rate_limits.history(named):
        row = fold_policy(row, recorded)
    return Response(
        _policy_view(request, named, row), headers={"X-Position": str(executed.position)}
    )


def _policy_view(request: Call, policy: Policy, row: RateLimitPolicyRow | None) -> RateLimitView:
    if row is None:
        limit = request.doors.rate_limits.limit_of(policy)
        return RateLimitView(policy, limit.limit, limit.window_seconds)
    return RateLimitView(policy, row.calls, row.window_seconds, row.changed_at, row.changed_by)
