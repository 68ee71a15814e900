"""The synchronous twin: the ``eventsourcing`` recorder over the same function and lock.

For the tools of that library (``Application``, ``NotificationLog``, ``ProjectionRunner``), and for
its persistence tests, which hold for our store because they hold for this recorder.
"""

from collections.abc import Sequence
from typing import Any, cast

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    Mapper,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import retry
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from domain.kernel import Event, Recorded
from infrastructure.event_store import schema
from infrastructure.event_store.codec import EventCodec


def datastore(database_url: str, **options: Any) -> PostgresDatastore:
    """The library's connection pool for a database; ``options`` are its own."""
    parts = conninfo_to_dict(database_url)
    return PostgresDatastore(
        dbname=str(parts.get("dbname", "")),
        host=str(parts.get("host", "")),
        port=str(parts.get("port", 5432)),
        user=str(parts.get("user", "")),
        password=str(parts.get("password", "")),
        **options,
    )


class LockingRecorder(PostgresApplicationRecorder):
    """Appends through our function, so positions are in commit order beside the other writers."""

    def __init__(
        self, datastore: PostgresDatastore, *, events_table_name: str = schema.EVENTS_TABLE
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        # The library's insert function takes no lock: subscribers would miss events.
        del self.sql_create_statements[self.create_insert_function_statement_index]
        self.sql_create_statements += schema.statements(events_table_name, datastore.schema)
        self._append_statement = SQL(
            "SELECT number, outcome, last_position FROM {}.{}"
            "(%s::uuid[], %s::uuid[], %s::bigint[], %s::integer[], %s::bigint[], %s, %s::bytea[])"
        ).format(
            Identifier(datastore.schema), Identifier(schema.append_function(events_table_name))
        )

    @retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Store all of the events or none; their positions. Raises IntegrityError."""
        if not stored_events:
            return []
        streams = list(dict.fromkeys(event.originator_id for event in stored_events))
        numbers = {stream: number for number, stream in enumerate(streams, start=1)}
        firsts = {event.originator_id: event for event in reversed(stored_events)}
        parameters = (
            [None] * len(streams),
            streams,
            [firsts[stream].originator_version for stream in streams],
            [numbers[event.originator_id] for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(self._append_statement, parameters)
            outcomes = cursor.fetchall()
            if any(outcome["outcome"] != schema.APPENDED for outcome in outcomes):
                raise IntegrityError("The stream has grown past the expected version.")
            # Under the lock nobody else draws from the sequence, so the positions are consecutive.
            last = max(cast("int", outcome["last_position"]) for outcome in outcomes)
        return list(range(last - len(stored_events) + 1, last + 1))


class MsgspecMapper(Mapper[Any]):
    """Our codec as the library's mapper: its domain events are ``Recorded`` ones."""

    def __init__(self, codec: EventCodec | None = None) -> None:
        self._codec = codec or EventCodec()

    def to_stored_event(self, domain_event: DomainEventProtocol[Any]) -> StoredEvent:
        """The stored form of a ``Recorded`` event."""
        recorded = cast("Recorded[Event]", domain_event)
        topic, state = self._codec.encode(recorded.metadata, recorded.event)
        return StoredEvent(recorded.stream_id, recorded.version, topic, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """A ``Recorded`` event; its position is 0 unless it came from the notification log."""
        return self._codec.decode(
            position=getattr(stored_event, "id", 0),
            stream_id=cast("Any", stored_event.originator_id),
            version=stored_event.originator_version,
            topic=stored_event.topic,
            state=stored_event.state,
        )
