"""The store as the use cases see it: the writer and the reader behind one port."""

from uuid import UUID

from application.ports import Appended, NewEvents
from domain.kernel import History
from infrastructure.event_store.reader import EventReader
from infrastructure.event_store.writer import GroupCommitWriter


class PostgresEventStore:
    """``application.ports.EventStore`` on PostgreSQL."""

    def __init__(self, writer: GroupCommitWriter, reader: EventReader) -> None:
        self._writer = writer
        self._reader = reader

    async def append(self, new: NewEvents) -> Appended:
        """Store what one command adds; see the port."""
        return await self._writer.append(new)

    async def read_stream(self, stream_id: UUID, *, after_version: int = 0) -> History:
        """A stream's events in order; see the port."""
        return await self._reader.read_stream(stream_id, after_version=after_version)
