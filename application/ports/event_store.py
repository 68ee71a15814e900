"""Where events are kept and where they come from."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from application.ports.kernel import PortError, Retriable
from domain.kernel import Event, History, Metadata


class VersionConflict(PortError):
    """The stream has grown past the expected version."""


class CommandIdReused(PortError):
    """A command id was used before for something else."""

    def __init__(self) -> None:
        super().__init__("This command id was used before, for another command.")


class UnreadableStream(PortError):
    """A stream holds an event that this version cannot decode, so nothing may be decided on it."""

    def __init__(self) -> None:
        super().__init__("This was last changed by a newer version of MediaNest.")


class StoreBusy(Retriable):
    """More commands wait to be stored than the queue holds. Nothing was stored."""


class StoreUnavailable(Retriable):
    """No answer in time. The command may or may not be stored; repeat it with the same id."""


class NewEvents(msgspec.Struct, frozen=True):
    """What one command adds to one stream, as the versions after ``expected_version``."""

    stream_id: UUID
    expected_version: int
    command_id: UUID
    events: Sequence[tuple[Metadata, Event]]


class Appended(msgspec.Struct, frozen=True):
    """The position of a command's last event. ``repeated``: it was stored before, under its id."""

    position: int
    repeated: bool = False


class EventStore(Protocol):
    """Where events are kept, in one global order."""

    async def append(self, new: NewEvents) -> Appended:
        """Store all of ``new`` or nothing; returns once it is durable.

        A command id that was stored before answers with the first result and stores nothing.
        Raises VersionConflict, StoreBusy or StoreUnavailable.
        """
        ...

    async def read_stream(self, stream_id: UUID, *, after_version: int = 0) -> History:
        """A stream's events in order; empty for a stream that does not exist."""
        ...


class EventFeed(Protocol):
    """The events of the store as they come, for any number of readers in this process."""

    @property
    def head(self) -> int:
        """The position of the newest event this process knows of."""
        ...

    def subscribe(self, after: int | None = None) -> AsyncIterator[History]:
        """Every event behind position ``after``, in order, without a gap or a repeat, for ever.

        ``None`` begins with what comes next. Each step gives one or more events.
        """
        ...


class ReadModelProgress(Protocol):
    """How far the read models have come."""

    async def reached(self, read_model: str, position: int, within: timedelta) -> bool:
        """Wait until the read model shows ``position``; ``False`` when that took too long."""
        ...
