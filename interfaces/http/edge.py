"""Around everything: correlation ids, the access log, security and rate limit headers, ETags, HEAD.

It is plain ASGI, outside Litestar, because Litestar's own middleware does not see 404 and 405.
"""

import math
import re
from functools import lru_cache
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
from uuid_utils import uuid7

from application.admission import Allowance
from application.ports.metrics import Metrics
from domain.rate_limits import Limit, Policy
from interfaces.http.errors import PROBLEM_JSON, problem_of

log = structlog.get_logger()

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

Headers = list[tuple[bytes, bytes]]

_SECURITY_HEADERS: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]
"""A route that needs another value sets its own."""
_OF_THE_BODY = {b"content-type", b"content-length", b"content-disposition", b"last-modified"}


def correlation_id_of(headers: Any) -> str:
    """The client's ``X-Correlation-Id`` if it is a sane token, else a new UUID version 7."""
    for name, value in headers:
        if name == b"x-correlation-id" and _SANE_ID.fullmatch(value):
            return value.decode("ascii")
    return str(uuid7())


class Edge:
    """An ASGI application around another one, for HTTP."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log.bind()  # once: ``log`` is a stand-in that looks for its logger each time

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request; an exception that nothing inside has caught is a plain 500."""
        started = perf_counter()
        correlation_id = correlation_id_of(scope["headers"])
        bind_contextvars(correlation_id=correlation_id)
        inner: dict[str, Any] = {**scope, "user": None}
        state = inner["state"] = {**inner.get("state", {}), "correlation_id": correlation_id}
        answer = _Answer(scope, send, state)
        if inner["method"] == "HEAD":
            inner["method"] = "GET"
        try:
            await self._app(cast("HTTPScope", inner), receive, answer.send)
        except Exception as error:
            log.exception("request failed", route=inner.get("path_template"))
            if answer.begun:  # half an answer cannot be mended; the server cuts the connection
                raise
            await answer.fail(error)
        finally:
            self._done(inner, answer.status, perf_counter() - started)
            clear_contextvars()

    def _done(self, scope: dict[str, Any], status: int | None, seconds: float) -> None:
        """Tell that it was answered. A path may hold secrets, so its template stands for it."""
        route = scope.get("path_template")
        method = scope["method"]
        self._metrics.request_answered(method, route, status, seconds)
        ms = round(seconds * 1000, 2)
        self._log.info("request", method=method, route=route, status=status, ms=ms)


class _Answer:
    """One answer on its way out. A JSON answer to a GET starts once its body is there to be hashed.

    The hash is right whatever the answer was made of, so no route has to care. Likewise the answer
    to a command that has an idempotency key starts once it is kept.
    """

    __slots__ = ("_hashed", "_no_body", "_scope", "_send", "_start", "_state", "begun", "status")

    def __init__(self, scope: HTTPScope, send: Send, state: dict[str, Any]) -> None:
        self._scope = scope
        self._send = send
        self._state = state
        self._start: HTTPResponseStartEvent | None = None
        self._hashed = False
        self._no_body = scope["method"] == "HEAD"
        self.begun = False
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """What the application sends instead of sending it itself."""
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            self._hashed = self._is_hashed(message["status"], headers)
            if self._hashed or "settle" in self._state:
                self._start = message
            else:
                await self._begin(message, headers.get(b"etag"))
        elif message["type"] == "http.response.body":
            if self._start is not None:
                if "settle" in self._state:
                    await self._state["settle"](self._start, message)
                whole = self._hashed and not message["more_body"]
                await self._begin(self._start, _hash(message["body"]) if whole else None)
            await self._send(_body(b"", more=message["more_body"]) if self._no_body else message)
        else:
            await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer with the problem of ``error``, when nothing was sent yet."""
        problem = problem_of(error, self._state["correlation_id"])
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
            # Who must not keep an answer has none to compare it with; and tokens come only once.
            and headers.get(b"cache-control") != b"no-store"
        )

    async def _begin(self, start: HTTPResponseStartEvent, etag: bytes | None) -> None:
        """Send the start with the last of its headers; 304 if the client has the answer already."""
        self._start = None
        status, headers = start["status"], [*start["headers"]]
        if etag is not None and self._is_known(etag):
            status, self._no_body = HTTPStatus.NOT_MODIFIED.value, True
            headers = [header for header in headers if header[0] not in _OF_THE_BODY]
        theirs = {name for name, _ in headers}
        if b"allow" in theirs:
            headers = [(n, _with_head(value) if n == b"allow" else value) for n, value in headers]
        headers += [header for header in self._ours(etag) if header[0] not in theirs]
        self.begun, self.status = True, status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _ours(self, etag: bytes | None) -> Headers:
        """What every answer has, but for what it sets itself."""
        ours = [
            *_SECURITY_HEADERS,
            (b"x-correlation-id", self._state["correlation_id"].encode()),
            # What has an ETag its owner's browser may keep, and asks for again each time.
            (b"cache-control", b"private, no-cache" if etag else b"no-store"),
        ]
        if etag:
            ours.append((b"etag", etag))
        allowance = self._state.get("allowance")
        return ours if allowance is None else ours + rate_limit_headers(allowance)

    def _is_known(self, etag: bytes) -> bool:
        """Whether ``If-None-Match`` names it."""
        for name, value in self._scope["headers"]:
            if name == b"if-none-match":
                tags = {tag.strip().removeprefix(b"W/") for tag in value.split(b",")}
                return b"*" in tags or etag in tags
        return False


def rate_limit_headers(allowance: Allowance) -> Headers:
    """What is left of the limit that the call counted against; times in seconds from now.

    Source: draft-ietf-httpapi-ratelimit-headers-11, and the older names that clients know.
    """
    headers = _policy_headers(allowance.policy, allowance.limit)
    remaining = allowance.remaining
    if remaining is None:
        return headers
    reset = math.ceil(allowance.reset_after.total_seconds())
    return [
        *headers,
        (b"x-rate-limit-remaining", b"%d" % remaining),
        (b"x-rate-limit-reset", b"%d" % reset),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (allowance.policy.encode(), remaining, reset)),
    ]


@lru_cache(maxsize=64)  # an admin can change them, but not so often
def _policy_headers(policy: Policy, limit: Limit) -> Headers:
    return [
        (b"x-rate-limit-limit", b"%d" % limit.limit),
        (
            b"ratelimit-policy",
            b'"%s";q=%d;w=%d' % (policy.encode(), limit.limit, limit.window_seconds),
        ),
    ]


def _hash(body: bytes) -> bytes:
    return b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode()


def _with_head(allow: bytes) -> bytes:
    """HEAD is answered wherever GET is, though Litestar does not know it."""
    methods = {method.strip() for method in allow.split(b",")}
    return b", ".join(sorted(methods | ({b"HEAD"} if b"GET" in methods else set())))


def _body(body: bytes, *, more: bool = False) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": body, "more_body": more}
