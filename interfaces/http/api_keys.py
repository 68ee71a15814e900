"""Making, seeing and revoking one's own API keys."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from application.api_keys import API_KEY_NAME
from application.ports import StoreBusy, UnreadableStream
from domain.accounts import Role
from domain.api_keys import LONGEST_LIFE, Scope, UnknownApiKey, WrongExpiry
from domain.permissions import Action
from interfaces.http.call import Call, NoQuery, ReadQuery
from interfaces.http.errors import BAD_BODY, NOT_LET_IN, Forbidden, ReadModelBehind, refusals
from interfaces.http.openapi import ETAG, LOCATION, NOT_MODIFIED, X_POSITION, asks
from interfaces.input import NO_NUL, FieldError, Invalid
from projections.api_keys import API_KEYS

DEFAULT_LIFE = timedelta(days=90)

_EXPIRY = f"At most {LONGEST_LIFE.days} days from now; by default {DEFAULT_LIFE.days}."


class ApiKeyWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The key to make. Only an admin's key can have the scope ``admin``."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    scopes: Annotated[
        tuple[Scope, ...],
        Meta(min_length=1, max_length=len(Scope), extra_json_schema={"uniqueItems": True}),
    ]
    expires_at: Annotated[datetime, Meta(tz=True, description=_EXPIRY)] | None = None


class NewApiKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key to send as ``X-Api-Key``. ``key`` is shown this once and never again."""

    id: UUID
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime
    key: str


class ApiKeyView(msgspec.Struct, frozen=True, rename="camel"):
    """An API key. ``last_used_at`` is null while it was never used."""

    id: UUID
    name: str
    scopes: tuple[Scope, ...]
    made_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class ApiKeyItems(msgspec.Struct, frozen=True):
    """Every key that was not revoked, newest first; among them those that have expired."""

    items: Sequence[ApiKeyView]


@get(
    "/auth/keys",
    summary="List API keys",
    opt={"action": Action.SEE_API_KEYS},
    operation_class=asks(ReadQuery),
    response_headers=[ETAG],
    responses=NOT_MODIFIED | refusals(Invalid, ReadModelBehind, *NOT_LET_IN),
)
async def list_api_keys(request: Call) -> ApiKeyItems:
    """One's own keys that were not revoked, newest first."""
    await request.shown(request.query(ReadQuery), API_KEYS.table)
    rows = await request.doors.api_key_queries.of(request.caller.account_id)
    uses = await request.doors.last_uses.of(row.id for row in rows)
    names = await request.doors.personal_data.reveal_all(
        (row.account_id, API_KEY_NAME, row.name) for row in rows
    )
    return ApiKeyItems(
        [
            ApiKeyView(
                row.id, name or "", row.scopes, row.made_at, row.expires_at, uses.get(row.id)
            )
            for row, name in zip(rows, names, strict=True)
        ]
    )


@post(
    "/auth/keys",
    summary="Make an API key",
    opt={"action": Action.MAKE_API_KEY},
    response_headers=[LOCATION, X_POSITION],
    responses=refusals(*BAD_BODY, WrongExpiry, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def make_api_key(request: Call, data: JSONBody[ApiKeyWish]) -> Response[NewApiKey]:
    """The answer is the only one that ever shows the key."""
    if len(set(data.scopes)) < len(data.scopes):
        raise Invalid([FieldError("scopes", "Each can be given only once.")])
    caller = request.caller
    if Scope.ADMIN in data.scopes and caller.role is not Role.ADMIN:
        raise Forbidden("Only an admin can give a key the scope “admin”.")
    now = request.doors.clock()
    expires_at = _in_utc(data.expires_at) if data.expires_at else now + DEFAULT_LIFE
    key_id, key, made = await request.doors.api_keys.make(
        caller.account_id, data.name, data.scopes, expires_at, request.context()
    )
    return Response(
        NewApiKey(key_id, data.name, data.scopes, expires_at, key),
        headers={
            "Location": f"/api/v1/auth/keys/{key_id}",
            "X-Position": str(made.position),
            "Cache-Control": "no-store",
        },
    )


@delete(
    "/auth/keys/{key_id:uuid}",
    summary="Revoke an API key",
    opt={"action": Action.REVOKE_API_KEY},
    response_headers=[X_POSITION],
    responses=refusals(Invalid, UnknownApiKey, StoreBusy, UnreadableStream, *NOT_LET_IN),
)
async def revoke_api_key(request: Call, key_id: FromPath[UUID]) -> Response[None]:
    """It opens nothing from now on. One that was revoked already stays so."""
    request.query(NoQuery)
    account_id = request.caller.account_id
    position = await request.doors.api_keys.revoke(account_id, key_id, request.context())
    return Response(None, status_code=204, headers={"X-Position": str(position)})


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:  # at either end of all time
        raise WrongExpiry from None
