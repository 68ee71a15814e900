"""The one command executor: load, fold, decide, append; and again when somebody was faster."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from application.ports import (
    Appended,
    Clock,
    CommandIdReused,
    EventStore,
    Ids,
    NewEvents,
    StoreBusy,
    UnreadableStream,
    VersionConflict,
)
from domain.kernel import Decider, Event, History, Metadata, Recorded, Unreadable

C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)

MAX_ATTEMPTS = 20
"""A loser folds the winner and is usually refused at once. Twenty losses in a row on one stream
mean more concurrent writers than any home has; then "busy" is the honest answer."""


class Context(msgspec.Struct, frozen=True):
    """Who asks, in which chain of consequences, and under which command id.

    The same ``command_id`` always answers with the first result.
    """

    actor: str
    correlation_id: str
    command_id: UUID
    causation_id: UUID | None = None


class Executed(msgspec.Struct, Generic[S], frozen=True):
    """The stream's state after a command, and the position a read model must reach to show it."""

    state: S
    position: int
    repeated: bool = False


class Executor:
    """Runs commands against streams of the event store."""

    def __init__(self, store: EventStore, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def execute(
        self, decider: Decider[C, S, E], stream_id: UUID, command: C, context: Context
    ) -> Executed[S]:
        """Decide ``command`` on the stream and store what follows.

        A command that changes nothing ("already so") answers with the stream as it stands. Raises
        the decider's DomainError, StoreBusy or StoreUnavailable.
        """
        for _ in range(MAX_ATTEMPTS):
            history = await self._store.read_stream(stream_id)
            state = decider.fold(_readable(history))
            earlier = _position_of(context.command_id, history)
            if earlier is not None:
                return Executed(_existing(state), earlier, repeated=True)
            events = decider.decide(command, state)
            if not events:
                return Executed(_existing(state), history[-1].position if history else 0)
            try:
                appended = await self._append(stream_id, history, events, context)
            except VersionConflict:
                continue
            if appended.repeated:  # its first run landed after we had read the stream
                state = await self.state(decider, stream_id)
                return Executed(_existing(state), appended.position, repeated=True)
            return Executed(_existing(decider.fold(events, state)), appended.position)
        raise StoreBusy("Too many changes to the same thing at once. Please try again.")

    async def state(self, decider: Decider[C, S, E], stream_id: UUID) -> S | None:
        """The stream's state as of now, or ``None`` when it does not exist."""
        return decider.fold(_readable(await self._store.read_stream(stream_id)))

    async def _append(
        self, stream_id: UUID, history: History, events: Sequence[Event], context: Context
    ) -> Appended:
        return await self._store.append(
            NewEvents(
                stream_id,
                expected_version=history[-1].version if history else 0,
                command_id=context.command_id,
                events=[(self._metadata(context), event) for event in events],
            )
        )

    def _metadata(self, context: Context) -> Metadata:
        return Metadata(
            event_id=self._ids(),
            at=self._clock(),
            actor=context.actor,
            correlation_id=context.correlation_id,
            command_id=context.command_id,
            causation_id=context.causation_id,
        )


def _readable(history: Iterable[Recorded[Event]]) -> Iterator[Any]:
    for recorded in history:
        if isinstance(recorded.event, Unreadable):
            # Deciding on half a history could allow what the unread half forbids.
            raise UnreadableStream
        yield recorded.event


def _position_of(command_id: UUID, history: History) -> int | None:
    """Where the last event of an earlier run of the command stands, if there was one."""
    for recorded in reversed(history):
        if recorded.metadata.command_id == command_id:
            return recorded.position
    return None


def _existing(state: S | None) -> S:
    """The state of a stream that a command has just touched.

    It can be missing only when the command id was used before, on another stream.
    """
    if state is None:
        raise CommandIdReused
    return state
