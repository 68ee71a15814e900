"""``python -m benchmarks.peer_process NAME --fd N``: an application that is not ours.

It is served by stock uvicorn with the settings of MediaNest's API process; ``gathering`` is served
exactly as that is. Standard input says where Redis is.
"""

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import click
import msgspec
import uvloop
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from litestar import Litestar, Request, get, post
from litestar.exceptions import NotAuthorizedException
from litestar.middleware.rate_limit import RateLimitConfig
from litestar.params import FromPath, JSONBody
from litestar.stores.redis import RedisStore
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from redis.asyncio import Redis
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from application.admission import Allowance
from application.ports import Gate, Visit
from benchmarks.probe import Lags, probe_loop
from domain.rate_limits import Limit, Policy
from infrastructure.gate import RedisGate
from infrastructure.server import serve
from infrastructure.supervision import watch_parent
from infrastructure.supervision.supervisor import until_signal
from infrastructure.transport import GatheringProtocol
from interfaces.http.edge import rate_limit_headers

HELLO, OTHER, LOGIN, PROBE = "/hello", "/other", "/login", "/probe"
CALLER = "x-caller"
"""The header that names whose calls are counted together."""
LIMIT = 100
HOURLY = Limit(LIMIT, 3600)
ARGON2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""With the parameters of MediaNest's."""


class Hello(msgspec.Struct, frozen=True):
    """The shortest answer of any use."""

    message: str = "hello"


class Credentials(msgspec.Struct, frozen=True):
    """What signs somebody in."""

    email: str
    password: str


@get(HELLO)
async def hello() -> Hello:
    """The yardstick."""
    return Hello()


@get(OTHER)
async def other() -> Hello:
    """A second route."""
    return Hello()


@get(f"{PROBE}/{{milliseconds:int}}")
async def probe(milliseconds: FromPath[int]) -> Lags:
    """How late the event loop was, for so long."""
    return await probe_loop(milliseconds / 1000)


@post(LOGIN, sync_to_thread=True)
def login(data: JSONBody[Credentials]) -> Hello:
    """Verify the password in a thread, as Litestar does it for a function that blocks."""
    try:
        ARGON2.verify(_HASH, data.password)
    except VerificationError:
        raise NotAuthorizedException from None
    return Hello()


_HASH = ARGON2.hash("correct horse battery staple")


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The same answer without Litestar."""
    del scope, receive
    headers = [(b"content-type", b"application/json"), (b"content-length", b"19")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"message":"hello"}', "more_body": False})


def caller_of(request: Request[Any, Any, Any]) -> str:
    """Whose calls are counted together: whoever the load says that it is."""
    return request.headers[CALLER]


def _redis(redis_url: str) -> Redis:
    return Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType] - half typed


def limited(redis_url: str) -> Litestar:
    """Two routes behind Litestar's own rate limit, with its own store on Redis."""
    config = RateLimitConfig(rate_limit=("hour", LIMIT), identifier_for_request=caller_of)
    return Litestar(
        [hello, other],
        middleware=[config.middleware],
        stores={config.store: RedisStore(_redis(redis_url))},
        openapi_config=None,
    )


class Gated:
    """MediaNest's gate in front of an application, in the place of Litestar's rate limit."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the call, and answer it with what is left."""
        caller = dict(scope["headers"])[CALLER.encode()].decode()
        visit = Visit(Policy.GENERAL, HOURLY.limit, HOURLY.window, f"address:{caller}")
        passage = await self._gate.enter(visit)
        if passage.retry_after is not None:
            await send({"type": "http.response.start", "status": 429, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        allowance = Allowance(Policy.GENERAL, HOURLY, passage.remaining, passage.reset_after)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *rate_limit_headers(allowance)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


@asynccontextmanager
async def _application(name: str, redis_url: str) -> AsyncGenerator[ASGIApp]:
    plain = Litestar([hello, login, probe], openapi_config=None)
    match name:
        case "bare":
            yield bare
        case "limited":
            yield limited(redis_url)
        case "gated":
            async with RedisGate(redis_url) as gate:
                yield Gated(plain, gate)
        case _:
            yield plain


@click.command()
@click.argument("name", type=click.Choice(["bare", "gated", "gathering", "limited", "litestar"]))
@click.option("--fd", "descriptor", type=int, required=True)
def main(name: str, descriptor: int) -> None:
    """Serve it until a signal comes."""

    async def run() -> None:
        async def nobody_to_tell() -> None:
            pass

        async with until_signal(), _application(name, sys.stdin.read()) as app:
            listener = socket.socket(fileno=descriptor)
            protocol = GatheringProtocol if name == "gathering" else HttpToolsProtocol
            await serve(app, listener, nobody_to_tell, protocol=protocol)

    watch_parent()
    uvloop.run(run())


if __name__ == "__main__":
    main()
