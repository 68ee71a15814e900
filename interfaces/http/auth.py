"""Signing in, and who one is."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import JSONBody
from msgspec import Meta

from application.accounts import WrongCredentials
from application.ports import HasherBusy, StoreUnavailable
from interfaces.http.call import Call, ReadQuery
from interfaces.http.errors import BAD_BODY, Unauthenticated, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, asks
from interfaces.input import Invalid
from interfaces.views import UserView


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An e-mail address and a password. The lengths bound what hashing may cost."""

    email: Annotated[str, Meta(min_length=1, max_length=320)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class SignedInAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A token to send as ``Authorization: Bearer``; ``expires_in`` is in seconds."""

    access_token: str
    expires_in: int
    user: UserView


@post(
    "/auth/login",
    status_code=200,
    summary="Sign in",
    responses=refusals(*BAD_BODY, WrongCredentials, HasherBusy, StoreUnavailable),
)
async def login(request: Call, data: JSONBody[SignIn]) -> SignedInAnswer:
    """Answers a wrong password and an unknown e-mail address alike, in the same time."""
    signed_in = await request.doors.accounts.sign_in(data.email, data.password)
    account = signed_in.account
    return SignedInAnswer(
        signed_in.access.token,
        int(signed_in.access.expires_in.total_seconds()),
        UserView(signed_in.account_id, account.email, account.role),
    )


@get(
    "/auth/me",
    summary="Who am I?",
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, Unauthenticated, StoreUnavailable),
)
async def me(request: Call) -> UserView:
    """The account of the access token, as of now."""
    request.query(ReadQuery)  # the account is read from its stream, which is never behind
    caller = request.caller
    account = await request.doors.accounts.account(caller.account_id)
    if account is None:
        raise Unauthenticated
    return UserView(caller.account_id, account.email, account.role)
