"""From events to what clients receive: built and encoded once, whoever listens.

A position is sent to one client as one message of a topic, so that resuming behind it leaves
nothing out: an admin gets ``newRequest`` where the owner gets ``mediaRequestUpdate``. Only who also
listens to ``audit`` gets two; the audit entry, which holds the whole event, comes first.
"""

import asyncio
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from litestar.types import WebSocketSendEvent

from application.media_requests import MediaRequests
from application.standings import Caller
from domain.catalog import tag_of
from domain.kernel import Event, Recorded
from domain.media_requests import MediaRequested, NotRequested, media_requests
from domain.notifications.inbox import NotificationReceived
from domain.permissions import Action, Whose
from interfaces.views import notification_view, public_data, row_after, view_of
from projections import notifications
from projections.media_requests import MediaRequestRow

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED_POSITIONS = 2_000
"""Messages kept for sockets that read at about the same place; about 1 KB each."""
REMEMBERED_REQUESTS = 10_000
"""Requests whose next message needs no read; about 1 KB each."""


class Topic(StrEnum):
    """What one may listen to. Some topics have no events yet; clients may ask for them already."""

    REQUESTS = "requests"
    DOWNLOADS = "downloads"
    SERVICES = "services"
    ALERTS = "alerts"
    NOTIFICATIONS = "notifications"
    AUDIT = "audit"


ACTIONS: dict[Topic, Action] = {
    Topic.REQUESTS: Action.FOLLOW_EVENTS,
    Topic.DOWNLOADS: Action.FOLLOW_EVENTS,
    Topic.SERVICES: Action.FOLLOW_EVENTS,
    Topic.ALERTS: Action.FOLLOW_EVENTS,
    Topic.NOTIFICATIONS: Action.SEE_NOTIFICATIONS,
    Topic.AUDIT: Action.AUDIT,
}
"""What listening to each topic is, by which the table of permissions says whose events one gets."""


def frame_of(message: msgspec.Struct) -> WebSocketSendEvent:
    """A message, encoded, as the server takes it."""
    text = msgspec.json.encode(message).decode()
    return {"type": "websocket.send", "text": text, "bytes": None}


class Message(msgspec.Struct, frozen=True):
    """A frame, and who may see it: admins if ``to_admins``, of the others its ``owners`` alone."""

    topic: Topic
    to_admins: bool
    owners: tuple[UUID, ...]
    frame: WebSocketSendEvent

    def is_for(self, caller: Caller, topics: Collection[Topic]) -> bool:
        """Whether the caller wants it and may see it."""
        if self.topic not in topics:
            return False
        whose = caller.reach(ACTIONS[self.topic])
        if Whose.OTHERS in whose:
            return self.to_admins
        return Whose.OWN in whose and caller.account_id in self.owners


class Envelope(msgspec.Struct, frozen=True):
    """What every message about an event looks like."""

    type: str
    position: int
    at: datetime
    data: Any


class AuditEntry(msgspec.Struct, frozen=True, rename="camel"):
    """An event with its circumstances, without its secrets."""

    type: str
    stream_id: UUID
    version: int
    event_id: UUID
    actor: str
    correlation_id: str
    causation_id: UUID | None
    data: dict[str, Any]


class Messages:
    """The messages of events; every socket of the process shares one."""

    def __init__(self, requests: MediaRequests) -> None:
        self._requests = requests
        self._made: dict[int, tuple[Message, ...]] = {}
        self._rows: dict[UUID, MediaRequestRow] = {}
        self._making = asyncio.Lock()

    async def of(self, recorded: Recorded[Any]) -> tuple[Message, ...]:
        """What clients may receive of an event."""
        made = self._made.get(recorded.position)
        if made is None:
            async with self._making:  # the second to ask finds what the first has made
                made = self._made.get(recorded.position)
                if made is None:
                    made = (
                        _audit(recorded),
                        *await self._of_request(recorded),
                        *_of_notification(recorded),
                    )
                    _remember(self._made, recorded.position, made, REMEMBERED_POSITIONS)
        return made

    async def _of_request(self, recorded: Recorded[Any]) -> tuple[Message, ...]:
        if not media_requests.owns(recorded.event):
            return ()
        row = await self._row(recorded)
        if row is None:
            return ()
        view, owners = view_of(row), row.hearers
        if isinstance(recorded.event, MediaRequested):
            for_admins = _frame(recorded, "newRequest", view)
            for_owners = _frame(recorded, "mediaRequestUpdate", view)
            return (
                Message(Topic.REQUESTS, to_admins=True, owners=(), frame=for_admins),
                Message(Topic.REQUESTS, to_admins=False, owners=owners, frame=for_owners),
            )
        frame = _frame(recorded, "mediaRequestUpdate", view)
        return (Message(Topic.REQUESTS, to_admins=True, owners=owners, frame=frame),)

    async def _row(self, recorded: Recorded[Any]) -> MediaRequestRow | None:
        """The request right after the event, as the read model will show it."""
        known = self._rows.get(recorded.stream_id)
        if recorded.version == 1:
            row = row_after([recorded])
        elif known is not None and known.version == recorded.version - 1:
            row = row_after([recorded], known)
        else:
            row = await self._read(recorded)
        if row is not None:
            _remember(self._rows, recorded.stream_id, row, REMEMBERED_REQUESTS)
        return row

    async def _read(self, recorded: Recorded[Any]) -> MediaRequestRow | None:
        try:
            history = await self._requests.history(recorded.stream_id)
        except NotRequested:  # its first event is of a newer version of MediaNest
            return None
        return row_after(past for past in history if past.version <= recorded.version)


def _of_notification(recorded: Recorded[Any]) -> tuple[Message, ...]:
    """What somebody was told is for them alone; only what is in their inbox is news there."""
    event = recorded.event
    if not isinstance(event, NotificationReceived):
        return ()
    row = notifications.fold(None, recorded) if event.in_inbox else None
    if row is None:
        return ()
    frame = _frame(recorded, "newNotification", notification_view(row))
    owners = (event.account_id,)
    return (Message(Topic.NOTIFICATIONS, to_admins=False, owners=owners, frame=frame),)


def _audit(recorded: Recorded[Event]) -> Message:
    metadata = recorded.metadata
    entry = AuditEntry(
        type=tag_of(type(recorded.event)),
        stream_id=recorded.stream_id,
        version=recorded.version,
        event_id=metadata.event_id,
        actor=metadata.actor,
        correlation_id=metadata.correlation_id,
        causation_id=metadata.causation_id,
        data=public_data(recorded.event),
    )
    frame = _frame(recorded, "event", entry)
    return Message(Topic.AUDIT, to_admins=True, owners=(), frame=frame)


def _frame(recorded: Recorded[Any], name: str, data: msgspec.Struct) -> WebSocketSendEvent:
    return frame_of(Envelope(name, recorded.position, recorded.at, data))


def _remember(memory: dict[K, V], key: K, value: V, limit: int) -> None:
    """Keep at most ``limit`` entries, forgetting the oldest."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > limit:
        del memory[next(iter(memory))]
