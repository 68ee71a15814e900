"""One's own account."""

from typing import Annotated, Any, ClassVar

import msgspec
from litestar import Response, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta

from application.accounts import NoPassword, Profile, WrongPassword
from application.ports import HasherBusy, StoreBusy
from domain.accounts import AccountExists
from domain.permissions import Action
from interfaces.http.auth import Email, NewPassword, Password
from interfaces.http.call import Call, ReadQuery
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, refusals
from interfaces.http.openapi import ETAG, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import NO_NUL, FieldError, Invalid
from interfaces.views import UserView, user_view


class PasswordForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The present password and the new one."""

    password: Password
    new_password: NewPassword


class ProfileForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change. Another ``email`` needs the present ``password``; no name is ``""``."""

    name: Annotated[str, Meta(max_length=100, pattern=NO_NUL)] | None = None
    email: Email | None = None
    password: Password | None = None

    RULES: ClassVar[Any] = {
        "anyOf": [
            {
                "title": "Another e-mail address, and perhaps another name",
                "required": ["email", "password"],
                "properties": {"email": {"type": "string"}, "password": {"type": "string"}},
            },
            {
                "title": "Another name",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "email": {"type": "null"}},
            },
        ]
    }


@get(
    "/auth/me",
    summary="Who am I?",
    opt={"action": Action.SEE_OWN_ACCOUNT},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, *NOT_LET_IN),
)
async def me(request: Call) -> UserView:
    """The account of the caller, as of now."""
    request.query(ReadQuery)  # the account is read from its stream, which is never behind
    return user_view(await request.doors.accounts.profile(request.caller.account_id))


@patch(
    "/auth/me",
    summary="Change one's name or e-mail address",
    opt={"action": Action.CHANGE_OWN_ACCOUNT},
    response_headers=[X_POSITION],
    responses=refusals(
        *BAD_BODY, WrongPassword, NoPassword, AccountExists, HasherBusy, StoreBusy, *NOT_LET_IN
    ),
)
async def change_me(request: Call, data: JSONBody[ProfileForm]) -> Response[UserView]:
    """Changes what is given, and leaves the rest."""
    accounts, caller, context = request.doors.accounts, request.caller, request.context()
    if data.email is not None:
        if data.password is None:
            raise Invalid([FieldError("password", "Is required to change the e-mail address.")])
        changed = await accounts.change_email(
            caller, data.email, data.password, context.step("email")
        )
        if data.name is None:
            return _changed(changed.state, changed.position)
    if data.name is None:
        raise Invalid([FieldError("", "Nothing is to be changed.")])
    changed = await accounts.rename(caller.account_id, data.name.strip() or None, context)
    return _changed(changed.state, changed.position)


@post(
    "/auth/password",
    status_code=204,
    summary="Change one's password",
    opt={"action": Action.CHANGE_OWN_ACCOUNT},
    response_headers=[X_POSITION],
    responses=refusals(*BAD_BODY, WrongPassword, NoPassword, HasherBusy, StoreBusy, *NOT_LET_IN),
)
async def change_password(request: Call, data: JSONBody[PasswordForm]) -> Response[None]:
    """Ends every other session of the account."""
    changed = await request.doors.accounts.change_password(
        request.caller, data.password, data.new_password, request.context()
    )
    return Response(None, status_code=204, headers={"X-Position": str(changed.position)})


def _changed(profile: Profile, position: int) -> Response[UserView]:
    return Response(user_view(profile), headers={"X-Position": str(position)})
