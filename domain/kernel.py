"""The words every decider is written in: Event, Command, Decider, DomainError, Recorded.

A decider is a pair of pure functions over frozen structs::

    decide(command, state) -> events      what may happen, or a DomainError
    evolve(state, event) -> state         what it means once it has happened

The state before the first event is ``None``. Clock, ids and prices come in with the command.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeAlias, TypeGuard, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

SECRET = msgspec.Meta(extra={"secret": True})
"""Marks a field of an event that leaves the house in no stream and no history, for nobody."""

Digest: TypeAlias = Annotated[str, SECRET]
"""What is kept of a token: enough to know it again, and not to make it."""


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """Something that has happened, in the past tense; never changed once it is stored.

    A subclass names itself with ``tag="<stream>.<past_verb>"``. The tag is the topic in the store,
    the ``type`` in streams and the discriminator in OpenAPI, and never changes its meaning.
    """

    version: ClassVar[int] = 1
    """Grows when fields are renamed or change meaning; each step then has one upcaster."""


class Command(msgspec.Struct, frozen=True):
    """Something a person or a process asks for, verb first."""


class DomainError(Exception):
    """A refusal: what was asked for may not happen, and the message says why to a person."""


C = TypeVar("C")
S = TypeVar("S")
E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Decider(msgspec.Struct, Generic[C, S, E], frozen=True):
    """One kind of stream: its name and events, what it decides and how its state unfolds."""

    name: str
    events: tuple[type[E], ...]
    decide: Callable[[C, S | None], list[E]]
    evolve: Callable[[S | None, E], S | None]

    def owns(self, event: Event) -> TypeGuard[E]:
        """Whether the event belongs to this kind of stream."""
        return isinstance(event, self.events)

    def fold(self, events: Iterable[E], state: S | None = None) -> S | None:
        """The state after ``events``, starting from ``state``."""
        for event in events:
            state = self.evolve(state, event)
        return state


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Who, when and why, beside every event.

    ``actor`` is ``account:<uuid>`` or ``system:<process>``. ``correlation_id`` follows one click to
    every consequence; ``causation_id`` is the id of the event or job that led directly here.
    ``command_id`` makes a repeated command answer with its first result.
    """

    event_id: UUID
    at: datetime
    actor: str
    correlation_id: str
    command_id: UUID
    causation_id: UUID | None = None


class Recorded(msgspec.Struct, Generic[E_co], frozen=True):
    """An event as it stands in the store.

    ``position`` is global and grows in commit order, with gaps; ``version`` counts 1, 2, 3 … within
    its stream.
    """

    position: int
    stream_id: UUID
    version: int
    metadata: Metadata
    event: E_co

    @property
    def at(self) -> datetime:
        """When the event was decided, in UTC."""
        return self.metadata.at


class Unreadable(Event, frozen=True, tag="kernel.unreadable"):
    """Stands in a read page for a stored event that this version of the code cannot decode.

    It is never stored. Read models park it, streams leave it out.
    """

    topic: str
    reason: Annotated[str, SECRET]


def stream_id(*names: str | int) -> UUID:
    """The id of the one stream with these names, so that uniqueness is a stream id, not a query.

    Two commands that race for the same names meet at the same version of the same stream.
    """
    return uuid5(NAMESPACE_URL, "medianest:" + "/".join(str(name) for name in names))


AnyDecider = Decider[Any, Any, Any]
History = Sequence[Recorded[Event]]
