"""What all stand-ins have in common: they listen, fail as told, and keep a record of all calls."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from infrastructure.stand_ins.faults import Drop, Fault, Faults, Garbage, Hang, Refuse, Slow, Status
from infrastructure.stand_ins.http import (
    Message,
    Receive,
    Request,
    Response,
    Send,
    json_response,
    read_request,
    send_response,
)
from infrastructure.stand_ins.listener import HOST, Listener

RECORDED_CALLS = 10_000
SECRET_HEADERS = {"authorization", "cookie", "x-api-key", "x-plex-token"}
SECRET_PARAMETERS = {"api_key", "X-Plex-Token"}
MASK = "***"


class Call(msgspec.Struct, rename="camel"):
    """A call as it was received, with secrets masked; it changes once, when it is answered.

    ``body`` is what the JSON says, or the text where it is none. ``fault`` is the kind of fault it
    met. ``status`` stays ``None`` while there is no answer, and when there never is one.
    """

    at: datetime
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    fault: str | None = None
    status: int | None = None
    answered_at: datetime | None = None


class StandIn(ABC):
    """A service that answers as its original does, on a port of the loopback."""

    name: ClassVar[str]
    base: ClassVar[str] = ""
    """The part of the URL that clients are configured with, beyond the host."""

    def __init__(self, port: int = 0) -> None:
        self._listener = Listener(self, port)
        self._faults = Faults()
        self._calls: deque[Call] = deque(maxlen=RECORDED_CALLS)
        self._reopening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """What a client is configured with."""
        return f"http://{HOST}:{self._listener.port}{self.base}"

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """The original's answer. It is atomic: nothing else happens meanwhile."""

    @abstractmethod
    def error(self, status: int) -> Response:
        """An error in the words of the original."""

    @abstractmethod
    def clear(self) -> None:
        """Forget what callers have changed."""

    def steer(self, method: str, what: str, body: bytes) -> Response | None:
        """Let happen what is not of the original's protocol (see ``control``).

        ``None`` when it is unknown. Raises msgspec.DecodeError.
        """
        del method, what, body
        return None

    async def open(self) -> None:
        """Begin to listen."""
        await self._listener.open()

    async def close(self) -> None:
        """Stop for good."""
        self._stay_refusing()
        await self._listener.close()

    async def fail(self, *faults: Fault) -> None:
        """Fail as told from now on, and no longer as told before; with no faults, work."""
        self._stay_refusing()
        self._faults.replace(fault for fault in faults if not isinstance(fault, Refuse))
        refusal = next((fault for fault in faults if isinstance(fault, Refuse)), None)
        if refusal is None:
            await self._listener.open()
            return
        await self._listener.refuse()
        if refusal.seconds is not None:
            self._reopening = asyncio.create_task(self._open_after(refusal.seconds))

    async def calls(self) -> list[Call]:
        """The last calls, oldest first."""
        return list(self._calls)

    async def reset(self) -> None:
        """Be as new."""
        await self.fail()
        self._calls.clear()
        self.clear()

    def _stay_refusing(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None

    async def _open_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listener.open()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI call."""
        request = await read_request(scope, receive)
        call = _record(request)
        self._calls.append(call)
        response = await self._answer(request, call, receive)
        if response is None:
            scope["state"]["drop"]()
            await receive()  # returns once the connection is gone, so that no answer is missed
            return
        call.status, call.answered_at = response.status, datetime.now(UTC)
        await send_response(response, send)

    async def _answer(self, request: Request, call: Call, receive: Receive) -> Response | None:
        fault = self._faults.strike(request.method, request.path)
        if fault is None:
            return self.respond(request)
        call.fault = type(fault).__name__.lower()
        worked = self.respond(request) if fault.work_first else None
        match fault:
            case Status(status=status, body=body, headers=headers):
                response = self.error(status) if body is None else json_response(status, body)
                return msgspec.structs.replace(response, headers={**response.headers, **headers})
            case Slow(delay=delay):
                await asyncio.sleep(delay)
                return worked or self.respond(request)
            case Garbage(html=html):
                kind = "text/html" if html else "application/json"
                body = b"<!doctype html><title>Welcome</title>" if html else b'{"id": 4, "na'
                return Response(200, body, {"Content-Type": kind})
            case Hang():
                await receive()  # the request is read, so the next message is the disconnection
                return None
            case Drop():
                return None


def _record(request: Request) -> Call:
    try:
        body = msgspec.json.decode(request.body) if request.body else None
    except msgspec.DecodeError:
        body = request.body.decode(errors="replace")
    return Call(
        at=datetime.now(UTC),
        method=request.method,
        path=request.path,
        query={k: MASK if k in SECRET_PARAMETERS else v for k, v in request.query.items()},
        headers={k: MASK if k in SECRET_HEADERS else v for k, v in request.headers.items()},
        body=body,
    )
