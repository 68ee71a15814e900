"""The one command executor: load, fold, decide, append; and again when somebody was faster."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid5

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
from domain.kernel import Decider, Event, History, Metadata, Unreadable

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

    def step(self, name: str) -> "Context":
        """The context of one of several commands that make up this one, each on its own stream."""
        return msgspec.structs.replace(self, command_id=uuid5(self.command_id, name))


class Executed(msgspec.Struct, Generic[S], frozen=True):
    """The stream's state after a command, and the position a read model must reach to show it.

    ``version`` is the stream's, as far as the command has seen it.
    """

    state: S
    position: int
    version: int
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
            state = _fold(decider, history)
            earlier = _position_of(context.command_id, history)
            version = history[-1].version if history else 0
            if earlier is not None:
                return Executed(_existing(state), earlier, version, repeated=True)
            events = decider.decide(command, state)
            if not events:
                position = history[-1].position if history else 0
                return Executed(_existing(state), position, version)
            if history and not decider.owns(history[0].event):
                raise TypeError(f"{stream_id} is not the stream of any {decider.name}.")
            try:
                appended = await self._append(stream_id, version, events, context)
            except VersionConflict:
                continue
            if appended.repeated:  # its first run landed after we had read the stream
                state, version = await self.load(decider, stream_id)
                return Executed(_existing(state), appended.position, version, repeated=True)
            state = _existing(decider.fold(events, state))
            return Executed(state, appended.position, version + len(events))
        raise StoreBusy("Too many changes to the same thing at once. Please try again.")

    async def state(self, decider: Decider[C, S, E], stream_id: UUID) -> S | None:
        """The stream's state as of now, or ``None`` when it does not exist."""
        state, _ = await self.load(decider, stream_id)
        return state

    async def load(self, decider: Decider[C, S, E], stream_id: UUID) -> tuple[S | None, int]:
        """The stream's state as of now, and its version; ``None`` and 0 when it does not exist."""
        history = await self._store.read_stream(stream_id)
        return _fold(decider, history), history[-1].version if history else 0

    async def _append(
        self, stream_id: UUID, version: int, events: Sequence[Event], context: Context
    ) -> Appended:
        return await self._store.append(
            NewEvents(
                stream_id,
                expected_version=version,
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


def _fold(decider: Decider[Any, S, Any], history: History) -> S | None:
    """The state; of a stream of another kind, whose id somebody has guessed, there is none."""
    readable = [*_readable(history)]
    return decider.fold(readable) if readable and decider.owns(readable[0]) else None


def _readable(history: History) -> Iterator[Event]:
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
