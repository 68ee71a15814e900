"""The page that shows the OpenAPI document, and the document, both without the internet.

Litestar's own documentation pages load from CDNs and answer 404 as HTML, so they stay off and these
routes serve instead.
"""

import asyncio
import base64
import hashlib
from pathlib import Path

import litestar_offline_docs
from litestar import Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import File

from domain.permissions import Action
from interfaces.http.call import Call, NoQuery
from interfaces.http.document import document

_ASSETS = Path(litestar_offline_docs.__file__).parent / "static"
_ASSET_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
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

    return Router(
        "/",
        route_handlers=[openapi_json, docs, asset],
        opt={"action": Action.LOOK_FROM_OUTSIDE},
        include_in_schema=False,
    )
