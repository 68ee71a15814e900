"""Players of the ports that live in memory and keep their promises, so that tests need no server.

They lack what production is slow or strict about: durability, hashing. The real players have tests
of their own, against the real servers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import uuid_utils

from application.ports import (
    Appended,
    HasherBusy,
    NewEvents,
    Title,
    UnknownTitle,
    VersionConflict,
)
from domain.kernel import Event, History, Recorded
from domain.media_requests import Media, MediaRequest
from projections.media_requests import MEDIA_REQUESTS, MediaRequestRow, RequestFilter

GAP = 3
"""The step from one append to the next: positions have gaps, as in production."""


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)


class InMemoryEventStore:
    """An EventStore and its EventFeed. While ``failure`` is set, every call raises it."""

    def __init__(self) -> None:
        self.events: list[Recorded[Event]] = []
        self.failure: Exception | None = None
        self._commands: dict[UUID, int] = {}
        self._grown = asyncio.Event()

    async def append(self, new: NewEvents) -> Appended:
        await asyncio.sleep(0)  # a real store answers later, and others may come first
        self._check()
        if new.command_id in self._commands:
            return Appended(self._commands[new.command_id], repeated=True)
        version = len(self._stream(new.stream_id))
        if version != new.expected_version:
            raise VersionConflict
        first = self.head + GAP
        self.events += [
            Recorded(first + number, new.stream_id, version + number + 1, metadata, event)
            for number, (metadata, event) in enumerate(new.events)
        ]
        self._commands[new.command_id] = self.head
        self.wake()
        return Appended(self.head)

    def wake(self) -> None:
        """Let every subscriber look again."""
        self._grown.set()
        self._grown = asyncio.Event()

    async def read_stream(self, stream_id: UUID, *, after_version: int = 0) -> History:
        self._check()
        return self._stream(stream_id)[after_version:]

    @property
    def head(self) -> int:
        return self.events[-1].position if self.events else 0

    async def subscribe(self, after: int | None = None) -> AsyncIterator[History]:
        position = self.head if after is None else after
        while True:
            self._check()
            page = [recorded for recorded in self.events if recorded.position > position][:100]
            if not page:
                await self._grown.wait()
                continue
            position = page[-1].position
            yield page

    def _stream(self, stream_id: UUID) -> list[Recorded[Event]]:
        return [recorded for recorded in self.events if recorded.stream_id == stream_id]

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class FoldedRequests:
    """The list of requests, folded from the store when asked, and how far it has come.

    ``stopped_at`` is a position at which its projector stands still.
    """

    def __init__(self, store: InMemoryEventStore) -> None:
        self.stopped_at: int | None = None
        self._store = store

    async def find(self, request_id: UUID) -> MediaRequestRow | None:
        return self._rows().get(request_id)

    async def page(
        self, wanted: RequestFilter, *, before: int | None, limit: int
    ) -> Sequence[MediaRequestRow]:
        conditions: list[Callable[[MediaRequestRow], bool]] = [
            lambda row: wanted.status in {None, row.status},
            lambda row: wanted.media_type in {None, row.media_type},
            lambda row: wanted.requested_by in {None, row.requested_by},
            lambda row: before is None or row.requested_position < before,
        ]
        found = [row for row in self._rows().values() if all(fits(row) for fits in conditions)]
        return sorted(found, key=lambda row: row.requested_position, reverse=True)[:limit]

    async def reached(self, read_model: str, position: int, within: timedelta) -> bool:
        assert read_model == MEDIA_REQUESTS.table
        deadline = asyncio.get_running_loop().time() + within.total_seconds()
        while self._position() < position:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def _position(self) -> int:
        return self._store.head if self.stopped_at is None else self.stopped_at

    def _rows(self) -> dict[UUID, MediaRequestRow]:
        rows: dict[UUID, MediaRequestRow] = {}
        for recorded in self._store.events:
            if recorded.position > self._position():
                break
            if isinstance(recorded.event, MEDIA_REQUESTS.events):
                for (request_id,) in MEDIA_REQUESTS.keys(recorded):
                    row = MEDIA_REQUESTS.fold(rows.get(request_id), recorded)
                    assert row is not None
                    rows[request_id] = row
        return rows


class InMemoryCatalogue:
    """Knows ``titles``. While ``failure`` is set, looking up raises it."""

    def __init__(self, titles: dict[Media, Title] | None = None) -> None:
        self.titles = titles or {}
        self.failure: Exception | None = None

    async def look_up(self, media: Media) -> Title:
        if self.failure is not None:
            raise self.failure
        title = self.titles.get(msgspec.structs.replace(media, is4k=False))
        if title is None:
            raise UnknownTitle("The catalogue has no such title.")
        return title


class InMemoryForwarder:
    """Takes every request under the next number. While ``failure`` is set, it raises it."""

    def __init__(self) -> None:
        self.taken: dict[Media, int] = {}
        self.failure: Exception | None = None

    async def find(self, request: MediaRequest) -> int | None:
        if self.failure is not None:
            raise self.failure
        return self.taken.get(request.media)

    async def submit(self, request: MediaRequest) -> int:
        if self.failure is not None:
            raise self.failure
        return self.taken.setdefault(request.media, len(self.taken) + 1)


class PlainHasher:
    """Hashes nothing. While ``busy``, it refuses."""

    def __init__(self) -> None:
        self.busy = False

    async def hash(self, password: str) -> str:
        self._check()
        return f"plain:{password}"

    async def verify(self, password: str, password_hash: str | None) -> bool:
        self._check()
        return password_hash == f"plain:{password}"

    def _check(self) -> None:
        if self.busy:
            raise HasherBusy("Too many sign-ins at once.")
