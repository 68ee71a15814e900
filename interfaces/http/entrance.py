"""The entrance of every route: who asks, how often, and whether that allows it."""

import hmac
from collections.abc import Iterable
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv6Address, ip_address
from typing import Any, cast
from uuid import UUID

from litestar import Request, Response
from litestar.routes import HTTPRoute
from litestar.types import Scope
from structlog.contextvars import bind_contextvars

from application.admission import Credentials, TooOften
from application.ports import Pseudonym
from application.standings import Caller
from domain.permissions import PERMISSIONS, Action, Rule
from domain.rate_limits import Policy
from interfaces.http.call import Call
from interfaces.http.cookies import ACCESS, cookie_name
from interfaces.http.errors import CrossSite, Forbidden, Unauthenticated
from interfaces.http.idempotency import first_answer

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SITE_BITS = 64
"""Who has an IPv6 address has a whole network of so many bits, and is counted as one."""


async def enter(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """Goes before every route; a command that was answered before is answered alike.

    A ``before_request`` hook rather than a guard: Litestar copies the whole route for each call of
    a guard, and would run a plain function in a thread.
    """
    call = cast("Call", request)
    if call.scope["method"] == "OPTIONS":
        return _options(call)
    action = call.action
    rule = PERMISSIONS[action]
    if rule.policy is None:
        return None
    shown, by_cookie = (Credentials(), False) if rule.anyone else credentials_of(call.scope)
    caller = await _admit(call, shown, rule.policy)
    if rule.anyone:
        return None
    if caller is None:
        raise Unauthenticated
    _require(action, rule, caller)
    if call.method in SAFE_METHODS:
        return None
    if by_cookie:
        check_own_page(call, caller.session_id)
    return await first_answer(call, caller.account_id)


def _options(call: Call) -> Response[bytes]:
    """The methods of the address, of which Litestar's own answer names those of one route only."""
    path = call.scope["path_template"]
    routes = [route for route in call.app.routes if route.path_format == path]
    methods = {
        method for route in routes if isinstance(route, HTTPRoute) for method in route.methods
    }
    return Response(b"", status_code=204, headers={"Allow": ", ".join(sorted(methods))})


async def _admit(call: Call, shown: Credentials, policy: Policy) -> Caller | None:
    state = call.scope["state"]
    try:
        admitted = await call.doors.admission.admit(
            shown, policy, address_of(call.scope), call.correlation_id
        )
    except TooOften as refusal:
        state["allowance"] = refusal.allowance
        raise
    state["allowance"] = admitted.allowance
    caller = call.scope["user"] = admitted.caller
    if caller is not None:
        bind_contextvars(account=_text_of(caller.account_id))
    return caller


def credentials_of(scope: Scope) -> tuple[Credentials, bool]:
    """What the call shows of who it is, and whether a browser added it by itself, as a cookie."""
    cookies: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            return Credentials(access_token=_token_of(value)), False
        if name == b"x-api-key":
            return Credentials(api_key=value.decode("latin-1").strip()), False
        if name == b"cookie":
            cookies = value
    if cookies is None:
        return Credentials(), False
    return Credentials(access_token=cookie_of(cookies, cookie_name(scope, ACCESS))), True


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of an ``Authorization: Bearer`` header, or ``None``."""
    for name, value in headers:
        if name == b"authorization":
            return _token_of(value)
    return None


def _token_of(authorization: bytes) -> str | None:
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def cookie_of(header: bytes, name: str) -> str | None:
    """The value of one cookie, or ``None``."""
    try:
        cookies = SimpleCookie(header.decode("latin-1"))
    except CookieError:
        return None
    return cookies[name].value if name in cookies else None


def address_of(scope: Scope) -> str:
    """Whose calls are counted together when nobody is signed in."""
    client = scope["client"]
    return _site(client[0]) if client else "local"


@lru_cache(maxsize=4096)
def _text_of(account_id: UUID) -> str:
    return str(account_id)


@lru_cache(maxsize=4096)
def _site(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> SITE_BITS << SITE_BITS))
    return host


def csrf_token(pseudonym: Pseudonym, session_id: UUID) -> str:
    """What our own page can read from its cookie, and another site cannot."""
    return str(pseudonym("csrf", str(session_id)))


def check_own_page(request: Call, session_id: UUID) -> None:
    """Make sure that our own page sends the change, not another site. Raises CrossSite."""
    headers = request.headers
    right = csrf_token(request.doors.pseudonym, session_id)
    shown = headers.get("x-csrf-token", "")
    cross_site = headers.get("sec-fetch-site") == "cross-site"
    if cross_site or not hmac.compare_digest(shown.encode(), right.encode()):
        raise CrossSite


def _require(action: Action, rule: Rule, caller: Caller) -> None:
    if caller.reach(action):
        return
    if caller.scopes is None or (rule.scope is not None and rule.scope in caller.scopes):
        raise Forbidden("Only admins may do this.")
    if rule.scope is None:
        raise Forbidden("An API key cannot do this; sign in.")
    raise Forbidden(f"This API key needs the scope “{rule.scope}”.")
