"""The answer of a route that returns a struct, as JSON.

Litestar's own looks, for every answer, for the cookies, headers, encoders and tasks that ours do
not have: that takes as long as all the rest of its routing.
"""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

_encode = msgspec.json.Encoder().encode


class JsonAnswer(ASGIResponse):
    """A status and a body."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
        ]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class Answer(Response[Any]):
    """What Litestar makes of what a route returns; of anything but a struct, its usual answer."""

    def __init__(self, content: Any, *, status_code: int | None = None, **more: Any) -> None:
        self.content = content
        self.status_code = status_code
        if not isinstance(content, msgspec.Struct):
            super().__init__(content, status_code=status_code, **more)

    def to_asgi_response(
        self, app: Any, request: Request[Any, Any, Any], **more: Any
    ) -> ASGIResponse:
        """See ``Response``."""
        if isinstance(self.content, msgspec.Struct):
            return JsonAnswer(self.status_code or 200, _encode(self.content))
        whole: ASGIResponse = super().to_asgi_response(app, request, **more)  # pyright: ignore[reportUnknownMemberType]
        return whole
