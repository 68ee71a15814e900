"""The walk of ``medianest demo``: every flow over HTTP and WebSocket, told as it happens.

It is an ordinary client. The outside world is played by the stand-ins, which are told to fail on
the way, so that what happens then is to be seen, too.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import msgspec
import websockets
from rich.console import Console
from rich.markup import escape

from domain.accounts import Role
from interfaces.cli.main import Serving

_FILMS = (603, 78, 680, 238, 278, 348, 550, 13, 27205, 157336, 438631, 129)
_PATIENCE = 30.0
"""Seconds until a step that waits for an event has failed."""
_TIGHT = {"limit": 3, "windowSeconds": 5}
"""A rate limit that is soon reached, and soon over."""


class _Person(NamedTuple):
    name: str
    token: str
    refresh_token: str
    http: httpx.AsyncClient


class _LimitReached(Exception):
    """The walk was walked too often; it can go on after so many seconds."""


class _Walk:
    def __init__(self, serving: Serving, console: Console) -> None:
        self._serving = serving
        self._console = console
        self._stand_ins = serving.stand_ins
        self._seen: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    async def sign_in(self, http: httpx.AsyncClient, account: Any) -> _Person:
        body = {"email": account.email, "password": account.password}
        answer = await self._call(
            http, "POST", "/auth/login", json=body, shown={"email": account.email}
        )
        return _signed_in(account.role, http, answer)

    async def sign_in_with_plex(self, http: httpx.AsyncClient, username: str) -> _Person:
        """Sign in with a PIN that is confirmed at Plex, of which the stand-in plays the people."""
        pin = (await self._call(http, "POST", "/auth/plex/pin")).json()
        self.tell(f"to be opened in a browser: {pin['authUrl']}")
        path = f"/auth/plex/pin/{pin['id']}"
        await self._call(http, "GET", path)
        async with httpx.AsyncClient(trust_env=False) as plex:
            url = f"{self._stand_ins['plexTv']}/confirm/{pin['code']}"
            (await plex.put(url, params={"username": username})).raise_for_status()
        self.tell(f"{username} has confirmed the PIN there")
        return _signed_in(username, http, await self._call(http, "GET", path))

    async def reuse_a_token(self, person: _Person) -> None:
        """Refresh twice, and then show the first token again, as a thief would."""
        token = person.refresh_token
        for _ in range(2):
            token = (await self._refresh(person, token)).json()["refreshToken"]
        await self._refresh(person, person.refresh_token)
        await self._call(person.http, "GET", "/auth/me")

    async def reach_a_limit(self, person: _Person, admin: _Person) -> None:
        """Call until the limit is reached, wait as told, and go on; then it is as it was."""
        policies = (await self.get(admin, "/admin/rate-limits"))["policies"]
        (before,) = [policy for policy in policies if policy["policy"] == "general"]
        former = {name: before[name] for name in _TIGHT}
        await self._limit(admin, _TIGHT)
        try:
            refusal = await self._call_until_refused(person)
            self.tell(f"Retry-After: {refusal.headers['Retry-After']}; so we wait")
            await asyncio.sleep(int(refusal.headers["Retry-After"]))
            await self._call(person.http, "GET", "/auth/me")
        finally:
            await self._limit(admin, former)

    async def request_a_film(self, person: _Person) -> str | None:
        """Ask for the first film that nobody has asked for yet; ``None`` when all have been."""
        for tmdb_id in _FILMS:
            body = {"mediaType": "movie", "tmdbId": tmdb_id}
            answer = await self._call(person.http, "POST", "/media/request", json=body)
            if answer.status_code == HTTPStatus.CREATED:
                return answer.json()["id"]
        return None

    async def request_again(self, person: _Person, request_id: str) -> None:
        there = await self.get(person, f"/media/requests/{request_id}")
        body = {"mediaType": there["mediaType"], "tmdbId": there["tmdbId"]}
        await self._call(person.http, "POST", "/media/request", json=body)

    async def fail_overseerr(self, *faults: dict[str, Any]) -> None:
        async with httpx.AsyncClient(trust_env=False) as control:
            url = f"{self._stand_ins['control']}/overseerr/faults"
            (await control.put(url, json=faults)).raise_for_status()

    async def forwarded(self, request_id: str) -> None:
        """Wait until the socket tells that Overseerr has the request."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not any(_tells_forwarded(message, request_id) for message in self._seen):
                    self._more.clear()
                    await self._more.wait()

    async def get(self, person: _Person, path: str) -> Any:
        return (await self._call(person.http, "GET", path)).json()

    @asynccontextmanager
    async def listening(self, person: _Person) -> AsyncGenerator[None]:
        """Print what a person's socket receives, for the length of the context."""
        url = self._serving.url.replace("http", "ws", 1) + "/api/v1/ws"
        headers = {"Authorization": f"Bearer {person.token}"}
        async with websockets.connect(url, additional_headers=headers, proxy=None) as socket:
            await socket.send('{"type": "subscribe", "topics": ["requests"]}')
            await socket.recv()
            printing = asyncio.create_task(self._print(person, socket))
            try:
                yield
            finally:
                printing.cancel()

    def say(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/]")

    def tell(self, text: str) -> None:
        self._console.print(f"    {escape(text)}", highlight=False)

    async def _refresh(self, person: _Person, token: str) -> httpx.Response:
        body, shown = {"refreshToken": token}, {"refreshToken": f"…{token[-8:]}"}
        return await self._call(person.http, "POST", "/auth/refresh", json=body, shown=shown)

    async def _limit(self, admin: _Person, limit: dict[str, int]) -> None:
        await self._call(admin.http, "PUT", "/admin/rate-limits/general", json=limit)

    async def _call_until_refused(self, person: _Person) -> httpx.Response:
        while True:
            answer = await self._call(person.http, "GET", "/auth/me", limited=True)
            if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            self.tell(f"X-Rate-Limit-Remaining: {answer.headers['X-Rate-Limit-Remaining']}")

    async def _print(self, person: _Person, socket: websockets.ClientConnection) -> None:
        async for text in socket:
            message = msgspec.json.decode(text)
            data = message.get("data", {})
            self._console.print(
                f"    [cyan]⇠ {person.name}'s socket[/] [green]{message['type']}[/]"
                f" #{message.get('position')} {escape(str(data.get('title', '')))}"
                f" [dim]{escape(str(data.get('status', '')))}[/]",
                highlight=False,
            )
            self._seen.append(message)
            self._more.set()

    async def _call(
        self,
        http: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        shown: Any = None,
        limited: bool = False,
        **rest: Any,
    ) -> httpx.Response:
        answer = await http.request(method, path, **rest)
        body = shown or rest.get("json")
        sent = f" {msgspec.json.encode(body).decode()}" if body else ""
        colour = "green" if answer.is_success else "yellow"
        self._console.print(
            f"    [cyan]⇢ {method}[/] {escape(path + sent)} [{colour}]{answer.status_code}[/]"
            f" [dim]{escape(_summary(answer))}[/]",
            highlight=False,
        )
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS and not limited:
            raise _LimitReached(answer.headers["Retry-After"])
        return answer


async def walk(serving: Serving) -> None:
    """Walk through every flow there is, then leave everything running."""
    console = Console()
    console.print(f"[bold green]MediaNest is ready[/] at {serving.url}")
    for account in serving.accounts:
        console.print(f"  {account.role}: {account.email} / {account.password}", highlight=False)
    try:
        await _walk(_Walk(serving, console), serving)
    except _LimitReached as reached:
        console.print(f"\nThat is as often as one may ask for now; more in {reached} seconds.")
        console.print("To walk more often, set MEDIANEST_LIMIT_AUTH and _GENERAL higher.")
    console.print(
        f"\n[bold green]MediaNest stays up[/] at {serving.url}"
        f" (API documentation: {serving.url}/docs). Ctrl-C stops it."
    )


async def _walk(steps: _Walk, serving: Serving) -> None:
    def client() -> httpx.AsyncClient:
        base_url = f"{serving.url}/api/v1"
        return httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=_PATIENCE)

    accounts = {account.role: account for account in serving.accounts}
    async with client() as first, client() as second, client() as third:
        steps.say("Two people sign in, and listen on WebSockets")
        user = await steps.sign_in(first, accounts[Role.USER])
        admin = await steps.sign_in(second, accounts[Role.ADMIN])
        async with steps.listening(user), steps.listening(admin):
            await _walk_requests(steps, user)
        steps.say("A friend signs in through Plex, and is given an account")
        friend = await steps.sign_in_with_plex(third, "friend")
        steps.say("A refresh token works once: who shows a former one ends the session for both")
        await steps.reuse_a_token(friend)
        steps.say("An admin tightens a limit, and it counts at once")
        await steps.reach_a_limit(user, admin)


async def _walk_requests(steps: _Walk, user: _Person) -> None:
    steps.say("A film is requested: an event, a row, Overseerr, and live on both sockets")
    request_id = await steps.request_a_film(user)
    if request_id is None:
        steps.tell("Every film of the stand-ins' catalogue has been requested.")
        return
    await steps.forwarded(request_id)
    steps.say("The same again is refused, and names the request that is there")
    await steps.request_again(user, request_id)
    steps.say("Overseerr fails twice: the request is kept, and its history shows the attempts")
    await steps.fail_overseerr(
        {"fault": "status", "status": 500, "times": 1}, {"fault": "drop", "times": 1}
    )
    failing = await steps.request_a_film(user)
    if failing is not None:
        await steps.forwarded(failing)
        for entry in (await steps.get(user, f"/media/requests/{failing}/history"))["items"]:
            steps.tell(f"{entry['at']}  {entry['words']}")
    steps.say("Everything is in the list")
    for item in (await steps.get(user, "/media/requests?limit=5"))["items"]:
        steps.tell(f"{item['title']} ({item['year']}): {item['status']}")


def _tells_forwarded(message: dict[str, Any], request_id: str) -> bool:
    data = message.get("data", {})
    return data.get("id") == request_id and data.get("status") == "forwarded"


def _signed_in(name: str, http: httpx.AsyncClient, answer: httpx.Response) -> _Person:
    held = answer.json()
    http.headers["Authorization"] = f"Bearer {held['accessToken']}"
    return _Person(name, held["accessToken"], held["refreshToken"], http)


def _summary(answer: httpx.Response) -> str:
    body: Any = answer.json() if answer.content else {}
    if "type" in body and "detail" in body:
        existing = body.get("existing", {}).get("href", "")
        return f"{body['type']}: {body['detail']} {existing}"
    return str(body.get("title") or body.get("status") or "")
