"""Every refusal and failure as RFC 9457 problem+json, from one table."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, UnsetType

from application.accounts import NoPassword, WrongPassword
from application.admission import TooOften
from application.ports import (
    BadPlexToken,
    CatalogueUnavailable,
    CommandIdReused,
    Forgotten,
    HasherBusy,
    NoAccessToServer,
    PlexUnavailable,
    PortError,
    Retriable,
    StoreBusy,
    StoreUnavailable,
    UnknownPin,
    UnknownTitle,
    UnreadableStream,
)
from application.ports.idempotency import IdempotencyKeyReused
from application.sign_in import WrongCredentials
from domain.accounts import AccountExists, AccountIsSuspended, UnknownAccount
from domain.alerts import UnknownAlert
from domain.api_keys import UnknownApiKey, WrongExpiry
from domain.installation import WrongSetupToken
from domain.kernel import DomainError
from domain.media_requests import (
    AlreadyAvailable,
    AlreadyRequested,
    NotDeclined,
    NotFailed,
    NotRequested,
    RequestOver,
    UnknownSeasons,
)
from domain.notifications.inbox import UnknownNotification
from domain.notifications.settings import (
    ForAdminsOnly,
    OtherKind,
    TooManyChannels,
    UnknownChannel,
    UnknownChannels,
)
from domain.quotas import QuotaUsedUp
from domain.rate_limits import LimitOutOfRange, LocksAdminsOut, WindowOutOfRange
from domain.sessions import SessionOver, SignInUsed, UnknownSession
from interfaces.doors import Doors
from interfaces.input import FieldError, Invalid, MalformedJson
from interfaces.views import PartView, QuotaView, quota_view

log = structlog.get_logger()

PROBLEM_JSON = "application/problem+json"


class Refusal(Exception):
    """What HTTP itself refuses; the message is fit for a person."""


class Unauthenticated(Refusal):
    """Nobody has shown who they are."""

    def __init__(self) -> None:
        super().__init__("Sign in, and send the access token as “Authorization: Bearer …”.")


class Forbidden(Refusal):
    """The caller is known, and may not do this."""


class CrossSite(Refusal):
    """A browser sent its cookies, and perhaps not on behalf of our own page."""

    def __init__(self) -> None:
        super().__init__(
            "With cookies, a change needs the value of the cookie “medianest_csrf” in the header"
            " “X-Csrf-Token”."
        )


class WrongWebhookSecret(Refusal):
    """Whoever tells us something does not show the secret that was agreed upon."""

    def __init__(self) -> None:
        super().__init__(
            "The header “Authorization” does not hold the secret of this webhook, or none is set."
        )


class NotJson(Refusal):
    """The body is of another media type."""

    def __init__(self) -> None:
        super().__init__("Send the body as application/json.")


class CutOff(Refusal):
    """The client went away in the middle of its body."""

    def __init__(self) -> None:
        super().__init__("The body did not arrive whole.")


class ReadModelBehind(Refusal):
    """The position asked for is not shown yet."""

    def __init__(self, position: int) -> None:
        super().__init__(f"Position {position} is not shown yet. Please try again.")


class NotReady(Refusal):
    """A part of the house does not do its work."""

    def __init__(self, parts: Iterable[PartView]) -> None:
        self.parts = tuple(parts)
        failing = ", ".join(part.name for part in self.parts if not part.ok)
        super().__init__(f"Not ready: {failing}.")


class UpgradeRequired(Refusal):
    """The address speaks WebSocket only."""

    def __init__(self) -> None:
        super().__init__("This address speaks WebSocket.")


class Kind(msgspec.Struct, frozen=True):
    """A kind of problem. ``detail`` stands where the exception has no words for a person.

    ``retry_after`` (seconds) stands where the world did not say when to come back.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    retry_after: int | None = None


INTERNAL_ERROR = Kind("internal-error", "Internal error", 500, "Something went wrong on our side.")

KINDS: dict[type[Exception], Kind] = {
    # What the client sent
    MalformedJson: Kind("malformed-json", "The body is not JSON", 400),
    Invalid: Kind("validation", "Something in the request is wrong", 400),
    CutOff: Kind("cut-off", "The body is not whole", 400),
    RequestEntityTooLarge: Kind(
        "body-too-large", "The body is too large", 413, "A body has at most 64 KiB."
    ),
    NotJson: Kind("unsupported-media-type", "The body is of another type", 415),
    NotFoundException: Kind("not-found", "Not found", 404, "There is nothing at this address."),
    MethodNotAllowedException: Kind(
        "method-not-allowed", "Method not allowed", 405, "The Allow header names what works here."
    ),
    UpgradeRequired: Kind("upgrade-required", "Upgrade required", 426),
    # Who asks
    Unauthenticated: Kind("unauthenticated", "Not signed in", 401),
    WrongCredentials: Kind("wrong-credentials", "Wrong e-mail address or password", 401),
    SessionOver: Kind("session-over", "The session is over", 401),
    BadPlexToken: Kind("bad-plex-token", "Plex does not know the token", 401),
    WrongWebhookSecret: Kind("wrong-webhook-secret", "Wrong webhook secret", 401),
    WrongSetupToken: Kind("wrong-setup-token", "Wrong set-up token", 401),
    Forbidden: Kind("forbidden", "Not allowed", 403),
    CrossSite: Kind("csrf-token-missing", "Not sent by our own page", 403),
    WrongPassword: Kind("wrong-password", "Wrong password", 403),
    AccountIsSuspended: Kind("account-suspended", "The account is suspended", 403),
    NoAccessToServer: Kind("no-access-to-server", "No access to the Plex server", 403),
    TooOften: Kind("too-many-requests", "Too many requests", 429),
    # What the domain refuses
    AlreadyRequested: Kind("already-requested", "Already requested", 409),
    AlreadyAvailable: Kind("already-available", "Already available", 409),
    RequestOver: Kind("request-over", "The request is over", 409),
    NotDeclined: Kind("not-declined", "Nobody has said no", 409),
    NotFailed: Kind("not-failed", "The request has not failed", 409),
    QuotaUsedUp: Kind("quota-used-up", "The quota is used up", 403),
    UnknownSeasons: Kind("unknown-seasons", "No such season", 400),
    NotRequested: Kind("unknown-request", "No such request", 404),
    UnknownNotification: Kind("unknown-notification", "No such notification", 404),
    UnknownChannel: Kind("unknown-channel", "No such channel", 404),
    UnknownChannels: Kind("unknown-channels", "No such channel", 400),
    TooManyChannels: Kind("too-many-channels", "Too many channels", 409),
    OtherKind: Kind("channel-of-other-kind", "The channel is of another kind", 409),
    ForAdminsOnly: Kind("for-admins-only", "Only for admins", 403),
    AccountExists: Kind("account-exists", "The account exists", 409),
    NoPassword: Kind("no-password", "The account has no password", 409),
    SignInUsed: Kind("sign-in-used", "Already signed in", 409),
    UnknownAccount: Kind("unknown-account", "No such account", 404),
    Forgotten: Kind("unknown-account", "No such account", 404),
    UnknownAlert: Kind("unknown-alert", "No such alert", 404),
    UnknownSession: Kind("unknown-session", "No such session", 404),
    UnknownApiKey: Kind("unknown-api-key", "No such API key", 404),
    UnknownPin: Kind("unknown-pin", "No such Plex PIN", 404),
    LimitOutOfRange: Kind("limit-out-of-range", "No such limit", 400),
    WindowOutOfRange: Kind("window-out-of-range", "No such window", 400),
    LocksAdminsOut: Kind("locks-admins-out", "No admin could get in", 400),
    WrongExpiry: Kind("validation", "Something in the request is wrong", 400),
    # What the world does not do
    UnknownTitle: Kind("unknown-title", "No such title", 404),
    CatalogueUnavailable: Kind(
        "catalogue-unavailable", "The catalogue is away", 503, retry_after=10
    ),
    PlexUnavailable: Kind("plex-unavailable", "Plex is away", 503, retry_after=10),
    StoreBusy: Kind("busy", "Too much at once", 503, retry_after=1),
    StoreUnavailable: Kind("store-unavailable", "The database is away", 503, retry_after=5),
    HasherBusy: Kind("sign-in-busy", "Too many sign-ins at once", 503, retry_after=1),
    IdempotencyKeyReused: Kind("idempotency-key-reused", "The idempotency key is taken", 422),
    CommandIdReused: Kind("command-id-reused", "The command id is taken", 422),
    # No client can mend it by asking otherwise, so it is our error, though a known one.
    UnreadableStream: Kind("newer-version", "Written by a newer version", 500),
    ReadModelBehind: Kind("read-model-behind", "Not shown yet", 503, retry_after=1),
    NotReady: Kind("not-ready", "Not ready", 503, retry_after=5),
    Exception: INTERNAL_ERROR,
}

AT_THE_DOOR = (TooOften, StoreUnavailable, UnreadableStream)
"""What every counted route may answer before it is entered."""
NOT_LET_IN = (Unauthenticated, Forbidden, CrossSite, *AT_THE_DOOR)
"""What every route for people with an account may answer before it is entered."""
BAD_BODY = (MalformedJson, Invalid, CutOff, RequestEntityTooLarge, NotJson)
"""What every route with a body refuses."""


class Existing(msgspec.Struct, frozen=True):
    """What was there before; ``follow`` is where one asks to be told too, if one is not yet."""

    id: UUID
    href: str
    follow: str | UnsetType = UNSET


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """RFC 9457. ``type`` is a stable name of the kind, for programs; the texts are for people."""

    type: str
    title: str
    status: int
    detail: str
    correlation_id: str
    errors: tuple[FieldError, ...] | UnsetType = UNSET
    existing: Existing | UnsetType = UNSET
    quota: QuotaView | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    parts: tuple[PartView, ...] | UnsetType = UNSET


def request_href(request_id: UUID) -> str:
    """Where a request is found."""
    return f"/api/v1/media/requests/{request_id}"


def kind_of(error: Exception) -> Kind:
    """The row of the table for the nearest type of ``error``."""
    for cls in type(error).__mro__:
        if cls is HTTPException:
            return _kind_of_status(error)
        if cls in KINDS:
            return KINDS[cls]
    return INTERNAL_ERROR


def _kind_of_status(error: Any) -> Kind:
    """What Litestar raises by itself beside the table; its own text may name our parameters."""
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return INTERNAL_ERROR
    return Kind(status.phrase.lower().replace(" ", "-"), status.phrase, status, status.description)


def problem_of(error: Exception, correlation_id: str) -> Problem:
    """What a client is told of ``error``."""
    kind = kind_of(error)
    speaks = isinstance(error, DomainError | PortError | Refusal | Invalid | MalformedJson)
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=str(error) if speaks and kind is not INTERNAL_ERROR else kind.detail,
        correlation_id=correlation_id,
        errors=_errors(error),
        existing=_existing(error),
        quota=quota_view(error.standing) if isinstance(error, QuotaUsedUp) else UNSET,
        retry_after=_retry_after(error, kind),
        parts=error.parts if isinstance(error, NotReady) else UNSET,
    )


def _errors(error: Exception) -> tuple[FieldError, ...] | UnsetType:
    match error:
        case Invalid():
            return error.errors
        case UnknownSeasons():
            return (FieldError("seasons", str(error)),)
        case LimitOutOfRange() | WindowOutOfRange() | LocksAdminsOut():
            return (FieldError(error.field, str(error)),)
        case ForAdminsOnly() | OtherKind() | UnknownChannels():
            return (FieldError(error.field, str(error)),)
        case WrongExpiry():
            return (FieldError("expiresAt", str(error)),)
        case _:
            return UNSET


def _existing(error: Exception) -> Existing | UnsetType:
    if not isinstance(error, AlreadyRequested):
        return UNSET
    href = request_href(error.request_id)
    return Existing(error.request_id, href, f"{href}/follow" if error.may_follow else UNSET)


def _retry_after(error: Exception, kind: Kind) -> int | UnsetType:
    told: timedelta | None = None
    if isinstance(error, Retriable | TooOften):
        told = error.retry_after
    if told is not None:
        return max(1, math.ceil(told.total_seconds()))
    return UNSET if kind.retry_after is None else kind.retry_after


def headers_of(error: Exception, problem: Problem) -> dict[str, str]:
    """The headers that HTTP wants beside the problem."""
    headers: dict[str, str] = {}
    if problem.retry_after is not UNSET:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="medianest"'
    if problem.status == HTTPStatus.UPGRADE_REQUIRED:
        headers["Upgrade"] = "websocket"
    if isinstance(error, MethodNotAllowedException):
        headers |= error.headers or {}
    return headers


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """The answer to a request that raised; what nobody expected is logged with its traceback."""
    doors: Doors = request.app.state["doors"]
    problem = problem_of(error, request.scope["state"]["correlation_id"])
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", route=request.scope["path_template"], exc_info=error)
    elif isinstance(error, TooOften):
        doors.metrics.call_refused(error.allowance.policy)
    return Response(
        problem,
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=headers_of(error, problem),
    )


@dataclass
class ProblemSpec(ResponseSpec):
    """What OpenAPI is told of one status: the ``kinds`` of problem that have it."""

    kinds: tuple[Kind, ...] = ()


def refusals(*errors: type[Exception]) -> dict[int, ResponseSpec]:
    """The problems of one route, for its OpenAPI description; every route may fail as well."""
    by_status: dict[int, list[Kind]] = {}
    for kind in dict.fromkeys((*(KINDS[error] for error in errors), INTERNAL_ERROR)):
        by_status.setdefault(kind.status, []).append(kind)
    return {status: problem_spec(*kinds) for status, kinds in sorted(by_status.items())}


def problem_spec(*kinds: Kind) -> ProblemSpec:
    """The answer of ``kinds``, which all have one status."""
    return ProblemSpec(
        Problem,
        generate_examples=False,
        description="; ".join(f"`{kind.type}`: {kind.title}" for kind in kinds),
        media_type=PROBLEM_JSON,
        kinds=kinds,
    )
