"""Around everything: correlation ids, who asks, the access log, security headers, ETags, HEAD.

It is plain ASGI, outside Litestar, because Litestar's own middleware does not see 404 and 405.
"""

import re
from hashlib import blake2b
from http import HTTPStatus
from time import perf_counter
from typing import Any, cast

import msgspec
import structlog
from litestar.types import (
    ASGIApp,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
    Message,
    Receive,
    Send,
)
from structlog.contextvars import bind_contextvars, clear_contextvars

from application.ports import AccessTokens, Caller, Ids
from interfaces.http.authentication import bearer_token
from interfaces.http.errors import PROBLEM_JSON, problem_of

log = structlog.get_logger()

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

_SECURITY_HEADERS: dict[bytes, bytes] = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""A route that needs another value sets its own."""
_OF_THE_BODY = {b"content-type", b"content-length", b"content-disposition", b"last-modified"}


def correlation_id_of(headers: Any, ids: Ids) -> str:
    """The client's ``X-Correlation-Id`` if it is a sane token, else a new one."""
    for name, value in headers:
        if name == b"x-correlation-id" and _SANE_ID.fullmatch(value):
            return value.decode("ascii")
    return str(ids())


class Edge:
    """An ASGI application around another one, for HTTP."""

    def __init__(self, app: ASGIApp, tokens: AccessTokens, ids: Ids) -> None:
        self._app = app
        self._tokens = tokens
        self._ids = ids

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request; an exception that nothing inside has caught is a plain 500."""
        started = perf_counter()
        correlation_id = correlation_id_of(scope["headers"], self._ids)
        clear_contextvars()
        bind_contextvars(correlation_id=correlation_id)
        answer = _Answer(scope, send, correlation_id)
        inner: dict[str, Any] = {**scope}
        inner["state"] = {**inner.get("state", {}), "correlation_id": correlation_id}
        if inner["method"] == "HEAD":
            inner["method"] = "GET"
        try:
            inner["user"] = self._caller(scope)
            await self._app(cast("HTTPScope", inner), receive, answer.send)
        except Exception as error:
            log.exception("request failed")
            if answer.begun:  # half an answer cannot be mended; the server cuts the connection
                raise
            await answer.fail(error)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                route=inner.get("path_template"),
                status=answer.status,
                ms=round((perf_counter() - started) * 1000, 2),
            )
            clear_contextvars()

    def _caller(self, scope: HTTPScope) -> Caller | None:
        """Who asks; a token that is not valid is nobody's."""
        token = bearer_token(scope["headers"])
        caller = self._tokens.read(token) if token else None
        if caller is not None:
            bind_contextvars(account=str(caller.account_id))
        return caller


class _Answer:
    """One answer on its way out. A JSON answer to a GET starts once its body is there to be hashed.

    The hash is right whatever the answer was made of, so no route has to care.
    """

    __slots__ = ("_correlation_id", "_no_body", "_scope", "_send", "_start", "begun", "status")

    def __init__(self, scope: HTTPScope, send: Send, correlation_id: str) -> None:
        self._scope = scope
        self._send = send
        self._correlation_id = correlation_id
        self._start: HTTPResponseStartEvent | None = None
        self._no_body = scope["method"] == "HEAD"
        self.begun = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """What the application sends instead of sending it itself."""
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            if self._is_hashed(message["status"], headers):
                self._start = message
            else:
                await self._begin(message, headers.get(b"etag"))
        elif message["type"] == "http.response.body":
            if self._start is not None:
                await self._begin(
                    self._start, None if message["more_body"] else _hash(message["body"])
                )
            await self._send(_body(b"", more=message["more_body"]) if self._no_body else message)
        else:
            await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer with the problem of ``error``, when nothing was sent yet."""
        problem = problem_of(error, self._correlation_id)
        body = msgspec.json.encode(problem)
        headers = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await self.send(
            {"type": "http.response.start", "status": problem.status, "headers": headers}
        )
        await self.send(_body(body))

    def _is_hashed(self, status: int, headers: dict[bytes, bytes]) -> bool:
        return (
            status == HTTPStatus.OK
            and self._scope["method"] in {"GET", "HEAD"}
            and headers.get(b"content-type", b"").startswith(b"application/json")
        )

    async def _begin(self, start: HTTPResponseStartEvent, etag: bytes | None) -> None:
        """Send the start with the last of its headers; 304 if the client has the answer already."""
        self._start = None
        status = start["status"]
        headers = [
            (name, _with_head(value) if name == b"allow" else value)
            for name, value in start["headers"]
        ]
        if etag is not None and self._is_known(etag):
            status, self._no_body = HTTPStatus.NOT_MODIFIED.value, True
            headers = [header for header in headers if header[0] not in _OF_THE_BODY]
        ours = {
            **_SECURITY_HEADERS,
            b"x-correlation-id": self._correlation_id.encode(),
            # What has an ETag its owner's browser may keep, and asks for again each time.
            b"cache-control": b"private, no-cache" if etag else b"no-store",
            **({b"etag": etag} if etag else {}),
        }
        theirs = dict(headers)
        headers += [(name, value) for name, value in ours.items() if name not in theirs]
        self.begun, self.status = True, status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _is_known(self, etag: bytes) -> bool:
        """Whether ``If-None-Match`` names it."""
        for name, value in self._scope["headers"]:
            if name == b"if-none-match":
                tags = {tag.strip().removeprefix(b"W/") for tag in value.split(b",")}
                return b"*" in tags or etag in tags
        return False


def _hash(body: bytes) -> bytes:
    return b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode()


def _with_head(allow: bytes) -> bytes:
    """HEAD is answered wherever GET is, though Litestar does not know it."""
    methods = {method.strip() for method in allow.split(b",")}
    return b", ".join(sorted(methods | ({b"HEAD"} if b"GET" in methods else set())))


def _body(body: bytes, *, more: bool = False) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": body, "more_body": more}
