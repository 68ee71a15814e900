"""The event store on PostgreSQL: its tables, its codec, its group-committing writer, its reader.

``recorder`` is the synchronous twin for tools of the ``eventsourcing`` library; all writers go
through the one function in ``schema``, under the one lock.
"""

from infrastructure.event_store.store import PostgresEventStore

__all__ = ["PostgresEventStore"]
