"""What no schema can say: which ids there are, which password is right, what the clock shows.

A request that is right in form comes through only if it also makes sense. So it is given some just
before it is sent. Requests that are wrong in form are left alone, and so are all answers.
"""

import re
from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from itertools import count, cycle
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httpx
import schemathesis
from schemathesis import Response, hooks

from domain.notifications.kinds import NoticeKind
from domain.rate_limits import MOST_CALLS
from infrastructure.stand_ins.plex_tv import PEOPLE
from infrastructure.stand_ins.titles import LAST_ID
from interfaces.http.idempotency import KEY_PATTERN
from tests.contract.people import WEBHOOK_SECRET, Session, Town

_tool = cast("Any", schemathesis)  # whose hooks have no types
AUTH = "/api/v1/auth"
ADMIN = "/api/v1/admin"
MEDIA = "/api/v1/media"
WEBHOOKS = "/api/v1/webhooks"
NOTIFICATIONS = "/api/v1/notifications"
FRIEND = PEOPLE[1]
"""Of the owner of the Plex server, so that they may come in."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_titles = count(7_000_000)
"""That nobody has asked for."""


class Case(Protocol):
    """A request of schemathesis, as far as we look at it."""

    operation: Any
    path_parameters: dict[str, Any]
    headers: MutableMapping[str, Any]
    query: dict[str, Any]
    body: dict[str, Any]
    """Of a request that is right in form, where this is always an object."""
    meta: Any


class Sensible:
    """Asks for nothing that is refused whoever asks: in the past, in the future, nowhere."""

    def __init__(self) -> None:
        self._keys = count()
        self._position = 0
        self._sense: Mapping[str, Callable[[Case], None]] = {
            f"PUT {ADMIN}/rate-limits/{{policy}}": self._limit_downloads,
            f"POST {AUTH}/keys": _expire_in_time,
            f"POST {MEDIA}/request": _ask_for_seasons_there_are,
            f"POST {NOTIFICATIONS}/channels": _lead_nowhere,
            f"PATCH {NOTIFICATIONS}/channels/{{channel_id}}": _stay_there,
            f"PUT {NOTIFICATIONS}/preferences": _go_by_channels_there_are,
        }

    @contextmanager
    def registered(self) -> Generator[None]:
        """For as long as it lasts, schemathesis asks before each call, and tells of each answer."""

        @_tool.hook
        def before_call(_: Any, case: Case, kwargs: Any) -> None:
            self.prepare(case)

        @_tool.hook
        def after_call(_: Any, case: Case, response: Response) -> None:
            self.learn(case, response)

        try:
            yield
        finally:
            for function in (before_call, after_call):
                cast("Any", hooks).unregister(function)

    def prepare(self, case: Case) -> None:
        """Change a request that is about to be sent, in its place."""
        self._use_key_once(case)
        if is_right_in_form(case):
            self._wait_for_no_future(case)
            self._sense.get(case.operation.label, _leave)(case)

    def learn(self, case: Case, response: Response) -> None:
        """See an answer."""
        for position in response.headers.get("x-position", []):
            self._position = max(self._position, int(position))

    def _use_key_once(self, case: Case) -> None:
        """Another request with the same idempotency key is refused; that happens to one of four."""
        key = case.headers.get("Idempotency-Key")
        if isinstance(key, str) and re.fullmatch(KEY_PATTERN, key):
            turn = next(self._keys)
            case.headers["Idempotency-Key"] = f"{key[:200]} {turn - (turn % 4 == 3)}"

    def _wait_for_no_future(self, case: Case) -> None:
        """A position that nothing has yet is waited for, and then answered with 503."""
        after = str(case.query.get("after", ""))
        if after.isdecimal():
            case.query["after"] = min(int(after), self._position)

    def _limit_downloads(self, case: Case) -> None:
        """The other limits are needed as they are."""
        case.path_parameters["policy"] = "download"


class Plausible(Sensible):
    """Knows a town; two requests of three are about what exists there, so that they come through.

    ``shown`` is what the examiner shows of their session; ``show`` makes the like of any session.
    """

    def __init__(
        self,
        town: Town,
        http: httpx.Client,
        plex_tv: httpx.Client,
        show: Callable[[Session], dict[str, str]],
        shown: dict[str, str],
    ) -> None:
        super().__init__()
        self._town = town
        self._http = http
        self._plex_tv = plex_tv
        self._show = show
        self._shown = shown
        self._turn = count()
        self._pins = count()
        self._seen: set[str] = set()
        self._needed = town.needed
        self._victims = cycle(town.victims)
        self._doomed = iter(town.doomed)
        self._ids: Mapping[str, Callable[[], str]] = {
            "session_id": lambda: town.examiner.sign_in().id,
            "key_id": town.examiner.make_key,
            "request_id": town.examiner.last_request,
            "account_id": lambda: next(self._victims),
            "alert_id": lambda: town.alert,
            "channel_id": town.examiner.channel,
            "notification_id": town.examiner.last_notification,
            "pin": self._pin,
            "tmdb_id": lambda: "603",
        }
        self._by_other: Mapping[str, Callable[[Case], None]] = {
            f"POST {AUTH}/login": self._sign_in,
            f"POST {AUTH}/refresh": self._refresh,
            f"POST {AUTH}/logout": _leave,
            f"POST {AUTH}/password": self._prove_password,
            f"PATCH {AUTH}/me": self._prove_password,
        }
        self._existing: Mapping[str, Callable[[Case], None]] = {
            **self._by_other,
            f"POST {MEDIA}/request": _ask_for_the_next,
            f"POST {MEDIA}/requests/{{request_id}}/retry": self._take_what_is_new,
            f"POST {ADMIN}/requests/{{request_id}}/fulfil": self._take_what_is_new,
            f"POST {WEBHOOKS}/overseerr": _be_overseerr,
            f"DELETE {ADMIN}/users/{{account_id}}": self._forget_the_doomed,
        }

    def prepare(self, case: Case) -> None:
        """See Sensible."""
        super().prepare(case)
        label = case.operation.label
        if label in self._by_other and self._is_examiner(case):
            case.headers.update(self._show(self._town.other.session))
        if is_right_in_form(case) and next(self._turn) % 3:
            for name, value in case.path_parameters.items():
                if name in self._ids and unquote(str(value)) not in self._seen:
                    case.path_parameters[name] = self._ids[name]()
            self._existing.get(label, _leave)(case)
        if case.operation.method.upper() != "GET":
            for name, value in case.path_parameters.items():
                if value in self._needed:
                    case.path_parameters[name] = self._ids[name]()

    def learn(self, case: Case, response: Response) -> None:
        """See Sensible."""
        super().learn(case, response)
        self._seen.update(_UUID.findall((response.content or b"").decode(errors="replace")))
        if response.request.method != case.operation.method.upper() or not is_success(response):
            return
        label, other = case.operation.label, self._town.other
        sent = case.body
        if label == f"POST {AUTH}/password":
            other.password = sent["newPassword"]
        elif label == f"PATCH {AUTH}/me":
            other.email = sent.get("email") or other.email
        elif label == f"POST {AUTH}/refresh":
            other.hold(session_of(response))

    def _is_examiner(self, case: Case) -> bool:
        return bool(self._shown) and self._shown.items() <= dict(case.headers).items()

    def _limit_downloads(self, case: Case) -> None:
        """Or the others so that nothing is refused."""
        if case.path_parameters["policy"] != "download":
            case.body.update(limit=MOST_CALLS, windowSeconds=1)

    def _forget_the_doomed(self, case: Case) -> None:
        case.path_parameters["account_id"] = next(self._doomed, next(self._victims))

    def _take_what_is_new(self, case: Case) -> None:
        """It is on its way to Overseerr still; what is there cannot be tried or fulfilled again."""
        case.path_parameters["request_id"] = self._town.examiner.ask_for(next(_titles))

    def _pin(self) -> str:
        """A PIN that was started; every other one is confirmed as well."""
        pin = self._http.post("/auth/plex/pin").json()
        if next(self._pins) % 2:
            path = f"/confirm/{pin['code']}"
            self._plex_tv.put(path, params={"username": FRIEND.username}).raise_for_status()
        return pin["id"]

    def _sign_in(self, case: Case) -> None:
        if case.body.get("plexToken") is not None:
            case.body["plexToken"] = FRIEND.token
        else:
            other = self._town.other
            case.body.update(email=other.email, password=other.password)

    def _refresh(self, case: Case) -> None:
        case.body["refreshToken"] = self._town.other.session.refresh_token

    def _prove_password(self, case: Case) -> None:
        if case.body.get("password") is not None:
            case.body["password"] = self._town.other.password


def _leave(case: Case) -> None:
    """It makes sense as it is."""


def _expire_in_time(case: Case) -> None:
    if case.body.get("expiresAt") is not None:
        case.body["expiresAt"] = (datetime.now(UTC) + timedelta(days=30)).isoformat()


def _ask_for_seasons_there_are(case: Case) -> None:
    case.body["tmdbId"] = 1 + int(case.body["tmdbId"]) % LAST_ID
    if case.body.get("seasons") is not None:
        case.body["seasons"] = [1]
    for episode in case.body.get("episodes") or ():
        episode["season"] = 1


def _lead_nowhere(case: Case) -> None:
    """Whatever is sent there stays in the house, and nobody is told anything by us."""
    case.body["address"] = {"type": "ntfy", "topic": "nobody", "url": "http://127.0.0.1:9"}


def _stay_there(case: Case) -> None:
    case.body.pop("address", None)


def _go_by_channels_there_are(case: Case) -> None:
    for number, item in enumerate(case.body["items"]):
        item["kind"] = [*NoticeKind][number]
        item["channels"] = None


def _be_overseerr(case: Case) -> None:
    case.headers["Authorization"] = WEBHOOK_SECRET


def _ask_for_the_next(case: Case) -> None:
    case.body["tmdbId"] = next(_titles)


def is_right_in_form(case: Case) -> bool:
    """Whether the document allows the request."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def is_success(response: Response) -> bool:
    """Whether what was asked for was done."""
    return 200 <= response.status_code < 300


def session_of(response: Response) -> Session:
    """What an answer brings that has let somebody in."""
    answer = response.json()
    cookies = SimpleCookie()
    for header in response.headers["set-cookie"]:
        cookies.load(header)
    csrf_token = cookies["medianest_csrf"].value
    return Session(answer["accessToken"], answer["refreshToken"], csrf_token)
