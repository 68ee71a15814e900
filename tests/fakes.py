"""Players of the ports that live in memory and keep their promises, so that tests need no server.

They lack what production is slow or strict about: durability, hashing. The real players have tests
of their own, against the real servers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import uuid_utils

from application.effects import Job
from application.ports import (
    Appended,
    BadPlexToken,
    Clock,
    Forgotten,
    FoundTitle,
    HasherBusy,
    NewEvents,
    NoAccessToServer,
    Passage,
    PlexPin,
    PlexUser,
    SearchPage,
    SeasonDetails,
    Standing,
    Title,
    TitleDetails,
    UnknownPin,
    UnknownTitle,
    VersionConflict,
    Visit,
)
from application.ports.errors import LoggedError
from application.ports.idempotency import Answered, Claimed, IdempotencyKeyReused
from application.ports.notifiers import Address, Notice
from domain.kernel import Event, History, Recorded
from domain.media_requests import Media, MediaRequest, MediaType, UpstreamStatus

GAP = 3
"""The step from one append to the next: positions have gaps, as in production."""


def now() -> datetime:
    return datetime.now(UTC)


def new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)


class SettableClock:
    """The real time, until it is put forward by ``ahead``."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return now() + self.ahead


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

    async def describe(self, media_type: MediaType, tmdb_id: int) -> TitleDetails:
        title = await self.look_up(Media(media_type, tmdb_id))
        seasons = tuple(SeasonDetails(number, f"Season {number}", 8) for number in title.seasons)
        return TitleDetails(title, title.name, seasons=seasons)

    async def search(self, words: str, page: int) -> SearchPage:
        if self.failure is not None:
            raise self.failure
        found = [
            FoundTitle(
                media.media_type,
                media.tmdb_id,
                title.name,
                title.name,
                year=title.year,
                poster_path=title.poster_path,
            )
            for media, title in self.titles.items()
            if words.casefold() in title.name.casefold()
        ]
        start = (page - 1) * 20
        pages = -(-len(found) // 20)
        return SearchPage(page, pages, len(found), tuple(found[start : start + 20]))


class InMemoryForwarder:
    """Takes every request under the next number. While ``failure`` is set, every call raises it.

    ``statuses`` are those of its requests, by number, where a test has set one; ``on_behalf_of``
    is as whom each request was made, ``cancelled`` what was deleted.
    """

    def __init__(self) -> None:
        self.taken: dict[Media, int] = {}
        self.on_behalf_of: dict[int, str | None] = {}
        self.statuses: dict[int, UpstreamStatus] = {}
        self.cancelled: list[int] = []
        self.looked_for: tuple[int, ...] | None = None
        self.failure: Exception | None = None

    async def find(self, request: MediaRequest) -> int | None:
        if self.failure is not None:
            raise self.failure
        return self.taken.get(request.media)

    async def submit(self, request: MediaRequest, on_behalf_of: str | None = None) -> int:
        if self.failure is not None:
            raise self.failure
        number = len(self.on_behalf_of) + 1
        self.on_behalf_of[number] = on_behalf_of
        return self.taken.setdefault(request.media, number)

    async def look(
        self, overseerr_id: int, seasons: tuple[int, ...] | None = None
    ) -> UpstreamStatus:
        self.looked_for = seasons
        if self.failure is not None:
            raise self.failure
        missing = overseerr_id not in self.taken.values()
        there = UpstreamStatus.MISSING if missing else UpstreamStatus.UNDER_WAY
        return self.statuses.get(overseerr_id, there)

    async def cancel(self, overseerr_id: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.cancelled.append(overseerr_id)
        self.taken = {of: number for of, number in self.taken.items() if number != overseerr_id}


class InMemoryJobs:
    """Keeps every job, in the order in which they were added."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def add(self, jobs: Sequence[Job]) -> None:
        known = {job.id for job in self.jobs}
        self.jobs += [job for job in jobs if job.id not in known]


class InMemoryNotifier:
    """Keeps what it has delivered. While ``failure`` is set, delivering raises it.

    ``meanwhile`` is what happens during a delivery.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[Address, Notice]] = []
        self.failure: Exception | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def deliver(self, address: Address, notice: Notice) -> None:
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.failure is not None:
            raise self.failure
        self.sent.append((address, notice))


class PlainHasher:
    """Hashes nothing. While ``busy``, it refuses; while ``stronger``, old hashes are outdated."""

    def __init__(self) -> None:
        self.busy = False
        self.stronger = False
        self.verified = 0

    async def hash(self, password: str) -> str:
        self._check()
        return f"{self._prefix}{password}"

    async def verify(self, password: str, password_hash: str | None) -> bool:
        self._check()
        self.verified += 1
        return password_hash in {f"plain:{password}", f"plainer:{password}"}

    def is_outdated(self, password_hash: str) -> bool:
        return not password_hash.startswith(self._prefix)

    @property
    def _prefix(self) -> str:
        return "plainer:" if self.stronger else "plain:"

    def _check(self) -> None:
        if self.busy:
            raise HasherBusy("Too many sign-ins at once.")


class InMemoryPersonalData:
    """Seals by naming the owner and the field; who is destroyed can be read no more.

    While ``failure`` is set, destroying raises it; until ``held`` is set, sealing waits for it.
    """

    def __init__(self) -> None:
        self.destroyed: set[UUID] = set()
        self.failure: Exception | None = None
        self.held: asyncio.Event | None = None
        self.waiting = 0

    async def seal(self, owner: UUID, field: str, text: str) -> str:
        if self.held is not None:
            self.waiting += 1
            await self.held.wait()
        if owner in self.destroyed:
            raise Forgotten
        return f"sealed:{owner}:{field}:{text.encode().hex()}"

    async def reveal(self, owner: UUID, field: str, sealed: str) -> str | None:
        if owner in self.destroyed:
            return None
        prefix = f"sealed:{owner}:{field}:"
        assert sealed.startswith(prefix)
        return bytes.fromhex(sealed.removeprefix(prefix)).decode()

    async def reveal_all(self, sealed: Iterable[tuple[UUID, str, str]]) -> Sequence[str | None]:
        return [await self.reveal(*item) for item in sealed]

    async def destroy(self, owner: UUID) -> None:
        if self.failure is not None:
            raise self.failure
        self.destroyed.add(owner)


class InMemoryGate:
    """Counts exactly, in this process. While ``away``, it neither counts nor remembers."""

    def __init__(self, clock: Clock) -> None:
        self.standings: dict[UUID, Standing] = {}
        self.away = False
        self._clock = clock
        self.calls: dict[tuple[str, str], list[datetime]] = {}

    async def enter(self, visit: Visit) -> Passage:
        if self.away:
            return self._passage(None, timedelta())
        session = visit.session_id and self.standings.get(visit.session_id)
        account = visit.account_id and self.standings.get(visit.account_id)
        if session and not session.open:
            return self._passage(None, timedelta(), session, account)
        now = self._clock()
        calls = [
            call
            for call in self.calls.get((visit.policy, visit.subject), [])
            if call >= now - visit.window
        ]
        self.calls[visit.policy, visit.subject] = calls
        if len(calls) >= visit.limit:
            last = calls[len(calls) - visit.limit] if visit.limit else now
            free = last + visit.window - now
            return msgspec.structs.replace(
                self._passage(0, free, session, account), retry_after=free
            )
        calls.append(now)
        reset_after = calls[0] + visit.window - now
        return self._passage(visit.limit - len(calls), reset_after, session, account)

    async def remember(self, standings: Iterable[Standing]) -> None:
        for standing in () if self.away else standings:
            known = self.standings.get(standing.id)
            if known is None or known.version <= standing.version:
                self.standings[standing.id] = standing

    @staticmethod
    def _passage(
        remaining: int | None,
        reset_after: timedelta,
        session: Standing | None = None,
        account: Standing | None = None,
    ) -> Passage:
        return Passage(
            session=session, account=account, remaining=remaining, reset_after=reset_after
        )


class InMemoryPlex:
    """Knows ``members`` by their tokens. While ``failure`` is set, every call raises it."""

    def __init__(self) -> None:
        self.members: dict[str, PlexUser] = {}
        self.strangers: set[str] = set()
        self.confirmed: dict[str, str] = {}
        self.failure: Exception | None = None

    async def start_pin(self) -> PlexPin:
        self._check()
        return PlexPin(7, "CODE", "https://plex.test/auth#?code=CODE", timedelta(minutes=30))

    async def claim_pin(self, pin_id: int, code: str) -> str | None:
        self._check()
        if (pin_id, code) != (7, "CODE"):
            raise UnknownPin
        return self.confirmed.get(code)

    async def member(self, token: str) -> PlexUser:
        self._check()
        if token in self.strangers:
            raise NoAccessToServer
        if token not in self.members:
            raise BadPlexToken
        return self.members[token]

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class InMemoryLastUses:
    """Remembers the last one."""

    def __init__(self) -> None:
        self.uses: dict[UUID, datetime] = {}

    def note(self, of: UUID, at: datetime) -> None:
        self.uses[of] = at

    async def of(self, ids: Iterable[UUID]) -> dict[UUID, datetime]:
        return {of: self.uses[of] for of in ids if of in self.uses}


class InMemoryErrors:
    """An ErrorLog, with what was noted for it, uncounted."""

    def __init__(self) -> None:
        self.noted: list[tuple[BaseException, str]] = []
        self.logged: list[LoggedError] = []

    def note(self, error: BaseException, where: str) -> None:
        self.noted.append((error, where))

    async def page(
        self, *, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[LoggedError]:
        behind = [
            error
            for error in self.logged
            if before is None or (error.last_at, error.fingerprint) < before
        ]
        return sorted(behind, key=lambda error: (error.last_at, error.fingerprint), reverse=True)[
            :limit
        ]


class _Key(msgspec.Struct):
    request: bytes
    claimed: Claimed
    held: bool = True
    answer: str | None = None


class InMemoryIdempotencyKeys:
    """Keeps every key. While ``failure`` is set, no answer is kept and nothing is given back."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._keys: dict[tuple[UUID, str], _Key] = {}

    async def claim(self, account_id: UUID, key: str, request: bytes) -> Claimed | Answered:
        while True:
            known = self._keys.get((account_id, key))
            if known is None:
                claimed = Claimed(account_id, key, new_id(), 1)
                self._keys[account_id, key] = _Key(request, claimed)
                return claimed
            if known.request != request:
                raise IdempotencyKeyReused
            if known.answer is not None:
                return Answered(known.answer)
            if not known.held:
                fence = known.claimed.fence + 1
                known.claimed = msgspec.structs.replace(known.claimed, fence=fence)
                known.held = True
                return known.claimed
            await asyncio.sleep(0.001)

    async def keep(self, claimed: Claimed, answer: str) -> None:
        if key := self._ours(claimed):
            key.answer = answer

    async def free(self, claimed: Claimed) -> None:
        if self._ours(claimed):
            del self._keys[claimed.account_id, claimed.key]

    async def abandon(self, claimed: Claimed) -> None:
        if key := self._ours(claimed):
            key.held = False

    def fall_silent(self) -> None:
        """Let every holder have been silent for long enough."""
        for key in self._keys.values():
            key.held = False

    def _ours(self, claimed: Claimed) -> _Key | None:
        if self.failure is not None:
            raise self.failure
        key = self._keys.get((claimed.account_id, claimed.key))
        return key if key and key.claimed == claimed else None
