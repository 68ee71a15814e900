"""Who asks, and what that allows: the one place for both."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from litestar import Request

from application.ports import Caller
from domain.accounts import Role
from interfaces.http.errors import Forbidden, Unauthenticated


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The token of an ``Authorization: Bearer`` header, or ``None``."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else None
    return None


async def signed_in(request: Request[Any, Any, Any]) -> None:
    """Goes before every route for people with an account; the edge has read the token.

    A ``before_request`` hook rather than a guard: Litestar copies the whole route for each call of
    a guard, and would run a plain function in a thread.
    """
    if request.scope["user"] is None:
        raise Unauthenticated


def require_own(caller: Caller, owner: UUID) -> None:
    """Everybody sees their own things, admins everything. Raises Forbidden.

    403 rather than 404: whoever asks for a title that is taken learns so anyway (409, with a link),
    so hiding the request would only make that link look broken.
    """
    if caller.role is not Role.ADMIN and caller.account_id != owner:
        raise Forbidden("This belongs to somebody else.")
