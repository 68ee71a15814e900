"""What routes say of themselves in the OpenAPI document, beside what their types tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.datastructures import ResponseHeader
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    Schema,
)

from interfaces.http import shapes
from interfaces.http.idempotency import HEADER, KEY_PATTERN

SIGNED_IN: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}, {"cookie": []}]
"""Marks routes for people with an account; the document says which of these ways a route has."""

HEADERS: dict[str, dict[str, Any]] = {
    "X-Correlation-Id": {
        "description": "Yours, or a new one; ties together all that the request causes.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "X-Position": {
        "description": "The position of what was stored; a GET with `after` shows at least this.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Location": {
        "description": "Where it is from now on.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Content-Disposition": {
        "description": "The answer is a file; this names it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Send it back as `If-None-Match`; 304 says that nothing has changed.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "How long the answer was willing to wait, as `Prefer` has asked.",
        "schema": {"type": "string", "pattern": "^wait=[0-9]+$"},
    },
    "Set-Cookie": {
        "description": "For browsers: the session's cookies, one header each.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "In how many seconds to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to show who you are.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Upgrade": {
        "description": "What the address speaks.",
        "required": True,
        "schema": {"enum": ["websocket"]},
    },
    "Idempotency-Replayed": {
        "description": "The answer was given before, to the same `Idempotency-Key`.",
        "schema": {"enum": ["true"]},
    },
    "RateLimit-Policy": {
        "description": "The limit that the call counts against: calls `q` in any `w` seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "Calls that are left (`r`), and seconds until one more is (`t`).",
        "schema": {"type": "string"},
    },
    "X-Rate-Limit-Limit": {
        "description": "How many calls the limit allows.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-Rate-Limit-Remaining": {
        "description": "How many are left.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-Rate-Limit-Reset": {
        "description": "In how many seconds one more is left.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
"""Of answers. Beside them every answer has the usual ones of HTTP, and security headers."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "X-Correlation-Id": {
        "name": "X-Correlation-Id",
        "in": "header",
        "description": (
            "An id of yours for all that the request causes: 1 to 64 of `A-Za-z0-9._-`. Any other"
            " is replaced by a new one."
        ),
        "schema": {"type": "string"},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the answer that you have, or several; 304 if it is as new.",
        "schema": {"type": "string"},
    },
    "Idempotency-Key": {
        "name": HEADER,
        "in": "header",
        "description": (
            "A text that is new for each command, such as a UUID. Whoever sends the same request"
            " with the same key again, within a day, is given the first answer, with"
            " `Idempotency-Replayed: true`; nothing is done twice."
        ),
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    },
}
"""Of many routes."""

LINKS: dict[str, dict[str, str]] = {
    "requestMedia": {
        "showRequest": "request_id",
        "showHistory": "request_id",
        "endRequest": "request_id",
        "followRequest": "request_id",
    },
    "addChannel": {"changeChannel": "channel_id", "removeChannel": "channel_id"},
    "makeApiKey": {"revokeApiKey": "key_id"},
    "startPin": {"pollPin": "pin"},
}
"""Which parameter of which other operation takes the ``id`` that an operation answers."""


def _header(name: str, *, required: bool = True) -> ResponseHeader:
    return ResponseHeader(name=name, value="", documentation_only=True, required=required)


X_POSITION, LOCATION, ETAG, SET_COOKIE, PREFERENCE_APPLIED, CONTENT_DISPOSITION = map(
    _header,
    ("X-Position", "Location", "ETag", "Set-Cookie", "Preference-Applied", "Content-Disposition"),
)
NOT_MODIFIED = {304: ResponseSpec(None, description="What `If-None-Match` names is still right.")}


def perhaps(header: ResponseHeader) -> ResponseHeader:
    """A header that the answer does not always have."""
    return _header(header.name, required=False)


class Ready(Schema):
    """A JSON schema that is written already."""

    def __init__(self, schema: dict[str, Any]) -> None:
        super().__init__()
        self._schema = schema

    def to_schema(self) -> dict[str, Any]:
        """The schema."""
        return self._schema


def asks(query: type[msgspec.Struct], *media_types: str) -> type[Operation]:
    """Documents the fields of a query struct as the query parameters of a route.

    ``media_types`` are those of an answer that is a text of one of them.
    """
    required = {field.encode_name for field in msgspec.structs.fields(query) if field.required}
    return takes(
        *(
            Parameter(name=name, param_in="query", schema=Ready(schema), required=name in required)
            for name, schema in shapes.parameters(query).items()
        ),
        media_types=media_types,
    )


def takes(*parameters: Parameter, media_types: Sequence[str] = ()) -> type[Operation]:
    """Documents parameters of a route that its function does not name."""

    @dataclass
    class Taking(Operation):
        def __post_init__(self) -> None:
            described: Sequence[Parameter | Reference] = self.parameters or ()
            self.parameters = [*described, *parameters]
            answer = (self.responses or {}).get("200")
            if media_types and isinstance(answer, OpenAPIResponse):
                text = OpenAPIMediaType(schema=Ready({"type": "string"}))
                answer.content = dict.fromkeys(media_types, text)

    return Taking
