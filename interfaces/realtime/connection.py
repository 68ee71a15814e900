"""One client of the live stream: sign in, subscribe, catch up, go on live."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

import msgspec
import structlog
from litestar.types import Receive, Send, WebSocketScope

from application.admission import Credentials
from application.standings import Caller
from domain.permissions import Action
from interfaces.doors import Doors
from interfaces.http.entrance import credentials_of
from interfaces.realtime.messages import ACTIONS, Messages, Topic, frame_of
from interfaces.realtime.outlet import Outlet
from interfaces.realtime.protocol import (
    SUBPROTOCOL,
    Authenticate,
    ClientMessage,
    CloseCode,
    Closing,
    Gone,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
)

log = structlog.get_logger()

LONGEST_MESSAGE = 16 * 1024
"""Characters a client may send at once; a token is the longest thing it has to say."""
HEAD_CHECK_SECONDS = 0.02
"""How often it is looked whether this process has heard of a position."""

_BEARER = "bearer."
_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)


class Terms(msgspec.Struct, frozen=True):
    """What each client is granted.

    ``patience`` is how long it may take nothing of what is sent to it, ``lag`` how much later than
    another process this one may hear of a new position.
    """

    sign_in_within: timedelta = timedelta(seconds=5)
    ping_every: timedelta = timedelta(seconds=20)
    patience: timedelta = timedelta(seconds=10)
    lag: timedelta = timedelta(seconds=2)


class Connection:
    """Serves one client; ``draining`` is set when the process wants to stop."""

    def __init__(
        self,
        doors: Doors,
        messages: Messages,
        terms: Terms,
        draining: asyncio.Event,
        receive: Receive,
        send: Send,
    ) -> None:
        self._doors = doors
        self._messages = messages
        self._terms = terms
        self._draining = draining
        self._receive = receive
        self._send = send
        self._outlet = Outlet(send, terms.patience)
        self._position: int | None = None
        self.caller: Caller | None = None

    async def serve(self, scope: WebSocketScope, correlation_id: str) -> Closing | None:
        """Accept the client and serve it; says why the server ends it, ``None`` if it has gone."""
        try:
            await self._accept(scope, correlation_id)
            caller = self.caller = await self._sign_in(scope)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._end_with_session(caller))
                tasks.create_task(self._outlet.watch())
                tasks.create_task(self._ping())
                tasks.create_task(self._stop_when_draining())
                await self._listen(caller, tasks)
        except Gone:
            return None
        except Closing as closing:
            return closing
        except ExceptionGroup as group:
            return _verdict(group)

    async def _accept(self, scope: WebSocketScope, correlation_id: str) -> None:
        offered = SUBPROTOCOL in scope["subprotocols"]
        try:
            await self._send(
                {
                    "type": "websocket.accept",
                    "subprotocol": SUBPROTOCOL if offered else None,
                    "headers": [(b"x-correlation-id", correlation_id.encode())],
                }
            )
        except OSError as lost:
            raise Gone from lost

    async def _sign_in(self, scope: WebSocketScope) -> Caller:
        """Who the client is, from its handshake or its first message.

        A refusal comes after the handshake, since a browser learns of no other kind.
        """
        shown = _shown(scope) or Credentials(access_token=await self._first_message())
        caller = await self._doors.admission.identify(shown)
        if caller is None:
            raise Closing(CloseCode.UNAUTHENTICATED, "The token is not valid.")
        if not caller.reach(Action.FOLLOW_EVENTS):
            raise Closing(CloseCode.FORBIDDEN, "Not allowed.")
        return caller

    async def _end_with_session(self, caller: Caller) -> None:
        """End when the session does, or when its rights are no longer what they were."""
        standings = self._doors.standings
        with standings.watching(caller) as changed:
            while True:
                changed.clear()
                now = await standings.still(caller)
                if now is None:
                    raise Closing(CloseCode.UNAUTHENTICATED, "The session is over.")
                if now.role is not caller.role:
                    raise Closing(CloseCode.UNAUTHENTICATED, "Your rights have changed.")
                left = (now.expires_at - self._doors.clock()).total_seconds()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await changed.wait()

    async def _first_message(self) -> str:
        try:
            async with asyncio.timeout(self._terms.sign_in_within.total_seconds()):
                message = await self._next()
        except TimeoutError:
            raise Closing(CloseCode.UNAUTHENTICATED, "No token came in time.") from None
        if not isinstance(message, Authenticate):
            raise Closing(CloseCode.UNAUTHENTICATED, "Authenticate first.")
        return message.token

    async def _listen(self, caller: Caller, tasks: asyncio.TaskGroup) -> None:
        """Do what the client says. Raises Gone or Closing."""
        while True:
            match await self._next():
                case Subscribe() as wish if self._position is None:
                    self._position = await self._start(wish, caller)
                    topics = sorted(wish.topics)
                    await self._outlet.put(frame_of(Subscribed(topics, self._position)))
                    tasks.create_task(self._follow(caller, wish.topics, self._position))
                case Subscribe():
                    raise Closing(CloseCode.BAD_MESSAGE, "Already subscribed on this socket.")
                case Authenticate():
                    raise Closing(CloseCode.BAD_MESSAGE, "Already signed in on this socket.")
                case Pong():
                    pass

    async def _start(self, wish: Subscribe, caller: Caller) -> int:
        """The position behind which the client's messages begin."""
        refused = sorted(topic for topic in wish.topics if not caller.reach(ACTIONS[topic]))
        if refused:
            why = "For admins only" if caller.scopes is None else "Not with this API key"
            raise Closing(CloseCode.FORBIDDEN, f"{why}: {', '.join(refused)}.")
        feed = self._doors.feed
        if wish.position is None:
            return feed.head
        for _ in range(int(self._terms.lag.total_seconds() / HEAD_CHECK_SECONDS)):
            if wish.position <= feed.head:
                return wish.position
            await asyncio.sleep(HEAD_CHECK_SECONDS)
        # Such a client would wait for ever, or miss what is new after a restored backup.
        reason = f"“from” is in the future; the newest position is {feed.head}."
        raise Closing(CloseCode.BAD_MESSAGE, reason)

    async def _follow(self, caller: Caller, topics: Collection[Topic], position: int) -> None:
        """Send what the client may see of everything behind ``position``, as it comes."""
        async for page in self._doors.feed.subscribe(position):
            for recorded in page:
                for message in await self._messages.of(recorded):
                    if message.is_for(caller, topics):
                        await self._outlet.put(message.frame)
                self._position = recorded.position

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._terms.ping_every.total_seconds())
            await self._outlet.put(frame_of(Ping(self._position)))

    async def _stop_when_draining(self) -> None:
        await self._draining.wait()
        raise Closing(CloseCode.DRAINING, "The server stops. Resume with “from”.")

    async def _next(self) -> ClientMessage:
        event = await self._receive()
        if event["type"] != "websocket.receive":
            raise Gone
        text = event.get("text")
        if text is None or len(text) > LONGEST_MESSAGE:
            raise Closing(CloseCode.BAD_MESSAGE, "Messages are short JSON texts.")
        try:
            return _decoder.decode(text)
        except (msgspec.DecodeError, RecursionError) as refused:
            raise Closing(CloseCode.BAD_MESSAGE, f"Bad message: {refused}") from None


def _shown(scope: WebSocketScope) -> Credentials | None:
    """What the handshake shows of who the client is: a header, else a subprotocol.

    Cookies do not count, since a browser adds them whichever site has opened the socket.
    """
    shown, by_cookie = credentials_of(scope)
    if not by_cookie and (shown.access_token or shown.api_key):
        return shown
    for offered in scope["subprotocols"]:
        if offered.startswith(_BEARER):
            return Credentials(access_token=offered.removeprefix(_BEARER))
    return None


def _verdict(group: ExceptionGroup[Exception]) -> Closing | None:
    """What the tasks of a connection mean by failing."""
    gone, rest = group.split(Gone)
    if gone is not None:
        return None
    for failure in rest.exceptions if rest else ():
        if isinstance(failure, Closing):
            return failure
    log.error("socket failed", exc_info=group)
    return Closing(CloseCode.INTERNAL_ERROR, "Something went wrong on our side.")
