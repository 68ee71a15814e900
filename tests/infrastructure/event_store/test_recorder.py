"""The library's own persistence tests, against our recorder on a real PostgreSQL."""

from collections.abc import Generator
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from infrastructure.event_store.recorder import LockingRecorder, datastore


@pytest.fixture
def store(database_url: str, request: pytest.FixtureRequest) -> Generator[PostgresDatastore]:
    with datastore(database_url, pool_size=10, max_overflow=10) as opened:
        if request.instance is not None:
            request.instance.store = opened
        yield opened


@pytest.mark.usefixtures("store")
class TestApplicationRecorder(ApplicationRecorderTestCase[LockingRecorder]):
    store: PostgresDatastore

    def create_recorder(self) -> LockingRecorder:
        return LockingRecorder(self.store)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


@pytest.mark.usefixtures("store")
class TestNonInterleavingNotificationIds(NonInterleavingNotificationIDsBaseCase):
    store: PostgresDatastore

    def create_recorder(self) -> LockingRecorder:
        return LockingRecorder(self.store)


def event(stream: UUID, version: int) -> StoredEvent:
    return StoredEvent(stream, version, "topic", b"{}")


def test_several_streams_are_stored_all_or_none(store: PostgresDatastore) -> None:
    recorder = LockingRecorder(store)
    first, second = uuid4(), uuid4()
    assert recorder.insert_events([event(first, 1), event(second, 1), event(first, 2)]) == [1, 2, 3]
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(uuid4(), 1), event(second, 1)])
    assert recorder.max_notification_id() == 3


def test_a_version_cannot_be_left_out(store: PostgresDatastore) -> None:
    with pytest.raises(IntegrityError):
        LockingRecorder(store).insert_events([event(uuid4(), 2)])


def test_storing_nothing_is_fine(store: PostgresDatastore) -> None:
    assert LockingRecorder(store).insert_events([]) == []


def test_the_function_of_the_library_that_takes_no_lock_is_not_installed(
    store: PostgresDatastore,
) -> None:
    with store.transaction() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'es_insert%'")
        assert cursor.fetchall() == []
