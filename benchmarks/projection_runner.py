"""The list of requests as a projection of the ``eventsourcing`` library: the peer of our projector.

It has the same rows in the same table, decodes with the same codec, and is written as the library's
documentation shows: every event in one transaction with its tracking record.
"""

import time
from typing import Any

import msgspec
import psycopg
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Mapper, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from domain.catalog import tag_of
from domain.kernel import Recorded
from domain.media_requests import (
    ForwardingAbandoned,
    ForwardingFailed,
    MediaRequested,
    MediaRequestForwarded,
)
from infrastructure.event_store.codec import topic_of
from infrastructure.event_store.recorder import MsgspecMapper
from projections.media_requests import MEDIA_REQUESTS

EVENTS_TABLE = "log_events"
"""The library puts the name of the application, in lower case, before ``_events``."""

TOPICS = tuple(topic_of(tag_of(event), event.version) for event in MEDIA_REQUESTS.events)

_COLUMNS = MEDIA_REQUESTS.columns
_INSERT = (
    f"INSERT INTO {MEDIA_REQUESTS.table} ({', '.join(_COLUMNS)})"
    f" VALUES ({', '.join(f'%({column})s' for column in _COLUMNS)})"
).encode()
_UPDATE = f"UPDATE {MEDIA_REQUESTS.table} SET version = %s, updated_at = %s, "
_FORWARDED = (
    f"{_UPDATE} status = 'forwarded', overseerr_id = %s, problem = NULL, next_attempt_at = NULL"
    " WHERE id = %s"
).encode()
_FAILED = f"{_UPDATE} attempts = %s, problem = %s, next_attempt_at = %s WHERE id = %s".encode()
_ABANDONED = (
    f"{_UPDATE} status = 'failed', attempts = %s, problem = %s, next_attempt_at = NULL"
    " WHERE id = %s"
).encode()


class Log(Application[Any]):
    """The application whose events are projected."""

    name = "Log"

    def construct_mapper(self) -> Mapper[Any]:
        """Our codec."""
        return MsgspecMapper()


class RequestsView(PostgresTrackingRecorder):
    """The table; ``position`` is that of the last event in it."""

    position = 0

    def save(self, recorded: Recorded[Any], tracking: Tracking) -> None:
        """Write what follows from one event, with its tracking record."""
        statement, values = _change(recorded)
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement, values, prepare=True)
        self.position = tracking.notification_id


class Requests(Projection[RequestsView]):
    """Hands the events to the view."""

    name = "Requests"
    topics = TOPICS

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Project one event."""
        self.view.save(domain_event, tracking)


def run_to_the_end(database_url: str) -> None:
    """Project every event that is there now."""
    parts = conninfo_to_dict(database_url)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts["password"]),
    }
    with psycopg.connect(database_url) as connection:
        (end,) = connection.execute(
            f"SELECT max(notification_id) FROM {EVENTS_TABLE} WHERE topic = ANY(%s)",
            ([*TOPICS],),
        ).fetchone() or (0,)
    with ProjectionRunner(
        application_class=Log, projection_class=Requests, view_class=RequestsView, env=env
    ) as runner:
        # Its own wait() looks every 0.8 s in the end, too seldom for a measurement.
        while runner.view.position < end and not runner.is_interrupted.is_set():
            time.sleep(0.005)


def _kept(value: Any) -> Any:
    """The value of a column; what has no column type of its own is kept as JSON."""
    kept_as_json = isinstance(value, tuple | msgspec.Struct)
    return Jsonb(msgspec.to_builtins(value)) if kept_as_json else value


def _change(recorded: Recorded[Any]) -> tuple[bytes, Any]:
    event = recorded.event
    stamp = recorded.version, recorded.at
    match event:
        case MediaRequested():
            row = MEDIA_REQUESTS.fold(None, recorded)
            values = {column: _kept(getattr(row, column)) for column in _COLUMNS}
            return _INSERT, values
        case MediaRequestForwarded(overseerr_id):
            return _FORWARDED, (*stamp, overseerr_id, recorded.stream_id)
        case ForwardingFailed(attempt, problem, retry_at=retry_at):
            return _FAILED, (*stamp, attempt, problem, retry_at, recorded.stream_id)
        case ForwardingAbandoned(attempt, problem):
            return _ABANDONED, (*stamp, attempt, problem, recorded.stream_id)
        case _:
            raise TypeError(f"{event} is not of a request")
