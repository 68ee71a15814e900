"""Seeing and steering the accounts of people, for admins."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from application.ports import StoreBusy, UnreadableStream
from domain.accounts import AccountIsSuspended, AccountState, Role, UnknownAccount
from domain.permissions import Action
from interfaces.http.call import Call, NoQuery, ReadQuery
from interfaces.http.cursors import Cursor, cursor_of, position_of
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, ReadModelBehind, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import Invalid
from projections.accounts import ACCOUNTS, AccountRow, fold

STEERING_REFUSALS = (Invalid, UnknownAccount, StoreBusy, UnreadableStream, *NOT_LET_IN)


class AccountsQuery(ReadQuery, frozen=True):
    """Which accounts to list. ``cursor`` is the ``nextCursor`` of the last page."""

    role: Role | None = None
    state: AccountState | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class AccountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an admin may change of an account."""

    role: Role


class AccountView(msgspec.Struct, frozen=True, rename="camel"):
    """An account, as admins see it. One that was forgotten has no e-mail address and no name."""

    id: UUID
    email: str | None
    name: str | None
    role: Role
    state: AccountState
    opened_at: datetime
    version: int


class AccountPage(msgspec.Struct, frozen=True, rename="camel"):
    """One page of accounts. On the last, ``next_cursor`` is null."""

    items: Sequence[AccountView]
    next_cursor: str | None


@get(
    "/admin/users",
    summary="List accounts",
    opt={"action": Action.SEE_ACCOUNTS},
    operation_class=asks(AccountsQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_users(request: Call) -> AccountPage:
    """Newest first, with those that are suspended or were forgotten."""
    query = request.query(AccountsQuery)
    before = position_of(query.cursor)
    await request.shown(query, ACCOUNTS.table)
    rows = await request.doors.account_queries.page(
        query.role,
        query.state,
        before=before,
        limit=query.limit + 1,  # one more tells whether there is another page
    )
    shown, more = rows[: query.limit], rows[query.limit :]
    return AccountPage(
        await _views(request, shown), cursor_of(shown[-1].opened_position) if more else None
    )


@get(
    "/admin/users/{account_id:uuid}",
    summary="One account",
    opt={"action": Action.SEE_ACCOUNTS},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, UnknownAccount, ReadModelBehind, *NOT_LET_IN),
)
async def show_user(request: Call, account_id: FromPath[UUID]) -> AccountView:
    """Any account, one that was forgotten too."""
    await request.shown(request.query(ReadQuery), ACCOUNTS.table)
    row = await request.doors.account_queries.find(account_id)
    if row is None:
        raise UnknownAccount
    (view,) = await _views(request, [row])
    return view


@patch(
    "/admin/users/{account_id:uuid}",
    summary="Change a person's role",
    opt={"action": Action.GRANT_ROLE},
    response_headers=[X_POSITION],
    responses=refusals(*BAD_BODY, *STEERING_REFUSALS[1:]),
)
async def change_user(
    request: Call, account_id: FromPath[UUID], data: JSONBody[AccountChange]
) -> Response[AccountView]:
    """In force at once, in every session that is open. Nobody can change their own role."""
    request.require(account_id)
    granted = await request.doors.accounts.grant(account_id, data.role, request.context())
    return await _changed(request, account_id, granted.position)


@post(
    "/admin/users/{account_id:uuid}/suspend",
    summary="Keep a person out",
    status_code=HTTP_200_OK,
    opt={"action": Action.SUSPEND_ACCOUNT},
    response_headers=[X_POSITION],
    responses=refusals(*STEERING_REFUSALS),
)
async def suspend_user(request: Call, account_id: FromPath[UUID]) -> Response[AccountView]:
    """Ends every session at once, and lets nobody in until the account is restored."""
    request.query(NoQuery)
    request.require(account_id)
    suspended = await request.doors.accounts.suspend(account_id, request.context())
    return await _changed(request, account_id, suspended.position)


@post(
    "/admin/users/{account_id:uuid}/restore",
    summary="Let a person in again",
    status_code=HTTP_200_OK,
    opt={"action": Action.SUSPEND_ACCOUNT},
    response_headers=[X_POSITION],
    responses=refusals(*STEERING_REFUSALS),
)
async def restore_user(request: Call, account_id: FromPath[UUID]) -> Response[AccountView]:
    """The person can sign in again; sessions that were ended stay so."""
    request.query(NoQuery)
    request.require(account_id)
    restored = await request.doors.accounts.restore(account_id, request.context())
    return await _changed(request, account_id, restored.position)


@post(
    "/admin/users/{account_id:uuid}/sign-out",
    summary="Sign a person out everywhere",
    status_code=204,
    opt={"action": Action.END_SESSIONS},
    response_headers=[X_POSITION],
    responses=refusals(AccountIsSuspended, *STEERING_REFUSALS),
)
async def sign_out_user(request: Call, account_id: FromPath[UUID]) -> Response[None]:
    """Ends every session of the account at once; API keys stay."""
    request.query(NoQuery)
    request.require(account_id)
    ended = await request.doors.accounts.end_sessions(account_id, request.context())
    return Response(None, status_code=204, headers={"X-Position": str(ended.position)})


@delete(
    "/admin/users/{account_id:uuid}",
    summary="Forget a person",
    opt={"action": Action.FORGET_ACCOUNT},
    response_headers=[X_POSITION],
    responses=refusals(*STEERING_REFUSALS),
)
async def forget_user(request: Call, account_id: FromPath[UUID]) -> Response[None]:
    """For ever: what names the person can never be read again. Their requests stay, nameless."""
    request.query(NoQuery)
    request.require(account_id)
    forgotten = await request.doors.accounts.forget(account_id, request.context())
    return Response(None, status_code=204, headers={"X-Position": str(forgotten.position)})


async def _changed(request: Call, account_id: UUID, position: int) -> Response[AccountView]:
    """The account as its stream has it, which is never behind."""
    row = None
    for recorded in await request.doors.accounts.history(account_id):
        row = fold(row, recorded)
    if row is None:
        raise UnknownAccount
    (view,) = await _views(request, [row])
    return Response(view, headers={"X-Position": str(position)})


async def _views(request: Call, rows: Sequence[AccountRow]) -> Sequence[AccountView]:
    sealed = [
        (row.id, field, text)
        for row in rows
        for field, text in (("email", row.email), ("name", row.name))
        if text is not None
    ]
    revealed = await request.doors.personal_data.reveal_all(sealed)
    texts = {(owner, field): text for (owner, field, _), text in zip(sealed, revealed, strict=True)}
    return [
        AccountView(
            row.id,
            texts.get((row.id, "email")),
            texts.get((row.id, "name")),
            row.role,
            row.state,
            row.opened_at,
            row.version,
        )
        for row in rows
    ]
