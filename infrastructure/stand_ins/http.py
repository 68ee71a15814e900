"""The little HTTP that the stand-ins are written in, on bare ASGI.

A framework would add a third of a second to start-up, and would answer errors in its own words
where a stand-in must use its original's.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Request(msgspec.Struct, frozen=True):
    """A call, wholly read. Header names are lower-case; of a repeated parameter the last counts."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Response(msgspec.Struct, frozen=True):
    """What is answered."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


def json_response(status: int, data: Any) -> Response:
    """``data`` as JSON."""
    body = msgspec.json.encode(data)
    return Response(status, body, {"Content-Type": "application/json; charset=utf-8"})


class Route(msgspec.Struct, frozen=True):
    """Whom a call goes to: ``answer(request, *path_parameters)``."""

    method: str
    path: re.Pattern[str]
    answer: Callable[..., Response]
    query: frozenset[str] | None = None
    """The query parameters it knows, where the original refuses unknown ones."""


def route(
    method: str, path: str, answer: Callable[..., Response], query: str | None = None
) -> Route:
    """A route for ``/like/{this}``, with its query parameters separated by blanks."""
    pattern = re.compile(re.sub(r"{\w+}", "([^/]+)", path))
    return Route(method, pattern, answer, None if query is None else frozenset(query.split()))


class NotFound(Exception):
    """No route has this path."""


class MethodNotAllowed(Exception):
    """The path has routes, but not for this method."""


def find_route(
    routes: Iterable[Route], method: str, path: str
) -> tuple[Route, tuple[str | Any, ...]]:
    """The first route that fits, and its path parameters. Raises NotFound or MethodNotAllowed."""
    known = False
    for candidate in routes:
        if match := candidate.path.fullmatch(path):
            if candidate.method == method:
                return candidate, match.groups()
            known = True
    raise MethodNotAllowed if known else NotFound


async def read_request(scope: Message, receive: Receive) -> Request:
    """The whole request, body included."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        headers={name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
        body=bytes(body),
    )


async def send_response(response: Response, send: Send) -> None:
    """The response in one piece."""
    headers = {"Content-Length": str(len(response.body)), **response.headers}
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": response.body})
