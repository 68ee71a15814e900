"""Plex accounts, and who of them has access to the configured Plex server.

Source: developer.plex.tv/pms (Authenticating with Plex), plexapi's ``myplex.py``.
"""

import asyncio
import re
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from hmac import compare_digest
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import structlog

from application.ports import (
    BadPlexToken,
    NoAccessToServer,
    PlexAccounts,
    PlexPin,
    PlexUnavailable,
    PlexUser,
    UnknownPin,
)
from infrastructure.upstreams.cache import Cache
from infrastructure.upstreams.upstream import (
    TIMEOUT,
    Answer,
    Upstream,
    UpstreamFailure,
)

PLEX_TV_URL = "https://plex.tv"
LIFETIME = timedelta(minutes=5)
"""How long the server's identifier is believed without asking; longer while the server is away."""
TOKEN_EXPIRED = 498
"""Plex's own status for the newer tokens, which are JWTs."""
REFUSED_TOKEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.UNPROCESSABLE_ENTITY, TOKEN_EXPIRED}
"""Only these say that a token is bad: whoever takes any failure for that, signs people out."""

WELL_FORMED_TOKEN = re.compile(r"[!-~]{1,4096}")
"""What fits into a header. Others never leave: an error about a malformed header quotes it."""

log = structlog.get_logger()

T = TypeVar("T")


class PlexTvAccounts(PlexAccounts):
    """plex.tv, asked with each person's own token, so that no admin's token can lock people out.

    PINs and tokens belong to ``client_identifier``, which must stay the same for ever. On
    ``plex_tv_url`` other than PLEX_TV_URL, one host plays clients.plex.tv and app.plex.tv too.
    """

    def __init__(
        self,
        plex_tv_url: str,
        plex_url: str | None,
        client_identifier: str,
        *,
        product: str = "MediaNest",
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        headers = {
            "X-Plex-Client-Identifier": client_identifier,
            "X-Plex-Product": product,
            "X-Plex-Version": version("medianest"),
        }
        self._auth_url = partial(auth_url, plex_tv_url, client_identifier, product)
        self._plex_tv = Upstream("plex.tv", plex_tv_url, headers=headers, timeout=timeout)
        self._clients = Upstream(
            "plex.tv", _on_host("clients", plex_tv_url), headers=headers, timeout=timeout
        )
        self._server = (
            Upstream("The Plex server", plex_url, headers=headers, timeout=timeout)
            if plex_url
            else None
        )
        self._identifiers: Cache[None, str] = Cache(LIFETIME, 1, PlexUnavailable, clock)

    async def start_pin(self) -> PlexPin:
        """A new PIN to be confirmed, with a code that nobody can guess."""
        self._configured_server()  # or all the confirming would be in vain
        with _unavailable():
            answer = await self._plex_tv.call("POST", "/api/v2/pins", query={"strong": "true"})
            pin = _read(answer, _Pin)
        expires_in = timedelta(seconds=pin.expires_in)
        return PlexPin(pin.id, pin.code, self._auth_url(pin.code), expires_in)

    async def claim_pin(self, pin_id: int, code: str) -> str | None:
        """The token of whoever has confirmed the PIN; ``None`` while nobody has.

        Ids are handed out in order and are easily guessed, so the code must be shown too. Raises
        UnknownPin, for another PIN's code likewise.
        """
        with _unavailable():
            answer = await self._plex_tv.call("GET", f"/api/v2/pins/{pin_id}")
            if answer.status == HTTPStatus.NOT_FOUND:
                answer.read(_Errors)  # or the 404 is not plex.tv's, and says nothing about the PIN
                raise UnknownPin
            pin = _read(answer, _Pin)
        if not compare_digest(pin.code.encode(), code.encode()):
            raise UnknownPin
        return pin.auth_token

    async def member(self, token: str) -> PlexUser:
        """Who holds the token, if they have access to the configured server.

        Raises BadPlexToken or NoAccessToServer.
        """
        if not WELL_FORMED_TOKEN.fullmatch(token):
            raise BadPlexToken
        with _unavailable():
            remembered = await self._identifiers.get(None, self._identifier)
            headers = {"X-Plex-Token": token}
            user_answer, resources_answer = await asyncio.gather(
                self._plex_tv.call("GET", "/api/v2/user", headers=headers),
                self._clients.call("GET", "/api/v2/resources", headers=headers),
            )
            for answer in (user_answer, resources_answer):
                if answer.status in REFUSED_TOKEN:
                    raise BadPlexToken
            user = _read(user_answer, _User)
            resources = _read(resources_answer, list[_Resource])
            # Once more before anybody is turned away: a server that was reinstalled has a new one.
            server = _find(resources, remembered) or _find(resources, await self._identifier())
        if server is None:
            raise NoAccessToServer
        return PlexUser(user.id, user.username or user.title, user.email or None, server.owned)

    async def aclose(self) -> None:
        """Stop, and let go of the connections."""
        await self._identifiers.aclose()
        for upstream in (self._plex_tv, self._clients, self._server):
            if upstream is not None:
                await upstream.aclose()

    async def _identifier(self) -> str:
        """The machine identifier of the configured server, which it tells to anybody."""
        with _unavailable():
            answer = await self._configured_server().call("GET", "/identity")
            return _read(answer, _Identity).media_container.machine_identifier

    def _configured_server(self) -> Upstream:
        if self._server is None:
            raise PlexUnavailable("No Plex server is configured.")
        return self._server


def auth_url(plex_tv_url: str, client_identifier: str, product: str, code: str) -> str:
    """Where a person signs in to Plex, and so confirms the PIN with ``code``."""
    fragment = {
        "clientID": client_identifier,
        "code": code,
        "context[device][product]": product,
    }
    return f"{_on_host('app', plex_tv_url)}/auth#?{urlencode(fragment, quote_via=quote)}"


def _on_host(name: str, plex_tv_url: str) -> str:
    return f"https://{name}.plex.tv" if plex_tv_url == PLEX_TV_URL else plex_tv_url


@contextmanager
def _unavailable() -> Generator[None]:
    """An upstream failure inside is PlexUnavailable outside."""
    try:
        yield
    except UpstreamFailure as failure:
        log.warning("plex unavailable", reason=str(failure))
        raise PlexUnavailable(str(failure)) from failure


def _read(answer: Answer, shape: type[T]) -> T:
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return answer.read(shape)
    log.warning("plex unavailable", service=answer.service, status=answer.status)
    raise PlexUnavailable(_sentence(answer), answer.retry_after)


def _sentence(answer: Answer) -> str:
    match answer.status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return f"{answer.service} asks us to slow down."
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"{answer.service} has a problem of its own."
        case _:
            return f"{answer.service} refuses to answer."


def _find(resources: "list[_Resource]", identifier: str) -> "_Resource | None":
    """The server among what somebody has access to; their players are there as well."""
    return next((resource for resource in resources if resource.is_server(identifier)), None)


class _Pin(msgspec.Struct, rename="camel"):
    id: int
    code: str
    expires_in: int
    auth_token: str | None = None


class _Error(msgspec.Struct):
    code: int


class _Errors(msgspec.Struct):
    errors: Annotated[list[_Error], msgspec.Meta(min_length=1)]


class _User(msgspec.Struct):
    id: int
    title: str
    username: str | None = None
    email: str | None = None


class _Resource(msgspec.Struct, rename="camel"):
    client_identifier: str
    provides: str | None = None
    owned: bool = False

    def is_server(self, identifier: str) -> bool:
        return self.client_identifier == identifier and "server" in (self.provides or "").split(",")


class _Server(msgspec.Struct, rename="camel"):
    machine_identifier: str


class _Identity(msgspec.Struct):
    media_container: _Server = msgspec.field(name="MediaContainer")
