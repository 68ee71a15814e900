"""The OpenAPI document and the page that shows it, both without the internet.

Litestar generates the document; its own documentation pages load from CDNs and answer 404 as HTML,
so they stay off and these routes serve instead.
"""

import asyncio
import base64
import functools
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import litestar_offline_docs
import msgspec
from litestar import Litestar, Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import (
    Components,
    Operation,
    Parameter,
    Reference,
    Schema,
    SecurityScheme,
)
from litestar.params import FromPath
from litestar.response import File
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from interfaces.http.call import Call, NoQuery

BEARER: list[dict[str, list[str]]] = [{"bearer": []}]

# The values give the headers a type; routes send their own.
X_POSITION = ResponseHeader(
    name="X-Position",
    value="",
    documentation_only=True,
    description="The position of what was stored; a GET with `after` shows at least this.",
)
LOCATION = ResponseHeader(
    name="Location", value="", documentation_only=True, description="Where it is from now on."
)
ETAG = ResponseHeader(
    name="ETag",
    value="",
    documentation_only=True,
    description="Send it back as `If-None-Match`; 304 says that nothing has changed.",
)
NOT_MODIFIED = {304: ResponseSpec(None, description="What `If-None-Match` names is still right.")}

_ASSETS = Path(litestar_offline_docs.__file__).parent / "static"
_ASSET_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_DESCRIPTION = """Requests for films and series, with their full history, live.

Problems are RFC 9457 `application/problem+json`; programs look at `type`, people read the rest.
Every answer carries an `X-Correlation-Id`, yours if you sent one; it is on every log line and event
that followed. Commands answer with an `X-Position`: any GET with `?after=` that position shows what
was stored. Unknown fields and parameters are refused."""
_START = (
    "SwaggerUIBundle({url: '/schema/openapi.json', dom_id: '#docs', deepLinking: true, "
    "validatorUrl: null})"
)
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MediaNest API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script>{_START}</script>
</body>
</html>
"""
_START_HASH = base64.b64encode(hashlib.sha256(_START.encode()).digest()).decode()
# The browser itself thus refuses whatever is not from here.
_PAGE_POLICY = (
    f"default-src 'self'; script-src 'self' 'sha256-{_START_HASH}'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)


class _Ready(Schema):
    """A JSON schema that is written already."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        super().__init__()
        self._schema = dict(schema)

    def to_schema(self) -> dict[str, Any]:
        return self._schema


def asks(query: type[msgspec.Struct]) -> type[Operation]:
    """Documents the fields of a query struct as the query parameters of a route."""
    parameters = _parameters(query)

    @dataclass
    class Asking(Operation):
        def __post_init__(self) -> None:
            described: Sequence[Parameter | Reference] = self.parameters or ()
            self.parameters = [*described, *parameters]

    return Asking


def _parameters(query: type[msgspec.Struct]) -> list[Parameter]:
    (_,), defined = msgspec.json.schema_components([query], ref_template="{name}")
    struct = cast("dict[str, Any]", defined[query.__name__])
    properties = cast("dict[str, dict[str, Any]]", struct["properties"])
    return [
        Parameter(name=name, param_in="query", schema=_Ready(_present(schema, defined)))
        for name, schema in properties.items()
    ]


def _present(schema: Mapping[str, Any], defined: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is there: a query string has no null, and no definitions."""
    arms = [arm for arm in schema.get("anyOf", [schema]) if arm.get("type") != "null"]
    (present,) = (defined[arm["$ref"]] if "$ref" in arm else arm for arm in arms)
    default = schema.get("default")
    return {**present, **({} if default is None else {"default": default})}


def _operation_id(
    handler: HTTPRouteHandler, method: Method, components: list[str | PathParameterDefinition]
) -> str:
    """The name of the route's function, as JSON spells names."""
    del method, components
    first, *rest = handler.handler_name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@functools.cache
def document(routes: tuple[Router, ...]) -> bytes:
    """The OpenAPI document of the routes, as JSON."""
    config = OpenAPIConfig(
        title="MediaNest",
        version=importlib.metadata.version("medianest"),
        description=_DESCRIPTION,
        operation_id_creator=_operation_id,
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
            }
        ),
    )
    app = Litestar(routes, openapi_config=config, request_class=Call, logging_config=None)
    return msgspec.json.encode(app.openapi_schema.to_schema())


def documentation(routes: tuple[Router, ...]) -> Router:
    """The routes of the document, and of the page that shows it."""

    @get("/schema/openapi.json")
    async def openapi_json(request: Call) -> Response[bytes]:
        request.query(NoQuery)
        # Made when it is first asked for: a quarter of a second that no start has to wait for.
        schema = await asyncio.to_thread(document, routes)
        return Response(schema, media_type="application/json")

    @get("/docs", sync_to_thread=False)
    def docs(request: Call) -> Response[str]:
        request.query(NoQuery)
        headers = {"Content-Security-Policy": _PAGE_POLICY}
        return Response(_PAGE, media_type="text/html", headers=headers)

    @get("/docs/assets/{name:str}", sync_to_thread=False)
    def asset(name: FromPath[str]) -> File:
        if name not in _ASSET_TYPES:
            raise NotFoundException
        return File(
            _ASSETS / name,
            filename=name,
            media_type=_ASSET_TYPES[name],
            content_disposition_type="inline",
        )

    return Router("/", route_handlers=[openapi_json, docs, asset], include_in_schema=False)
