"""Signing in and out."""

from collections.abc import Awaitable
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

import msgspec
from litestar import Response, get, post
from litestar.openapi.spec import OpenAPIType, Parameter, Schema
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from application.ports import (
    BadPlexToken,
    HasherBusy,
    NoAccessToServer,
    PlexUnavailable,
    PortError,
    Retriable,
    StoreBusy,
    UnknownPin,
)
from application.sign_in import Client, SignedIn, WrongCredentials
from domain.accounts import AccountExists, AccountIsSuspended
from domain.installation import WrongSetupToken
from domain.kernel import DomainError
from domain.permissions import Action
from domain.sessions import SessionOver, SignInMethod, SignInUsed
from interfaces.http.call import Call, NoQuery
from interfaces.http.cookies import CSRF, REFRESH, cookie_name, no_cookies, session_cookies
from interfaces.http.entrance import address_of, check_own_page, cookie_of, csrf_token
from interfaces.http.errors import (
    AT_THE_DOOR,
    BAD_BODY,
    NOT_LET_IN,
    CrossSite,
    refusals,
)
from interfaces.http.openapi import SET_COOKIE, X_POSITION, asks, perhaps, takes
from interfaces.input import FieldError, Invalid
from interfaces.views import UserView, user_view

T = TypeVar("T")

SHORTEST_PASSWORD = 8
"""OWASP ASVS 5.0, 6.2.1."""

Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=320,
        # What counts as white space differs between Python and JavaScript; here both count.
        pattern=r"^[^@\s\x00-\x20\x7f-\xa0\ufeff]+@[^@\s\x00-\x20\x7f-\xa0\ufeff]+$",
        extra={"words": "an e-mail address, at most 320 characters"},
    ),
]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
NewPassword = Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=1024)]
Token = Annotated[str, Meta(min_length=1, max_length=1024)]
PinId = Annotated[str, PathParameter(description="The `id` that the start answered.")]

SIGN_IN_REFUSALS = (AccountIsSuspended, SignInUsed, StoreBusy, *AT_THE_DOOR)
PLEX_REFUSALS = (BadPlexToken, NoAccessToServer, PlexUnavailable)

_REFRESH_COOKIE = Parameter(
    name=REFRESH,
    param_in="cookie",
    description="The refresh token of a browser; behind TLS its name begins with `__Secure-`.",
    schema=Schema(type=OpenAPIType.STRING),
)
_CSRF_TOKEN = Parameter(
    name="X-Csrf-Token",
    param_in="header",
    description=f"Beside the cookie: what the cookie `{CSRF}` holds.",
    schema=Schema(type=OpenAPIType.STRING),
)


class SignInForm(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """An e-mail address and a password, or a Plex token. The lengths bound what hashing costs."""

    email: Annotated[str, Meta(min_length=1, max_length=320)] | None = None
    password: Password | None = None
    plex_token: Token | None = None

    RULES: ClassVar[Any] = {
        "oneOf": [
            {
                "title": "With a password",
                "required": ["email", "password"],
                "properties": {
                    "email": {"type": "string"},
                    "password": {"type": "string"},
                    "plexToken": {"type": "null"},
                },
            },
            {
                "title": "Through Plex",
                "required": ["plexToken"],
                "properties": {
                    "plexToken": {"type": "string"},
                    "email": {"type": "null"},
                    "password": {"type": "null"},
                },
            },
        ]
    }


class SetupForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first admin, and the token that ``medianest up`` printed."""

    token: Token
    email: Email
    password: NewPassword


class RefreshForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The refresh token; a browser that has it as a cookie sends none here."""

    refresh_token: Token | None = None


class SignOutQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``everywhere`` ends every session of the account."""

    everywhere: bool = False


class SignedInAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens; ``expires_in`` is in seconds. Each refresh token works once, and gives the next."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: UserView
    status: Literal["signedIn"] = "signedIn"


class PinPending(msgspec.Struct, frozen=True):
    """Nobody has confirmed the PIN yet."""

    status: Literal["pending"] = "pending"


class PinAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Open ``auth_url`` and confirm; then poll with ``id``. ``expires_in`` is in seconds."""

    id: str
    code: str
    auth_url: str
    expires_in: int


@post(
    "/auth/login",
    status_code=200,
    summary="Sign in",
    opt={"action": Action.SIGN_IN},
    response_headers=[X_POSITION, SET_COOKIE],
    responses=refusals(*BAD_BODY, WrongCredentials, HasherBusy, *PLEX_REFUSALS, *SIGN_IN_REFUSALS),
)
async def login(request: Call, data: JSONBody[SignInForm]) -> Response[SignedInAnswer]:
    """Answers a wrong password and an unknown e-mail address alike, in the same time.

    Browsers are given cookies as well; a change that is sent with them needs `X-Csrf-Token`.
    """
    sign_in, client, context = request.doors.sign_in, client_of(request), request.context()
    if data.plex_token is not None:
        if data.email is not None or data.password is not None:
            raise Invalid([FieldError("plexToken", "Must come alone, or not at all.")])
        by_plex = sign_in.with_plex(data.plex_token, client, context)
        return await _answer(request, await _counted(request, SignInMethod.PLEX, by_plex))
    if data.email is None or data.password is None:
        missing = {"email": data.email, "password": data.password}
        raise Invalid(
            FieldError(field, "Is required.") for field, value in missing.items() if value is None
        )
    by_password = sign_in.with_password(data.email, data.password, client, context)
    return await _answer(request, await _counted(request, SignInMethod.PASSWORD, by_password))


@post(
    "/auth/setup",
    status_code=201,
    summary="Make the first admin",
    opt={"action": Action.SIGN_IN},
    response_headers=[X_POSITION, SET_COOKIE],
    responses=refusals(*BAD_BODY, WrongSetupToken, AccountExists, HasherBusy, *SIGN_IN_REFUSALS),
)
async def set_up(request: Call, data: JSONBody[SetupForm]) -> Response[SignedInAnswer]:
    """Works once, with the token that `medianest up` prints while nobody has an account."""
    context = request.context()
    account_id = await request.doors.setup.use(data.token, data.email, data.password, context)
    signed_in = await request.doors.sign_in.as_account(
        account_id, SignInMethod.SETUP, client_of(request), context.step("sign in")
    )
    return await _answer(request, signed_in, status=201)


@post(
    "/auth/plex/pin",
    status_code=201,
    summary="Start signing in through Plex",
    opt={"action": Action.SIGN_IN},
    responses=refusals(Invalid, PlexUnavailable, *AT_THE_DOOR),
)
async def start_pin(request: Call) -> PinAnswer:
    """Gives a PIN that its owner confirms at Plex, for people with access to the Plex server."""
    request.query(NoQuery)
    pin = await request.doors.sign_in.start_pin()
    expires_in = int(pin.expires_in.total_seconds())
    return PinAnswer(f"{pin.id}-{pin.code}", pin.code, pin.auth_url, expires_in)


@get(
    "/auth/plex/pin/{pin:str}",
    summary="Go on signing in through Plex",
    opt={"action": Action.CONTINUE_SIGN_IN},
    response_headers=[perhaps(X_POSITION), perhaps(SET_COOKIE)],
    responses=refusals(Invalid, UnknownPin, *PLEX_REFUSALS, *SIGN_IN_REFUSALS),
)
async def poll_pin(request: Call, pin: PinId) -> Response[SignedInAnswer | PinPending]:
    """Answers `pending` until the PIN is confirmed, then signs in, once."""
    request.query(NoQuery)
    number, _, code = pin.partition("-")
    if not (number.isascii() and number.isdecimal() and code) or len(pin) > _LONGEST_PIN:
        raise UnknownPin
    client, context = client_of(request), request.context()
    by_pin = request.doors.sign_in.with_pin(int(number), code, client, context)
    signed_in = await _counted(request, SignInMethod.PLEX, by_pin)
    if signed_in is None:
        return Response(PinPending(), headers={"Cache-Control": "no-store"})
    return cast("Response[SignedInAnswer | PinPending]", await _answer(request, signed_in))


@post(
    "/auth/refresh",
    status_code=200,
    summary="Use a refresh token",
    opt={"action": Action.CONTINUE_SIGN_IN},
    operation_class=takes(_REFRESH_COOKIE, _CSRF_TOKEN),
    response_headers=[X_POSITION, SET_COOKIE],
    responses=refusals(*BAD_BODY, SessionOver, CrossSite, StoreBusy, *AT_THE_DOOR),
)
async def refresh(request: Call, data: JSONBody[RefreshForm]) -> Response[SignedInAnswer]:
    """Each token works once. One that is used again closes the session, for both who have it.

    Only the last one may be shown again for a short while, and is answered alike: its client may
    have lost the answer.
    """
    token = data.refresh_token
    if token is None:
        token = _cookie(request, REFRESH)
        session_id = token and request.doors.sign_in.session_of(token)
        if not token or not session_id:
            raise SessionOver
        check_own_page(request, session_id)
    signed_in = await request.doors.sign_in.refresh(token, client_of(request), request.context())
    return await _answer(request, signed_in)


@post(
    "/auth/logout",
    status_code=204,
    summary="Sign out",
    opt={"action": Action.CLOSE_SESSION},
    operation_class=asks(SignOutQuery),
    response_headers=[X_POSITION, perhaps(SET_COOKIE)],
    responses=refusals(Invalid, StoreBusy, *NOT_LET_IN),
)
async def logout(request: Call) -> Response[None]:
    """Closes this session, or every session of the account."""
    query = request.query(SignOutQuery)
    caller, context = request.caller, request.context()
    if query.everywhere:
        executed = await request.doors.accounts.end_sessions(caller.account_id, context)
        position = executed.position
    else:
        position = await request.doors.sign_in.sign_out(caller, context)
    return Response(
        None,
        status_code=204,
        headers={"X-Position": str(position)},
        cookies=no_cookies(request.scope),
    )


_LONGEST_PIN = 100


def client_of(request: Call) -> Client:
    """From where the call comes, for the eyes of the account's owner."""
    agent = request.headers.get("user-agent")
    return Client(address_of(request.scope), agent and agent[:200])


async def _counted(request: Call, method: SignInMethod, signing_in: Awaitable[T]) -> T:
    """What comes of ``signing_in``, which also counts as a try; nothing yet is none."""
    metrics = request.doors.metrics
    try:
        signed_in = await signing_in
    except (DomainError, PortError) as error:
        metrics.sign_in_ended(method, "failed" if isinstance(error, Retriable) else "refused")
        raise
    if signed_in is not None:
        metrics.sign_in_ended(method, "signed_in")
    return signed_in


async def _answer(
    request: Call, signed_in: SignedIn, *, status: int = 200
) -> Response[SignedInAnswer]:
    profile = await request.doors.accounts.profile(signed_in.account_id)
    access = signed_in.access
    csrf = csrf_token(request.doors.pseudonym, signed_in.session_id)
    return Response(
        SignedInAnswer(
            access.token,
            int(access.expires_in.total_seconds()),
            signed_in.refresh_token,
            user_view(profile),
        ),
        status_code=status,
        headers={"X-Position": str(signed_in.position), "Cache-Control": "no-store"},
        cookies=session_cookies(
            request.scope, access.token, access.expires_in, signed_in.refresh_token, csrf
        ),
    )


def _cookie(request: Call, name: str) -> str | None:
    header = request.headers.get("cookie", "").encode("latin-1")
    return cookie_of(header, cookie_name(request.scope, name))
