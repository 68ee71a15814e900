"""What the outside reaches: use cases, queries and streams, each by the narrowest type needed."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from application.accounts import Accounts
from application.media_requests import MediaRequests
from application.ports import AccessTokens, Clock, EventFeed, Ids, ReadModelProgress
from projections.media_requests import MediaRequestRow, RequestFilter


class Part(Protocol):
    """How one part of the house is, as of now."""

    @property
    def name(self) -> str:
        """Such as ``postgres``."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it does its work."""
        ...

    @property
    def detail(self) -> str:
        """In a few words that anybody may read: no host, no path."""
        ...

    @property
    def milliseconds(self) -> float:
        """How long it took to find out."""
        ...


class Health(Protocol):
    """Whether the parts that an answer depends on do their work."""

    async def check(self) -> Sequence[Part]:
        """Every part, asked now: PostgreSQL, Redis, the lag of the projector; never raises."""
        ...


class RequestQueries(Protocol):
    """What can be asked of the list of requests; ``MediaRequestQueries`` answers from its table."""

    async def find(self, request_id: UUID) -> MediaRequestRow | None:
        """One request, or ``None``."""
        ...

    async def page(
        self, wanted: RequestFilter, *, before: int | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        """The newest ``limit`` requests, older than the position ``before``."""
        ...


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that HTTP and the live streams stand on."""

    accounts: Accounts
    media_requests: MediaRequests
    request_queries: RequestQueries
    tokens: AccessTokens
    feed: EventFeed
    progress: ReadModelProgress
    health: Health
    clock: Clock
    ids: Ids
