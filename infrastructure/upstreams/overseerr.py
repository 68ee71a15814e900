"""Requests are fulfilled by Overseerr, or by its successor Seerr.

Source: ``server/routes/request.ts``, ``server/middleware/auth.ts`` and ``overseerr-api.yml`` of
sct/overseerr and seerr-team/seerr. What they answer is read in ``overseerr_shapes``.
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import structlog

from application.ports import ForwardingFailure, RequestForwarder
from domain.media_requests import ForwardingProblem, MediaRequest, UpstreamStatus
from infrastructure.errors.scrubbing import scrub
from infrastructure.upstreams.cache import Cache
from infrastructure.upstreams.overseerr_shapes import (
    Account,
    Accounts,
    Error,
    Made,
    NewRequest,
    Standing,
    Title,
    newest,
)
from infrastructure.upstreams.upstream import (
    TIMEOUT,
    Answer,
    TimedOut,
    Unreachable,
    Upstream,
    UpstreamFailure,
)

USER_LIFETIME = timedelta(minutes=5)
REMEMBERED_USERS = 1024
"""Whoever has no account there is looked for each time, since they may have one by now."""
PAGE_OF_USERS = 100
NO_SUCH_REQUEST = "request not found"
"""What its message on a 404 begins with. Any other 404 comes from something else on the way."""

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
    """Overseerr, spoken to with its one API key, which belongs to its owner.

    A request is made in the name of who asked for it (``X-API-User``), so that it is approved by
    their rights and counts against their quota; one that only named them would be approved by the
    owner's.
    """

    def __init__(self, url: str, api_key: str, *, timeout: float = TIMEOUT) -> None:
        self._overseerr = Upstream(
            "Overseerr", f"{url}/api/v1", headers={"X-Api-Key": api_key}, timeout=timeout
        )
        self._users: Cache[str, int] = Cache(USER_LIFETIME, REMEMBERED_USERS, ForwardingFailure)

    async def find(self, request: MediaRequest) -> int | None:
        """The newest active request there for the same title and quality, else ``None``.

        Of a series, all wanted seasons must have been asked for, in however many requests, or there
        is something left to submit.
        """
        return (await self._title(request)).find(request)

    async def submit(self, request: MediaRequest, on_behalf_of: str | None = None) -> int:
        """Make the request there and return its id.

        Where Overseerr says that there is nothing left to request, that is the id of the request
        that stands in the way; it may be our own, of an attempt that seemed to fail.
        """
        user = await self._user(on_behalf_of)
        try:
            return await self._submit(request, user)
        except ForwardingFailure as failure:
            # Of an account that is gone, Overseerr speaks in the very words of a bad key.
            if user is None or failure.problem is not ForwardingProblem.BAD_KEY:
                raise
            now = await self._user(on_behalf_of, anew=True)
            if now == user:
                raise
        return await self._submit(request, now)

    async def look(
        self, overseerr_id: int, seasons: tuple[int, ...] | None = None
    ) -> UpstreamStatus:
        """How the request stands there; of a series, whether ``seasons`` are available."""
        answer = await self._call("GET", f"/request/{overseerr_id}")
        if answer.status == HTTPStatus.OK:
            return _read(answer, Standing).read(seasons)
        if _is_missing(answer):
            return UpstreamStatus.MISSING
        raise _refusal(answer)

    async def cancel(self, overseerr_id: int) -> None:
        """Delete the request there; one that is not there is a no-op."""
        answer = await self._call("DELETE", f"/request/{overseerr_id}")
        if answer.status != HTTPStatus.NO_CONTENT and not _is_missing(answer):
            raise _refusal(answer)

    async def check(self) -> None:
        """Prove that Overseerr answers and accepts the key. Raises ForwardingFailure."""
        await self._get("/auth/me", Account)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._users.aclose()
        await self._overseerr.aclose()

    async def _submit(self, request: MediaRequest, user: int | None) -> int:
        headers = None if user is None else {"X-API-User": str(user)}
        body = NewRequest.of(request)
        answer = await self._call("POST", "/request", body=body, headers=headers)
        match answer.status:
            case HTTPStatus.CREATED:
                return _read(answer, Made).id
            case HTTPStatus.ACCEPTED | HTTPStatus.CONFLICT:
                return await self._in_the_way(request, answer)
            case _:
                raise _refusal(answer)

    async def _in_the_way(self, request: MediaRequest, answer: Answer) -> int:
        standing = newest((await self._title(request)).requests_like(request))
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

    async def _user(self, email: str | None, *, anew: bool = False) -> int | None:
        """Their id there; ``None`` is whom the key belongs to."""
        if email is None:
            return None
        key = email.casefold()
        if anew:
            self._users.drop(key)
        try:
            return await self._users.get(key, partial(self._find_user, key))
        except _NoAccount:
            return None

    async def _find_user(self, email: str) -> int:
        skip, there = 0, 1
        while skip < there:
            page = await self._get(f"/user?take={PAGE_OF_USERS}&skip={skip}", Accounts)
            for user in page.results:
                if user.email and user.email.casefold() == email:
                    return user.id
            skip, there = skip + PAGE_OF_USERS, page.page_info.results
        raise _NoAccount

    async def _title(self, request: MediaRequest) -> Title:
        return await self._get(f"/{request.media.media_type}/{request.media.tmdb_id}", Title)

    async def _get(self, path: str, shape: type[T]) -> T:
        answer = await self._call("GET", path)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer)
        return _read(answer, shape)

    async def _call(
        self, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        with _forwarding_failures():
            return await self._overseerr.call(method, path, body=body, headers=headers)


class _NoAccount(Exception):
    """Nobody there has the e-mail address."""


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


def _read(answer: Answer, shape: type[T]) -> T:
    with _forwarding_failures():
        return answer.read(shape)


def _is_missing(answer: Answer) -> bool:
    if answer.status != HTTPStatus.NOT_FOUND:
        return False
    return _read(answer, Error).message.lower().startswith(NO_SUCH_REQUEST)


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
            problem, sentence = _forbidden(_read(answer, Error))
        case HTTPStatus.TOO_MANY_REQUESTS:
            problem = ForwardingProblem.THROTTLED
            sentence = "Overseerr asks us to slow down."
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            sentence = "Overseerr has a problem of its own."
        case status:
            sentence = f"Overseerr answered with an unexpected status ({status})."
    return ForwardingFailure(problem, sentence, answer.retry_after)


def _forbidden(error: Error) -> tuple[ForwardingProblem, str]:
    """A bad key has an ``error``, in the same words as the ``message`` on a lack of rights."""
    if error.error is not None:
        return _bad_key()
    for fragment, problem, sentence in FORBIDDEN:
        if fragment in error.message.lower():
            return problem, sentence
    return ForwardingProblem.REFUSED, "Overseerr refuses the request."


def _bad_key() -> tuple[ForwardingProblem, str]:
    return ForwardingProblem.BAD_KEY, "Overseerr does not accept the API key."
