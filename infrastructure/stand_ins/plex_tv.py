"""A stand-in of plex.tv, and of clients.plex.tv and app.plex.tv, all on one port.

Source: developer.plex.tv/pms (Authenticating with Plex), plexapi's ``myplex.py``. Fields about
places, subscriptions and preferences are left out.
"""

import secrets
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from infrastructure.stand_ins.http import (
    MethodNotAllowed,
    NotFound,
    Request,
    Response,
    find_route,
    json_response,
    route,
)
from infrastructure.stand_ins.plex import (
    OWNER_TOKEN,
    PlexData,
    PlexStandIn,
    accepts_json,
    plex_parameter,
    xml_response,
)
from infrastructure.stand_ins.stand_in import StandIn

STRONG_LIFETIME = timedelta(minutes=30)
LIFETIME = timedelta(minutes=15)
STRONG_CODE = (string.ascii_lowercase + string.digits, 25)
CODE = (string.ascii_uppercase + string.digits, 4)

REFUSED_TOKENS = {"stand-in-garbled": 422, "stand-in-expired": 498}
"""Tokens that are not merely unknown. Only the newer tokens, which are JWTs, expire."""

ERRORS = {
    400: (1000, "X-Plex-Client-Identifier is missing"),
    401: (1001, "User could not be authenticated"),
    404: (1002, "The requested resource or endpoint could not be found"),
    405: (1005, "The request method is not allowed for this endpoint"),
    422: (1001, "Invalid token"),
    429: (1003, "API rate limit exceeded"),
    498: (1001, "The token has expired"),
    500: (1007, "Internal Server Error. Something went wrong on our end"),
    503: (1013, "The server cannot handle the request"),
}
_NO_SUCH_PIN = {"code": 1020, "message": "Code not found or expired"}


class Person(msgspec.Struct, frozen=True):
    """Who has an account. ``token`` is valid from the beginning, without any PIN."""

    id: int
    username: str
    email: str | None
    token: str
    access: Literal["owned", "shared"] | None
    """What the stand-in of a Plex server is to them."""


PEOPLE = (
    Person(1, "owner", "owner@plex.test", OWNER_TOKEN, "owned"),
    Person(2, "friend", "friend@plex.test", "stand-in-plex-friend", "shared"),
    Person(3, "stranger", "stranger@plex.test", "stand-in-plex-stranger", None),
    Person(4, "child", None, "stand-in-plex-child", "shared"),
)
"""The child is a managed user of the owner's home, who has no e-mail address."""
_BY_NAME = {person.username: person for person in PEOPLE}


class PlexTvStandIn(StandIn):
    """Every call of the API needs ``X-Plex-Client-Identifier``, most need ``X-Plex-Token``.

    A PIN's code is confirmed by a person at ``/auth#?code=…``, as on app.plex.tv, and by a test
    with a call that the original does not have:

    ========================================  =========================================
    ``PUT /confirm/{code}?username=friend``   the person (see PEOPLE) confirms the PIN
    ``PUT /expire/{code}``                    the PIN's time is up
    ========================================  =========================================
    """

    name = "plexTv"

    def __init__(
        self,
        server: PlexStandIn,
        port: int = 0,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(port)
        self._server = server
        self._clock = clock
        self._pins: dict[int, _Pin] = {}
        self._signed_in = _initially()
        self._routes = (
            route("POST", "/api/v2/pins", self._start_pin),
            route("GET", "/api/v2/pins/{id}", self._show_pin),
            route("GET", "/api/v2/user", self._user),
            route("GET", "/api/v2/resources", self._resources),
            route("GET", "/api/v2/ping", self._ping),
            route("DELETE", "/api/v2/users/signout", self._sign_out),
            route("GET", "/auth", _sign_in_page),
            route("PUT", "/confirm/{code}", self._confirm),
            route("PUT", "/expire/{code}", self._expire),
        )

    def confirm(self, code: str, username: str) -> str:
        """Confirm a PIN as one of PEOPLE; the new token is given to whoever asks for the PIN.

        Raises LookupError where there is no such person, or no such PIN that waits for one.
        """
        person = _BY_NAME[username]
        pin = self._waiting(code)
        pin.auth_token = secrets.token_urlsafe(15)
        self._signed_in[pin.auth_token] = person
        return pin.auth_token

    def expire(self, code: str) -> None:
        """Let the time of a PIN be up that nobody has confirmed. Raises LookupError."""
        self._waiting(code).expires_at = self._clock()

    def respond(self, request: Request) -> Response:
        """The answer of plex.tv."""
        if request.path.startswith("/api/") and not _client(request):
            return _errors(request, _Refused(400))
        try:
            found, parameters = find_route(self._routes, request.method, request.path)
            return found.answer(request, *parameters)
        except NotFound:
            return _errors(request, _Refused(404))
        except MethodNotAllowed:
            return _errors(request, _Refused(405))
        except _Refused as refused:
            return _errors(request, refused)

    def error(self, status: int) -> Response:
        """The error that plex.tv gives with this status, in JSON."""
        return json_response(status, {"errors": [_Refused(status).error]})

    def clear(self) -> None:
        """No PINs, and everybody is signed in once."""
        self._pins.clear()
        self._signed_in = _initially()

    # PINs

    def _start_pin(self, request: Request) -> Response:
        strong = request.query.get("strong") == "true"
        alphabet, length = STRONG_CODE if strong else CODE
        now = self._clock()
        pin = _Pin(
            id=len(self._pins) + 1,
            code="".join(secrets.choice(alphabet) for _ in range(length)),
            product=plex_parameter(request, "X-Plex-Product"),
            client=_client(request),
            created_at=now,
            expires_at=now + (STRONG_LIFETIME if strong else LIFETIME),
        )
        self._pins[pin.id] = pin
        return _reply(request, 201, "pin", pin.describe(now))

    def _show_pin(self, request: Request, pin_id: str) -> Response:
        now = self._clock()
        pin = self._pins.get(int(pin_id)) if pin_id.isdecimal() else None
        if pin is None or pin.client != _client(request) or pin.expires_at <= now:
            raise _Refused(404, _NO_SUCH_PIN)
        return _reply(request, 200, "pin", pin.describe(now))

    def _waiting(self, code: str) -> "_Pin":
        for pin in self._pins.values():
            if pin.code == code and not pin.auth_token and self._clock() < pin.expires_at:
                return pin
        raise LookupError(code)

    def _confirm(self, request: Request, code: str) -> Response:
        username = request.query.get("username", "")
        if username not in _BY_NAME:
            raise _Refused(404)
        try:
            self.confirm(code, username)
        except LookupError:
            raise _Refused(404, _NO_SUCH_PIN) from None
        return Response(204)

    def _expire(self, _request: Request, code: str) -> Response:
        try:
            self.expire(code)
        except LookupError:
            raise _Refused(404, _NO_SUCH_PIN) from None
        return Response(204)

    # People

    def _user(self, request: Request) -> Response:
        token, person = self._whose(request)
        return _reply(request, 200, "user", _description(person) | {"authToken": token})

    def _resources(self, request: Request) -> Response:
        token, person = self._whose(request)
        player = _resource("A player", f"player-of-{person.username}", "client,player", token)
        return _reply(request, 200, "resources", [player, self._server_of(person, token)])

    def _server_of(self, person: Person, token: str) -> dict[str, Any]:
        if person.access is None:
            return _resource("Elsewhere", f"server-of-{person.username}", "server", token)
        server = self._server
        if person.access == "owned":
            resource = _resource(server.title, server.machine_identifier, "server", token)
        else:
            access_token = f"{person.token}-at-server"
            resource = _resource(server.title, server.machine_identifier, "server", access_token)
            owner = _BY_NAME["owner"]
            resource |= {"owned": False, "ownerId": owner.id, "sourceTitle": owner.username}
        address, port = server.url.removeprefix("http://").split(":")
        connection = {"protocol": "http", "address": address, "port": int(port), "uri": server.url}
        return resource | {
            "connections": [connection | {"local": True, "relay": False, "IPv6": False}]
        }

    def _ping(self, request: Request) -> Response:
        self._whose(request)
        return _reply(request, 200, "pong", {"pong": True})

    def _sign_out(self, request: Request) -> Response:
        token, _ = self._whose(request)
        del self._signed_in[token]
        return Response(204)

    def _whose(self, request: Request) -> tuple[str, Person]:
        token = plex_parameter(request, "X-Plex-Token") or ""
        if token not in self._signed_in:
            raise _Refused(REFUSED_TOKENS.get(token, 401))
        return token, self._signed_in[token]


class _Refused(Exception):
    def __init__(self, status: int, error: dict[str, Any] | None = None) -> None:
        self.status = status
        code, message = ERRORS.get(status, ERRORS[500])
        self.error = error or {"code": code, "message": message, "status": status}


class _Pin(msgspec.Struct):
    id: int
    code: str
    product: str | None
    client: str
    created_at: datetime
    expires_at: datetime
    auth_token: str | None = None

    def describe(self, now: datetime) -> dict[str, Any]:
        return {
            "id": self.id,
            "code": self.code,
            "product": self.product,
            "trusted": False,
            "qr": f"https://plex.tv/api/v2/pins/qr/{self.code}",
            "clientIdentifier": self.client,
            "expiresIn": int((self.expires_at - now).total_seconds()),
            "createdAt": _iso(self.created_at),
            "expiresAt": _iso(self.expires_at),
            "authToken": self.auth_token,
            "newRegistration": None if self.auth_token is None else False,
        }


def _initially() -> dict[str, Person]:
    return {person.token: person for person in PEOPLE}


def _client(request: Request) -> str:
    return plex_parameter(request, "X-Plex-Client-Identifier") or ""


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _reply(request: Request, status: int, tag: str, data: PlexData) -> Response:
    if accepts_json(request):
        return json_response(status, data)
    return xml_response(status, tag, data)


def _errors(request: Request, refused: _Refused) -> Response:
    if accepts_json(request):
        return json_response(refused.status, {"errors": [refused.error]})
    return xml_response(refused.status, "errors", [refused.error])


def _description(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "uuid": f"{person.id:016x}",
        "username": person.username,
        "title": person.username,
        "email": person.email,
        "friendlyName": "",
        "confirmed": person.email is not None,
        "thumb": f"https://plex.tv/users/{person.id:016x}/avatar",
        "home": person.username in {"owner", "child"},
        "homeAdmin": person.username == "owner",
        "restricted": person.email is None,
        "guest": False,
    }


def _resource(title: str, identifier: str, provides: str, token: str) -> dict[str, Any]:
    return {
        "name": title,
        "clientIdentifier": identifier,
        "provides": provides,
        "owned": True,
        "ownerId": None,
        "sourceTitle": None,
        "accessToken": token,
        "presence": True,
        "connections": [],
    }


def _sign_in_page(_request: Request) -> Response:
    buttons = "".join(f"<button>{person.username}</button> " for person in PEOPLE)
    return Response(200, (_PAGE % buttons).encode(), {"Content-Type": "text/html"})


_PAGE = """<!doctype html><meta charset="utf-8"><title>Sign in to the stand-in of Plex</title>
<p>Sign in as %s</p>
<script>
const code = new URLSearchParams(location.hash.replace(/^#!?[?]?/, "")).get("code") ?? "";
const confirm = (username) => fetch(
  `/confirm/${encodeURIComponent(code)}?username=${username}`, {method: "PUT"});
for (const button of document.querySelectorAll("button")) {
  button.onclick = async () => {
    const {ok} = await confirm(button.textContent);
    document.body.textContent = ok ? "You may close this page." : "This PIN has expired.";
  };
}
</script>
"""
