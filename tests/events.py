"""Events and commands for tests that care about their place in the store, not their content."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from application.ports import NewEvents
from domain.kernel import Event, Metadata
from domain.media_requests import Media, MediaRequested, MediaType

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def metadata(command_id: UUID | None = None) -> Metadata:
    return Metadata(uuid4(), NOON, "account:test", "test", command_id or uuid4())


def requested(tmdb_id: int = 603, title: str = "The Matrix") -> MediaRequested:
    return MediaRequested(Media(MediaType.MOVIE, tmdb_id), title, UUID(int=1), year=1999)


def new_events(
    *events: Event, stream: UUID | None = None, after: int = 0, command: UUID | None = None
) -> NewEvents:
    """What a command adds: one ``requested`` on a new stream, unless told otherwise."""
    command_id = command or uuid4()
    return NewEvents(
        stream or uuid4(),
        after,
        command_id,
        [(metadata(command_id), event) for event in events or (requested(),)],
    )
