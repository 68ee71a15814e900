"""Requests are fulfilled by Overseerr, or by its successor Seerr.

Source: ``server/routes/request.ts``, ``server/entity/MediaRequest.ts`` and ``overseerr-api.yml`` of
sct/overseerr and seerr-team/seerr. A status that a newer version adds counts as active: it is
neither declined nor gone.
"""

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Literal, TypeVar

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from application.ports import ForwardingFailure, RequestForwarder
from domain.media_requests import ForwardingProblem, MediaRequest, MediaType
from infrastructure.errors.scrubbing import scrub
from infrastructure.upstreams.upstream import (
    TIMEOUT,
    Answer,
    TimedOut,
    Unreachable,
    Upstream,
    UpstreamFailure,
)

DECLINED = 3
COMPLETED = 5
"""Statuses of a request."""
DELETED = 7
"""The status of a title, in one quality, that was on the shelf and is no longer."""

FORBIDDEN = (
    ("quota", ForwardingProblem.QUOTA_USED, "The quota in Overseerr is used up."),
    ("listed", ForwardingProblem.REFUSED, "The title is on Overseerr's blocklist."),
    (
        "permission",
        ForwardingProblem.REFUSED,
        "Overseerr does not permit its user to make this request.",
    ),
    (
        "csrf",
        ForwardingProblem.BAD_KEY,
        "Overseerr's CSRF protection lets API keys only read; it must be switched off.",
    ),
)
"""What its message on a 403 contains, and what that means."""

LOGGED = 200
"""How many bytes of an unwelcome answer the log shows."""

log = structlog.get_logger()

T = TypeVar("T")


class OverseerrForwarder(RequestForwarder):
    """Overseerr, spoken to with its one API key, which acts as its owner.

    Acting as somebody else is one more header (``X-API-User``) on ``submit``.
    """

    def __init__(self, url: str, api_key: str, *, timeout: float = TIMEOUT) -> None:
        self._overseerr = Upstream(
            "Overseerr", f"{url}/api/v1", headers={"X-Api-Key": api_key}, timeout=timeout
        )

    async def find(self, request: MediaRequest) -> int | None:
        """The newest active request there for the same title and quality, else ``None``.

        Of a series, all wanted seasons must have been asked for, in however many requests, or there
        is something left to submit.
        """
        with _forwarding_failures():
            title = await self._title(request)
            alike = title.requests_like(request)
            asked_for = {number for other in alike for number in other.season_numbers()}
            return _newest(alike) if title.wanted_seasons(request) <= asked_for else None

    async def submit(self, request: MediaRequest) -> int:
        """Make the request there and return its id.

        Where Overseerr says that there is nothing left to request, that is the id of the request
        that stands in the way; it may be our own, of an attempt that seemed to fail.
        """
        media = request.media
        series = media.media_type is MediaType.TV
        new = _NewRequest(
            media_type=media.media_type,
            media_id=media.tmdb_id,
            is4k=media.is4k,
            seasons=(request.seasons or "all") if series else UNSET,
            tvdb_id=request.tvdb_id or UNSET,
        )
        with _forwarding_failures():
            answer = await self._overseerr.call("POST", "/request", body=new)
            match answer.status:
                case HTTPStatus.CREATED:
                    return answer.read(_Made).id
                case HTTPStatus.ACCEPTED | HTTPStatus.CONFLICT:
                    return await self._in_the_way(request, answer)
                case _:
                    raise _refusal(answer)

    async def check(self) -> None:
        """Prove that Overseerr answers and accepts the key. Raises ForwardingFailure."""
        with _forwarding_failures():
            await self._get("/auth/me", _Account)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._overseerr.aclose()

    async def _in_the_way(self, request: MediaRequest, answer: Answer) -> int:
        standing = _newest((await self._title(request)).requests_like(request))
        if standing is not None:
            return standing
        if answer.status == HTTPStatus.ACCEPTED:
            raise ForwardingFailure(
                ForwardingProblem.REFUSED, "Overseerr has nothing left to request of this series."
            )
        raise ForwardingFailure(
            ForwardingProblem.UPSTREAM_ERROR,
            "Overseerr says that the title is requested already, but shows no such request.",
        )

    async def _title(self, request: MediaRequest) -> "_Title":
        return await self._get(f"/{request.media.media_type}/{request.media.tmdb_id}", _Title)

    async def _get(self, path: str, shape: type[T]) -> T:
        answer = await self._overseerr.call("GET", path)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer)
        return answer.read(shape)


@contextmanager
def _forwarding_failures() -> Generator[None]:
    """An upstream failure inside is a ForwardingFailure outside."""
    try:
        yield
    except UpstreamFailure as failure:
        problem = ForwardingProblem.UPSTREAM_ERROR
        if isinstance(failure, Unreachable):
            problem = ForwardingProblem.UNREACHABLE
        elif isinstance(failure, TimedOut):
            problem = ForwardingProblem.TIMED_OUT
        raise ForwardingFailure(problem, str(failure)) from failure


def _refusal(answer: Answer) -> ForwardingFailure:
    log.warning(
        "overseerr refused",
        status=answer.status,
        said=scrub(answer.body[:LOGGED].decode(errors="replace")),
    )
    problem = ForwardingProblem.UPSTREAM_ERROR
    match answer.status:
        case HTTPStatus.BAD_REQUEST:
            problem = ForwardingProblem.REFUSED
            sentence = "Overseerr does not understand such a request."
        case HTTPStatus.UNAUTHORIZED:
            problem, sentence = _bad_key()
        case HTTPStatus.FORBIDDEN:
            problem, sentence = _forbidden(answer.read(_Error))
        case HTTPStatus.TOO_MANY_REQUESTS:
            problem = ForwardingProblem.THROTTLED
            sentence = "Overseerr asks us to slow down."
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            sentence = "Overseerr has a problem of its own."
        case status:
            sentence = f"Overseerr answered with an unexpected status ({status})."
    return ForwardingFailure(problem, sentence, answer.retry_after)


def _forbidden(error: "_Error") -> tuple[ForwardingProblem, str]:
    """A bad key has an ``error``, in the same words as the ``message`` on a lack of rights."""
    if error.error is not None:
        return _bad_key()
    for fragment, problem, sentence in FORBIDDEN:
        if fragment in error.message.lower():
            return problem, sentence
    return ForwardingProblem.REFUSED, "Overseerr refuses the request."


def _bad_key() -> tuple[ForwardingProblem, str]:
    return ForwardingProblem.BAD_KEY, "Overseerr does not accept the API key."


def _newest(requests: "list[_Request]") -> int | None:
    return max((request.id for request in requests), default=None)


class _NewRequest(msgspec.Struct, rename="camel"):
    media_type: MediaType
    media_id: int
    is4k: bool  # always sent: without it Overseerr takes every duplicate
    seasons: tuple[int, ...] | Literal["all"] | UnsetType = UNSET
    tvdb_id: int | UnsetType = UNSET


class _Made(msgspec.Struct):
    id: int


class _Account(msgspec.Struct):
    id: int


class _Error(msgspec.Struct):
    message: str = ""
    error: str | None = None


class _Season(msgspec.Struct, rename="camel"):
    season_number: int
    episode_count: int = 0


class _Request(msgspec.Struct, rename="camel"):
    id: int
    status: int
    is4k: bool
    seasons: list[_Season] = []

    def season_numbers(self) -> set[int]:
        return {season.season_number for season in self.seasons}


class _MediaInfo(msgspec.Struct, rename="camel"):
    status: int
    status4k: int
    requests: list[_Request] = []


class _Title(msgspec.Struct, rename="camel"):
    media_info: _MediaInfo | None = None
    seasons: list[_Season] = []

    def requests_like(self, request: MediaRequest) -> "list[_Request]":
        """The active ones for the same quality that ask for any of the wanted seasons.

        Active is what is not declined, and what is fulfilled for as long as the title is there.
        """
        info, is4k = self.media_info, request.media.is4k
        if info is None:
            return []
        gone = (info.status4k if is4k else info.status) == DELETED
        inactive = {DECLINED, COMPLETED} if gone else {DECLINED}
        wanted = self.wanted_seasons(request)
        return [
            other
            for other in info.requests
            if other.is4k == is4k
            and other.status not in inactive
            and (not wanted or wanted & other.season_numbers())
        ]

    def wanted_seasons(self, request: MediaRequest) -> set[int]:
        """None of a film; of a whole series those that Overseerr's ``all`` means."""
        if request.seasons:
            return set(request.seasons)
        return {
            season.season_number
            for season in self.seasons
            if season.season_number != 0 and season.episode_count > 0
        }
