"""The gate on Redis.

While a call is under way, visits gather; the next call takes all of them, and those that are about
to come. So a lone visit waits for nobody, and many at once share what a round trip costs.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import msgspec
import structlog

from application.ports import Gate, Passage, Standing, Visit
from infrastructure.gate.sliding_logs import MICROSECOND, SlidingLogs, monotonic_microseconds

if TYPE_CHECKING:
    from infrastructure.gate.connection import GateConnection

log = structlog.get_logger()

MAX_BATCH = 128
"""Visits, or standings, in one call: Redis does nothing else for about a millisecond."""
GATHERING_TURNS = 2
"""Turns of the event loop before a call: in the first, what has arrived meanwhile is read, and in
the second it comes this far. So Redis has a quarter less to do for each visit."""
RETRY_EVERY = 0.5
"""Seconds between attempts to find Redis again."""
MAX_UNWRITTEN = 10_000
"""Standings kept while Redis is away; of more, the oldest are dropped."""
LIFETIME = timedelta(hours=1)
REMEMBERED = 10_000
"""Standings whose text needs no decoding again; about 500 B each."""
STANDING = "medianest:standing:"

_NOT_COUNTED = Passage(session=None, account=None, remaining=None, reset_after=timedelta())

_encode = msgspec.json.Encoder().encode
_decode = lru_cache(maxsize=REMEMBERED)(msgspec.json.Decoder(Standing).decode)


class RedisGate(Gate):
    """Counts in Redis, for the length of an ``async with``; behind it, it is away for good.

    A visit whose answer is lost, or whose caller has gone, may have been counted.

    While Redis is away, nobody waits for it. Strict policies are then counted here, against half of
    the limit. What this process lets in under a strict policy is counted here at other times too,
    against the whole limit: so one process never lets in more than the limit within a window, even
    if Redis comes, goes and forgets. A visit that is not counted has ``remaining`` ``None``.

    Standings that could not be written are written when Redis is back, before it answers a visit.
    Redis itself may lose the last second's in a crash, and come back with older ones.

    ``on_change`` is told when Redis goes away (``True``) and when it is back. ``lifetime`` is how
    long standings are kept. ``clock`` counts microseconds in place of Redis's own clock, for tests.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        on_change: Callable[[bool], None] | None = None,
        lifetime: timedelta = LIFETIME,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._redis_url = redis_url
        self._on_change = on_change
        self._lifetime = lifetime // timedelta(milliseconds=1)
        self._clock = clock
        self._away = False
        self._task: asyncio.Task[None] | None = None
        self._visits: list[tuple[Visit, asyncio.Future[Passage | None]]] = []
        self._unwritten: dict[UUID, Standing] = {}
        self._writers: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._own = SlidingLogs()
        self._own_clock = clock or monotonic_microseconds

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="gate")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._away = True
        self._release()

    @property
    def away(self) -> bool:
        """Whether Redis is away, as far as the last call told."""
        return self._away

    async def enter(self, visit: Visit) -> Passage:
        """See ``application.ports.Gate.enter``."""
        if self._away:
            return self._enter_alone(visit)
        passage = await (self._ask_strictly(visit) if visit.strict else self._ask(visit))
        return self._enter_alone(visit) if passage is None else passage

    async def _ask_strictly(self, visit: Visit) -> Passage | None:
        """Count here first, so that who is refused here is not counted in Redis.

        Redis may have forgotten, and count those who are refused here until the limit is reached;
        then whoever comes back when they were told to would be refused again.
        """
        now = self._own_clock()
        own = self._own.count(visit, visit.limit, now)
        if own is not None and own.retry_after is not None:
            return own
        passage = await self._ask(visit)
        if passage is None or passage.remaining is None or passage.retry_after is not None:
            self._own.take_back(visit, now)
        return passage

    async def _ask(self, visit: Visit) -> Passage | None:
        """What Redis says; ``None`` when it is away."""
        passage: asyncio.Future[Passage | None] = asyncio.get_running_loop().create_future()
        self._visits.append((visit, passage))
        self._wanted.set()
        return await passage

    async def remember(self, standings: Iterable[Standing]) -> None:
        """See ``application.ports.Gate.remember``; returns once written, or when Redis is away."""
        for standing in standings:
            known = self._unwritten.get(standing.id)
            if known is None or known.version <= standing.version:
                self._unwritten[standing.id] = standing
        if self._away:
            for _ in range(len(self._unwritten) - MAX_UNWRITTEN):
                del self._unwritten[next(iter(self._unwritten))]
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writers.append(written)
        self._wanted.set()
        await written

    async def _run(self) -> None:
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._serve(connection)
                finally:
                    await connection.aclose()
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody shall wait for Redis
                self._release()
                self._change(away=True, why=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_EVERY)

    async def _connect(self) -> "GateConnection":
        module: Any = await asyncio.to_thread(import_module, "infrastructure.gate.connection")
        connection: GateConnection = await module.GateConnection.open(self._redis_url)
        return connection

    async def _serve(self, connection: "GateConnection") -> None:
        """Answer until the server closes the connection while nobody waits for an answer."""
        while not await connection.is_closed():
            await self._write(connection)
            self._change(away=False)
            if self._visits:
                for _ in range(GATHERING_TURNS):
                    await asyncio.sleep(0)
                await self._answer(connection)
            else:
                self._wanted.clear()
                await self._wanted.wait()

    async def _write(self, connection: "GateConnection") -> None:
        while batch := [*islice(self._unwritten.values(), MAX_BATCH)]:
            await connection.remember(
                [_standing_key(standing.id) for standing in batch],
                [self._lifetime, *map(_encode, batch)],
            )
            for standing in batch:
                if self._unwritten.get(standing.id) is standing:
                    del self._unwritten[standing.id]
        self._release_writers()

    async def _answer(self, connection: "GateConnection") -> None:
        """A visit leaves the queue when it is answered, so that none is forgotten on an error."""
        batch = self._visits[:MAX_BATCH]
        keys: list[str] = []
        arguments: list[int | str] = [self._clock() if self._clock else ""]
        for visit, _ in batch:
            keys += (
                _standing_key(visit.session_id),
                _standing_key(visit.account_id),
                f"medianest:limit:{visit.policy}:{visit.subject}",
            )
            arguments += (visit.limit, visit.window // MICROSECOND)
        values = iter(await connection.enter(keys, arguments))
        answers = zip(*[values] * 5, strict=True)
        for (_, waiting), answer in zip(batch, answers, strict=True):
            passage = _passage(answer)
            if not waiting.done():  # the caller gave up meanwhile
                waiting.set_result(passage)
        del self._visits[: len(batch)]

    def _enter_alone(self, visit: Visit) -> Passage:
        if not visit.strict:
            return _NOT_COUNTED
        half = max(1, visit.limit // 2) if visit.limit else 0
        passage = self._own.count(visit, half, self._own_clock())
        if passage is not None:
            return passage
        return Passage(
            session=None,
            account=None,
            remaining=0,
            reset_after=timedelta(),
            retry_after=visit.window,
        )

    def _change(self, *, away: bool, why: str | None = None) -> None:
        if away == self._away:
            return
        self._away = away
        if away:
            log.warning("redis away", error=why)
        else:
            log.info("redis back")
        if self._on_change is not None:
            self._on_change(away)

    def _release(self) -> None:
        """Nobody waits for Redis any longer."""
        visits, self._visits = self._visits, []
        for _, waiting in visits:
            if not waiting.done():
                waiting.set_result(None)
        self._release_writers()

    def _release_writers(self) -> None:
        writers, self._writers = self._writers, []
        for written in writers:
            if not written.done():  # the caller gave up meanwhile
                written.set_result(None)


def _passage(answer: Sequence[Any]) -> Passage:
    session, account, remaining, reset, retry = answer
    return Passage(
        session=_decode(session) if session else None,
        account=_decode(account) if account else None,
        remaining=remaining,
        reset_after=timedelta(0, 0, reset),
        retry_after=None if retry is None else timedelta(0, 0, retry),
    )


def _standing_key(of: UUID | None) -> str:
    """Where a standing is; nothing ever is where nobody's would be."""
    return f"{STANDING}{of.hex if of else ''}"
