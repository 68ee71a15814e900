"""A stand-in of Overseerr, and of its successor Seerr, with one owner and an API key.

It answers as ``server/routes/*.ts`` and ``server/entity/MediaRequest.ts`` do, and like the original
refuses what ``overseerr-api.yml`` does not allow before it looks at the key. What is approved stays
in progress until ``POST /media/{id}/available`` is called, or ``…/partial``, which here may name
the seasons that a scan of the shelf would have found.
"""

import math
from http import HTTPStatus
from http.client import responses
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from infrastructure.stand_ins.http import (
    MethodNotAllowed,
    NotFound,
    Request,
    Response,
    Route,
    find_route,
    json_response,
    route,
)
from infrastructure.stand_ins.overseerr_records import (
    Blocked,
    MediaStatus,
    NewRequest,
    NewUser,
    Notification,
    OnShelf,
    Permission,
    QuotaSettings,
    RequestStatus,
    User,
    WebhookOptions,
    WebhookSettings,
    film_details,
    series_details,
)
from infrastructure.stand_ins.overseerr_rules import OWNER_ID, Household, Refused
from infrastructure.stand_ins.overseerr_webhook import Webhook
from infrastructure.stand_ins.stand_in import StandIn
from infrastructure.stand_ins.titles import MediaType, find_title

API_KEY = "stand-in-overseerr-key"
API = "/api/v1"

_NUMBERS = {"take", "skip", "requestedBy"}
_CHOICES = {
    "sort": {"added", "modified"},
    "mediaType": {"movie", "tv", "all"},
    "filter": {
        "all", "approved", "available", "pending", "processing", "unavailable", "failed", "deleted",
        "completed",
    },
}  # fmt: skip
_REQUEST_FILTERS = {
    "approved": {RequestStatus.APPROVED},
    "processing": {RequestStatus.APPROVED},
    "pending": {RequestStatus.PENDING},
    "unavailable": {RequestStatus.PENDING, RequestStatus.APPROVED},
    "failed": {RequestStatus.FAILED},
    "completed": {RequestStatus.COMPLETED},
    "available": {RequestStatus.COMPLETED},
    "deleted": {RequestStatus.COMPLETED},
}
_LISTED = set(MediaStatus) - {MediaStatus.BLOCKLISTED}
_NOT_THERE_YET = _LISTED - {MediaStatus.AVAILABLE, MediaStatus.DELETED}
_MEDIA_FILTERS = {
    "available": {MediaStatus.AVAILABLE},
    "processing": _NOT_THERE_YET,
    "unavailable": _NOT_THERE_YET,
    "deleted": {MediaStatus.DELETED},
}
_DECISIONS = {
    "approve": RequestStatus.APPROVED,
    "retry": RequestStatus.APPROVED,
    "decline": RequestStatus.DECLINED,
    "pending": RequestStatus.PENDING,
}
_MEDIA_STATUSES = {
    "available": MediaStatus.AVAILABLE,
    "partial": MediaStatus.PARTIALLY_AVAILABLE,
    "processing": MediaStatus.PROCESSING,
    "pending": MediaStatus.PENDING,
    "unknown": MediaStatus.UNKNOWN,
}

_ON_SHELF = {MediaStatus.AVAILABLE, MediaStatus.PARTIALLY_AVAILABLE}

T = TypeVar("T")


class Invalid(Refused):
    """The OpenAPI validator stops the call, and says where it is wrong."""

    def __init__(self, path: str, message: str, status: int = 400) -> None:
        super().__init__(status, message)
        self.path = path


class Forbidden(Exception):
    """A bad key, an unknown acting user, or a lack of rights for the whole endpoint."""


class OverseerrStandIn(StandIn):
    """Needs ``X-Api-Key: <API_KEY>``; ``X-API-User`` acts as somebody else than the owner."""

    name = "overseerr"
    api_key = API_KEY

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._webhook = Webhook()
        self._home = Household(self._webhook.tell)
        self._routes = (
            route("GET", f"{API}/status", self._status, query=""),
            route("GET", f"{API}/auth/me", self._me, query=""),
            route("GET", f"{API}/movie/{{id}}", self._movie, query="language"),
            route("GET", f"{API}/tv/{{id}}", self._series, query="language"),
            route(
                "GET", f"{API}/request", self._list, "take skip sort filter requestedBy mediaType"
            ),
            route("POST", f"{API}/request", self._create, query=""),
            route("GET", f"{API}/request/{{id}}", self._show, query=""),
            route("DELETE", f"{API}/request/{{id}}", self._delete, query=""),
            route("POST", f"{API}/request/{{id}}/{{decision}}", self._decide, query=""),
            route("POST", f"{API}/media/{{id}}/{{status}}", self._set_status, query=""),
            route("DELETE", f"{API}/media/{{id}}/file", self._delete_file, query="is4k"),
            route("POST", f"{API}/blocklist", self._block, query=""),
            route("GET", f"{API}/user", self._users, query="take skip sort"),
            route("POST", f"{API}/user", self._add_user, query=""),
            route("DELETE", f"{API}/user/{{id}}", self._remove_user, query=""),
            route("GET", f"{API}/user/{{id}}/quota", self._quota, query=""),
            route("POST", f"{API}/user/{{id}}/settings/main", self._set_quota, query=""),
            route("GET", f"{API}/settings/notifications/webhook", self._show_webhook, query=""),
            route("POST", f"{API}/settings/notifications/webhook", self._set_webhook, query=""),
            route(
                "POST", f"{API}/settings/notifications/webhook/test", self._test_webhook, query=""
            ),
        )

    def send_news(self, url: str, authorization: str) -> None:
        """Tell of every change from now on, as an owner would set it up."""
        options = WebhookOptions(url, authorization)
        every_kind = sum(Notification)
        self._webhook.settings = WebhookSettings(enabled=True, types=every_kind, options=options)

    async def close(self) -> None:
        """Stop for good."""
        await self._webhook.close()
        await super().close()

    def clear(self) -> None:
        """Only the owner is left."""
        self._webhook.settings = WebhookSettings()
        self._home = Household(self._webhook.tell)

    def error(self, status: int) -> Response:
        """The error that Overseerr gives with this status."""
        if status == HTTPStatus.FORBIDDEN:
            return _forbidden()
        return json_response(status, {"message": responses.get(status, "Error")})

    def respond(self, request: Request) -> Response:
        """Overseerr's answer."""
        try:
            found, parameters = find_route(self._routes, request.method, request.path)
            return found.answer(request, self._acting_user(found, request), *parameters)
        except NotFound:
            return _invalid(Invalid(request.path, "not found", 404))
        except MethodNotAllowed:
            return _invalid(Invalid(request.path, f"{request.method} method not allowed", 405))
        except Invalid as invalid:
            return _invalid(invalid)
        except Refused as refused:
            return json_response(refused.status, {"message": refused.message})
        except Forbidden:
            return _forbidden()

    def _acting_user(self, found: Route, request: Request) -> User:
        public = request.path == f"{API}/status"
        if "x-api-key" not in request.headers and not public:
            raise Invalid(request.path, "cookie 'connect.sid' required", 401)
        _check_query(found, request)
        acting = request.headers.get("x-api-user", str(OWNER_ID))
        user = self._home.users.get(int(acting)) if acting.isdecimal() else None
        if not public and (request.headers["x-api-key"] != API_KEY or user is None):
            raise Forbidden
        return user or self._home.users[OWNER_ID]

    def _status(self, _request: Request, _user: User) -> Response:
        version = {"version": "3.1.0", "commitTag": "stand-in"}
        news = {"updateAvailable": False, "commitsBehind": 0, "restartRequired": False}
        return json_response(200, version | news)

    # Titles

    def _movie(self, _request: Request, _user: User, tmdb_id: str) -> Response:
        return self._details("movie", tmdb_id)

    def _series(self, _request: Request, _user: User, tmdb_id: str) -> Response:
        return self._details("tv", tmdb_id)

    def _details(self, media_type: MediaType, tmdb_id: str) -> Response:
        if not tmdb_id.isdecimal():
            raise Invalid(f".params.{media_type}Id", "should be number")
        title = find_title(media_type, int(tmdb_id))
        if title is None:  # TMDB's 404 becomes a 500 here
            raise Refused(
                500, f"Unable to retrieve {'movie' if media_type == 'movie' else 'series'}."
            )
        details = film_details(title) if media_type == "movie" else series_details(title)
        if media := self._home.media.get((media_type, title.tmdb_id)):
            requests = self._home.requests_for(media)
            details["mediaInfo"] = msgspec.to_builtins(media) | {"requests": requests}
        return json_response(200, details)

    # Requests

    def _list(self, request: Request, user: User) -> Response:
        query = request.query
        wanted = query.get("filter", "all")
        requester = query.get("requestedBy")
        if not user.may(Permission.MANAGE_REQUESTS, Permission.REQUEST_VIEW):
            if requester not in {None, str(user.id)}:
                raise Refused(403, "You do not have permission to view this user's requests.")
            requester = str(user.id)
        fitting = [
            item
            for item in self._home.requests.values()
            if item.status in _REQUEST_FILTERS.get(wanted, set(RequestStatus))
            and item.media.status_in(is4k=item.is4k) in _MEDIA_FILTERS.get(wanted, _LISTED)
            and query.get("mediaType", "all") in {"all", item.type}
            and requester in {None, str(item.requested_by.id)}
        ]
        newest = "updated_at" if query.get("sort") == "modified" else "created_at"
        return _page(sorted(fitting, key=attrgetter(newest, "id"), reverse=True), query)

    def _create(self, request: Request, user: User) -> Response:
        return json_response(201, self._home.create(_read(request, NewRequest), user))

    def _show(self, _request: Request, user: User, request_id: str) -> Response:
        item = self._home.request(request_id)
        may_see_all = user.may(Permission.MANAGE_REQUESTS, Permission.REQUEST_VIEW)
        if item.requested_by is not user and not may_see_all:
            raise Refused(403, "You do not have permission to view this request.")
        return json_response(200, item)

    def _delete(self, _request: Request, user: User, request_id: str) -> Response:
        item = self._home.request(request_id)
        own_and_pending = item.requested_by is user and item.status is RequestStatus.PENDING
        if not own_and_pending and not user.may(Permission.MANAGE_REQUESTS):
            raise Refused(401, "You do not have permission to delete this request.")
        self._home.remove(item)
        return Response(204)

    def _decide(self, _request: Request, user: User, request_id: str, decision: str) -> Response:
        _require(user, Permission.MANAGE_REQUESTS)
        status = _choose(_DECISIONS, decision)
        item = self._home.request(request_id)
        self._home.decide(item, status, user)
        return json_response(200, item)

    # Media

    def _set_status(self, request: Request, user: User, media_id: str, status: str) -> Response:
        _require(user, Permission.MANAGE_REQUESTS)
        media = self._home.media_with_id(media_id)
        shelf, chosen = _read(request, OnShelf), _choose(_MEDIA_STATUSES, status)
        if chosen in _ON_SHELF:
            if status == "partial" and media.media_type == "movie":
                raise Refused(400, "Only series can be set to be partially available")
            self._home.put_on_shelf(media, chosen, shelf)
        else:
            media.set_status(chosen, is4k=shelf.is4k)
        return json_response(200, media)

    def _delete_file(self, request: Request, user: User, media_id: str) -> Response:
        """Radarr or Sonarr deletes it; the scan that later notices is part of it here."""
        _require(user, Permission.ADMIN)
        is4k = request.query.get("is4k") == "true"
        self._home.media_with_id(media_id).set_status(MediaStatus.DELETED, is4k=is4k)
        return Response(204)

    def _block(self, request: Request, user: User) -> Response:
        _require(user, Permission.MANAGE_BLOCKLIST)
        blocked = _read(request, Blocked)
        media = self._home.media_of(blocked.media_type, blocked.tmdb_id)
        for is4k in (False, True):
            media.set_status(MediaStatus.BLOCKLISTED, is4k=is4k)
        return Response(201)

    # People

    def _me(self, _request: Request, user: User) -> Response:
        return json_response(200, user)

    def _users(self, request: Request, _user: User) -> Response:
        return _page(list(self._home.users.values()), request.query)

    def _add_user(self, request: Request, user: User) -> Response:
        _require(user, Permission.MANAGE_USERS)
        return json_response(201, self._home.add_user(_read(request, NewUser)))

    def _remove_user(self, _request: Request, user: User, user_id: str) -> Response:
        _require(user, Permission.MANAGE_USERS)
        removed = self._home.user(user_id)
        if removed.id == OWNER_ID:
            raise Refused(405, "This account cannot be deleted.")
        self._home.remove_user(removed)
        return json_response(200, removed)

    def _quota(self, _request: Request, user: User, user_id: str) -> Response:
        if user_id != str(user.id):
            _require(user, Permission.MANAGE_USERS)
        return json_response(200, self._home.quota(self._home.user(user_id)))

    def _set_quota(self, request: Request, user: User, user_id: str) -> Response:
        _require(user, Permission.MANAGE_USERS)
        changed = self._home.user(user_id)
        limits = msgspec.structs.asdict(_read(request, QuotaSettings))
        for name, value in limits.items():
            setattr(changed, name, value)
        return json_response(200, changed)

    # Notifications

    def _show_webhook(self, _request: Request, user: User) -> Response:
        _require(user, Permission.ADMIN)
        return json_response(200, self._webhook.settings)

    def _set_webhook(self, request: Request, user: User) -> Response:
        _require(user, Permission.ADMIN)
        self._webhook.settings = _read(request, WebhookSettings)
        return json_response(200, self._webhook.settings)

    def _test_webhook(self, _request: Request, user: User) -> Response:
        _require(user, Permission.ADMIN)
        self._webhook.test()
        return Response(204)


def _require(user: User, *any_of: Permission) -> None:
    if not user.may(*any_of):
        raise Forbidden


def _choose(choices: dict[str, T], name: str) -> T:
    if name not in choices:
        raise Invalid(".params.status", "should be equal to one of the allowed values")
    return choices[name]


def _check_query(found: Route, request: Request) -> None:
    for name, value in request.query.items():
        if found.query is not None and name not in found.query:
            raise Invalid(f".query.{name}", f"Unknown query parameter '{name}'")
        if name in _NUMBERS and not value.isdecimal():
            raise Invalid(f".query.{name}", "should be number")
        if value not in _CHOICES.get(name, {value}):
            raise Invalid(f".query.{name}", "should be equal to one of the allowed values")


def _read(request: Request, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(request.body, type=shape)
    except msgspec.DecodeError as error:
        raise Invalid(".body", str(error)) from error


def _invalid(invalid: Invalid) -> Response:
    errors = [{"path": invalid.path, "message": invalid.message}]
    return json_response(invalid.status, {"message": invalid.message, "errors": errors})


def _forbidden() -> Response:
    message = "You do not have permission to access this endpoint"
    return json_response(403, {"status": 403, "error": message})


def _page(items: list[Any], query: dict[str, str]) -> Response:
    take, skip = int(query.get("take", 10)), int(query.get("skip", 0))
    info = {
        "pages": math.ceil(len(items) / take) if take else 0,
        "pageSize": take,
        "results": len(items),
        "page": math.ceil(skip / take) + 1 if take else 1,
    }
    return json_response(200, {"pageInfo": info, "results": items[skip : skip + take]})
