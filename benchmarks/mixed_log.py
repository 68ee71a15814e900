"""The log of a large house: made up, always the same, and what a read model must make of it."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from domain.accounts import AccountOpened, Role
from domain.kernel import Event, Metadata, stream_id
from domain.media_requests import (
    ForwardingAbandoned,
    ForwardingFailed,
    ForwardingProblem,
    Media,
    MediaRequested,
    MediaRequestForwarded,
    MediaType,
    RequestStatus,
    media_request_id,
)

ACCOUNT_SHARE = 0.2
"""Of all events: those that the list of requests does not listen to."""
FAILED_ATTEMPTS = {0: 50, 1: 20, 2: 15, 4: 10, 5: 5}
"""How many requests in a hundred fail so often before their last event."""
ABANDONED_SHARE = 0.05
PEOPLE = 500
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Stored(NamedTuple):
    """An event and its place in its stream."""

    stream_id: UUID
    version: int
    metadata: Metadata
    event: Event


class Standing(NamedTuple):
    """What the row of a request must show."""

    status: RequestStatus
    attempts: int
    version: int


class MixedLog:
    """``total`` events: of accounts, and of requests that are asked for, fail and are forwarded.

    ``open_requests`` requests are under way at any time, and each event is the next one of any of
    them: so many events of others stand, on average, between two of one request.
    """

    def __init__(self, total: int, open_requests: int) -> None:
        self._total = total
        self._open_requests = open_requests
        self.standings: dict[UUID, Standing] = {}
        """Of each request, after the events that were given out so far."""

    def __iter__(self) -> Iterator[Stored]:
        chance = random.Random(self._total)
        coming: list[tuple[UUID, list[Event]]] = []  # of each open request, the next event last
        started = 0
        for number in range(self._total):
            at = FIRST_DAY + timedelta(seconds=30 * number)
            metadata = _metadata(at, chance)
            if chance.random() < ACCOUNT_SHARE:
                yield _account(number, metadata)
                continue
            place = chance.randrange(self._open_requests)
            if place >= len(coming):
                started += 1
                place = len(coming)
                coming.append(_request(started, at, chance))
            stream_id, events = coming[place]
            event = events.pop()
            if not events:
                coming[place] = coming[-1]
                del coming[-1]
            standing = _after(event, self.standings.get(stream_id))
            self.standings[stream_id] = standing
            yield Stored(stream_id, standing.version, metadata, event)

    @property
    def expected(self) -> list[tuple[str, int, int, int]]:
        """By status, in order: how many requests, and their attempts and versions added up."""
        statuses = sorted({standing.status.value for standing in self.standings.values()})
        return [
            (
                status,
                len(shown := [s for s in self.standings.values() if s.status.value == status]),
                sum(standing.attempts for standing in shown),
                sum(standing.version for standing in shown),
            )
            for status in statuses
        ]


def _after(event: Event, before: Standing | None) -> Standing:
    status, attempts, version = before or Standing(RequestStatus.PENDING, 0, 0)
    match event:
        case MediaRequestForwarded():
            return Standing(RequestStatus.FORWARDED, attempts, version + 1)
        case ForwardingAbandoned(attempt):
            return Standing(RequestStatus.FAILED, attempt, version + 1)
        case ForwardingFailed(attempt):
            return Standing(status, attempt, version + 1)
        case _:
            return Standing(status, attempts, version + 1)


def _request(number: int, at: datetime, chance: random.Random) -> tuple[UUID, list[Event]]:
    """All the events of a request, the first one last."""
    media = Media(MediaType.TV if number % 3 == 0 else MediaType.MOVIE, number)
    requested = MediaRequested(
        media,
        title=f"The Long Way Home, Part {number}",
        requested_by=_person(number),
        year=1950 + number % 75,
        poster_path=f"/{number:027x}.jpg",
        seasons=(1, 2, 3) if media.media_type is MediaType.TV else None,
    )
    (failures,) = chance.choices([*FAILED_ATTEMPTS], [*FAILED_ATTEMPTS.values()])
    failed = [
        ForwardingFailed(
            attempt,
            ForwardingProblem.UNREACHABLE,
            "Overseerr cannot be reached: the connection was refused.",
            failed_at=at,
            retry_at=at + timedelta(seconds=2**attempt),
        )
        for attempt in range(1, failures + 1)
    ]
    last = (
        ForwardingAbandoned(failures + 1, ForwardingProblem.REFUSED, "This title is blocklisted.")
        if chance.random() < ABANDONED_SHARE
        else MediaRequestForwarded(number)
    )
    return media_request_id(media), [last, *reversed(failed), requested]


def _account(number: int, metadata: Metadata) -> Stored:
    account_id = stream_id("account", number)
    # Sealed texts are as long as real ones; nobody signs in here.
    email, password = f"{number:096d}", f"{number:0180d}"
    event = AccountOpened(Role.USER, stream_id("identity", number), email, password)
    return Stored(account_id, 1, metadata, event)


def _metadata(at: datetime, chance: random.Random) -> Metadata:
    event_id, command_id = (UUID(int=chance.getrandbits(128)) for _ in range(2))
    actor = f"account:{_person(event_id.int)}"
    return Metadata(event_id, at, actor, f"request-{command_id}", command_id)


def _person(number: int) -> UUID:
    return UUID(int=0x0197F0A000007000_8000000000000000 + number % PEOPLE)
