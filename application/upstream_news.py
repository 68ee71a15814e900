"""What Overseerr has to tell of requests: whoever says so, we look for ourselves.

A webhook of Overseerr has no id, no time and no signature, says nothing of the request's status,
and is sent once, if at all. So it is only a hint where to look; one that is repeated, late, made up
or about what we never asked for costs a look, and one that is lost is made good by the next sweep.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

import structlog

from application.effects import FollowUpstream, Job, JobQueue
from application.execute import Context, Executor
from application.media_requests import Forwarding
from application.ports import BadPlexToken, ForwardingFailure, Ids, PlexUnavailable
from domain.media_requests import (
    ForwardingProblem,
    Media,
    MediaType,
    RequestStatus,
    media_request_id,
    media_requests,
)

ACTOR = "system:follow_upstream"
PAGE = 100
"""How many requests a sweep takes in one read, and how many of the settled ones it looks at: those
change seldom, and there may be a great many, so that they take turns."""
UNDER_WAY = (RequestStatus.FORWARDED, RequestStatus.PARTLY_AVAILABLE, RequestStatus.FAILED)
SETTLED = (RequestStatus.AVAILABLE,)
"""What is on the shelf may be deleted, of which Overseerr sends no word."""
OF_ALL = frozenset(
    {
        ForwardingProblem.UNREACHABLE,
        ForwardingProblem.TIMED_OUT,
        ForwardingProblem.THROTTLED,
        ForwardingProblem.BAD_KEY,
    }
)
"""Failures to look at one request that say as much of the next one."""

log = structlog.get_logger()


class RequestsThere(Protocol):
    """Which requests Overseerr has."""

    async def at_overseerr(
        self, statuses: Sequence[RequestStatus], *, after: UUID | None, limit: int
    ) -> Sequence[UUID]:
        """The first ``limit`` that have one of the statuses, by their ids, behind ``after``."""
        ...


class Looked(Enum):
    """What came of a look."""

    SEEN = auto()
    """It was seen how the request stands, or there is nothing to look at."""
    FAILED = auto()
    """It could not be seen; the next request may fare better."""
    AWAY = auto()
    """It could not be seen, and others cannot be either."""


class UpstreamNews:
    """Follows hints, and sweeps through all requests that Overseerr has."""

    def __init__(
        self, executor: Executor, forwarding: Forwarding, queue: JobQueue, ids: Ids
    ) -> None:
        self._executor = executor
        self._forwarding = forwarding
        self._queue = queue
        self._ids = ids
        self._settled: UUID | None = None

    async def hint(self, media_type: MediaType, tmdb_id: int, correlation_id: str) -> None:
        """Have a worker look at our requests for the title, in both qualities.

        The hint does not say which quality it is about. Raises what reading the store raises.
        """
        jobs: list[Job] = []
        for is4k in (False, True):
            request_id = media_request_id(Media(media_type, tmdb_id, is4k))
            request = await self._executor.state(media_requests, request_id)
            if request is not None and request.overseerr_id is not None:
                job_id = self._ids()
                jobs.append(Job(job_id, FollowUpstream(request_id), correlation_id, job_id))
        if jobs:
            await self._queue.add(jobs)

    async def follow(self, effect: FollowUpstream, job: Job) -> None:
        """Follow a hint. A look that fails is left to the next sweep."""
        await self._look(effect.request_id, job.correlation_id, job.causation_id)

    async def sweep(self, requests: RequestsThere) -> None:
        """Look at every request that is under way, and at some of those that are settled."""
        after: UUID | None = None
        while page := await requests.at_overseerr(UNDER_WAY, after=after, limit=PAGE):
            if not await self._look_at(page):
                return
            after = page[-1]
        page = await requests.at_overseerr(SETTLED, after=self._settled, limit=PAGE)
        if await self._look_at(page):
            self._settled = page[-1] if len(page) == PAGE else None

    async def _look_at(self, request_ids: Sequence[UUID]) -> bool:
        """Whether it makes sense to go on."""
        for request_id in request_ids:
            cause = self._ids()
            if await self._look(request_id, str(cause), cause) is Looked.AWAY:
                return False
        return True

    async def _look(self, request_id: UUID, correlation_id: str, cause: UUID) -> Looked:
        """Every look is a command of its own, as what is seen may differ each time."""
        request = await self._executor.state(media_requests, request_id)
        if request is None:
            return Looked.SEEN
        context = Context(ACTOR, correlation_id, self._ids(), cause)
        try:
            await self._forwarding.follow_upstream(request, context)
        except ForwardingFailure as failure:
            log.warning("request not looked at", request=str(request_id), reason=str(failure))
            return Looked.AWAY if failure.problem in OF_ALL else Looked.FAILED
        except (PlexUnavailable, BadPlexToken) as failure:
            # What is not available needs no Plex, and goes on.
            log.warning("request not confirmed", request=str(request_id), reason=str(failure))
            return Looked.FAILED
        return Looked.SEEN
