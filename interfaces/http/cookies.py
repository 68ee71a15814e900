"""The cookies of a session: for pages in browsers, which then need not keep tokens themselves."""

from datetime import timedelta
from typing import Literal

from litestar.datastructures import Cookie
from litestar.types import Scope

ACCESS = "medianest_access"
REFRESH = "medianest_refresh"
CSRF = "medianest_csrf"
REFRESH_PATH = "/api/v1/auth"
"""The refresh token goes nowhere else."""


def is_secure(scope: Scope) -> bool:
    """Whether the browser speaks TLS to us, or to the proxy that we trust."""
    return scope["scheme"] in {"https", "wss"}


def cookie_name(scope: Scope, name: str) -> str:
    """Behind TLS the name itself keeps plain HTTP from setting the cookie."""
    return f"__Secure-{name}" if is_secure(scope) else name


def session_cookies(
    scope: Scope, access_token: str, access_for: timedelta, refresh_token: str, csrf: str
) -> list[Cookie]:
    """The cookies of a session that was opened or refreshed."""
    lasting = timedelta(days=365)  # the server ends sessions; a cookie only carries them
    return [
        _cookie(scope, ACCESS, access_token, access_for, "/api/v1", "lax"),
        _cookie(scope, REFRESH, refresh_token, lasting, REFRESH_PATH, "strict"),
        _cookie(scope, CSRF, csrf, lasting, "/", "strict", readable=True),
    ]


def no_cookies(scope: Scope) -> list[Cookie]:
    """What makes a browser forget them."""
    return session_cookies(scope, "", timedelta(), "", "")


def _cookie(
    scope: Scope,
    name: str,
    value: str,
    lasting: timedelta,
    path: str,
    same_site: Literal["lax", "strict"],
    *,
    readable: bool = False,
) -> Cookie:
    return Cookie(
        key=cookie_name(scope, name),
        value=value,
        max_age=int(lasting.total_seconds()) if value else 0,
        path=path,
        secure=is_secure(scope),
        httponly=not readable,
        samesite=same_site,
    )
